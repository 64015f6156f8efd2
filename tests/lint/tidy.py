# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over the release build's C files, in parallel. What was clean is not looked at again.

A file's result is good for as long as what the compiler reads for it stays the same: a clean one is
noted in build/tidy under a digest of the preprocessed source, comments and macros included.
"""

import hashlib
import json
import os
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
    rules = (REPO / ".clang-tidy").read_bytes()
    return hashlib.sha256(rules + b"\0" + done.stdout).hexdigest()


def _check(entry):
    """What clang-tidy has to say about a file; "" when it is clean."""
    note = CLEAN / _digest(entry)
    if note.exists():
        return ""
    path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
    done = subprocess.run(
        ["clang-tidy", "-p", BUILD, "--quiet", "--extra-arg=-Wno-unknown-warning-option", path],
        capture_output=True,
        text=True,
    )
    if done.returncode == 0 and not done.stdout.strip():
        note.touch()
        return ""
    return done.stdout or done.stderr


def tidy():
    """The complaints about each file, without those that other files got as well."""
    CLEAN.mkdir(parents=True, exist_ok=True)
    ours = {str(REPO / path) for path in sources(".c")}
    entries = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        if path in ours:
            entries[path] = entry
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(_check, entries.values())
    return list(dict.fromkeys(text for text in results if text))
