# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over the release build's C files, in parallel. What was clean is not looked at again.

A file's result is good for as long as what the compiler reads for it stays the same: a clean one is
noted in build/tidy under a digest of the preprocessed source, comments and macros included. The
analyzer looks less deep into the tests, which the sanitizers watch as they run.
"""

import hashlib
import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tests.lint.sources import REPO, sources

BUILD = REPO / "build" / "release"
CLEAN = REPO / "build" / "tidy"


def _preprocess(entry):
    """The entry's command, made to print what the compiler reads."""
    words = shlex.split(entry["command"])
    for option, values in (("-o", 1), ("-MF", 1), ("-MQ", 1), ("-c", 0), ("-MD", 0)):
        if option in words:
            at = words.index(option)
            del words[at : at + 1 + values]
    return [*words, "-E", "-C", "-dD"]


def _digest(entry):
    done = subprocess.run(_preprocess(entry), cwd=entry["directory"], check=True, capture_output=True)
    rules = (REPO / ".clang-tidy").read_bytes() + (REPO / "tests" / ".clang-tidy").read_bytes()
    return hashlib.sha256(rules + b"\0" + done.stdout).hexdigest()


def _command(path):
    words = ["clang-tidy", "-p", BUILD, "--quiet", "--extra-arg=-Wno-unknown-warning-option"]
    if path.startswith(str(REPO / "tests")):
        words += [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]
    return [*words, path]


def _complaints(output):
    """One text each; without those about what bpftool generates, shown for a path through it."""
    texts = re.split(r"^(?=\S+:\d+:\d+: (?:error|warning): )", output, flags=re.MULTILINE)
    return [text.rstrip() for text in texts if text.strip() and not re.match(r"\S+\.skel\.h:", text)]


def _check(path, entry):
    """What clang-tidy has to say about a file: nothing when it is clean."""
    note = CLEAN / _digest(entry)
    if note.exists():
        return []
    done = subprocess.run(_command(path), capture_output=True, text=True)
    if done.returncode and not done.stdout.strip():
        return [f"{path}: {done.stderr.strip()}"]
    complaints = _complaints(done.stdout)
    if not complaints:
        note.touch()
    return complaints


def tidy():
    """The complaints; one about a header once, whoever includes it."""
    CLEAN.mkdir(parents=True, exist_ok=True)
    ours = {str(REPO / path) for path in sources(".c")}
    entries = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        if path in ours:
            entries[path] = entry
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(_check, entries, entries.values())
    return list(dict.fromkeys(text for texts in results for text in texts))
