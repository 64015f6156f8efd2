# SPDX-License-Identifier: Apache-2.0
"""What the house rules say and a program can check.

    python3 -m tests.lint.style     # prints every breach, exits 1 if there is one

A long file says why in its first comment, a long function in the comment above it, after `length:`.
"""

import re
import subprocess
import sys

from tests.lint.sources import REPO, sources

LINE_COLUMNS = 100
FILE_LINES = 500
HEAD_LINES = 25  # where a file's first comment is looked for
FUNCTION_LINES = 70
SUBJECT_LENGTH = 60
KERNEL_FOLDERS = ("dataplane/fastpath/", "bpf/")
KERNEL_LICENCE = "GPL-2.0-only OR BSD-2-Clause"
LICENCE = "Apache-2.0"
SCRIPTS = (
    "dev",
    ".ci/run",
    "images/boot",
    "images/build",
    "images/customize",
    "images/deb/build",
    "images/deb/postinst",
    "images/deb/prerm",
    "images/formats/make",
    "images/formats/oci",
    "images/formats/ova",
    "images/initrd/init",
    "images/kernel",
    "images/root/usr/lib/culvert/care",
    "images/root/usr/lib/culvert/console",
    "images/root/usr/lib/culvert/console-password",
    "images/root/usr/lib/culvert/data",
    "images/root/usr/lib/culvert/first-start",
    "images/root/usr/lib/culvert/isolate-cores",
    "images/root/usr/lib/culvert/rescue",
    "images/root/usr/lib/culvert/system-shell",
    "images/root/usr/lib/systemd/system-generators/culvert-data",
    "packer/acceptance",
    "packer/build",
    "packer/seal",
    "tests/image/variant",
)

SUBJECT = re.compile(r"[a-z0-9][a-z0-9_./, -]*: \S")
SLEEP = re.compile(r"\b(?:u|nano|clock_nano)?sleep\s*\(")


def _lines(path):
    return (REPO / path).read_text(errors="replace").splitlines()


def _code():
    """Everything that people write in a programming language."""
    return [*sources(".c", ".h", ".py", ".sh", "meson.build"), *sources(*SCRIPTS)]


def _comment_above(lines, index):
    """The text of the comment that ends right above a line; "" if there is none."""
    if index == 0 or not lines[index - 1].rstrip().endswith("*/"):
        return ""
    start = index - 1
    while start > 0 and not lines[start].lstrip().startswith("/*"):
        start -= 1
    return "\n".join(lines[start:index])


def file_length():
    """A file has at most 500 lines."""
    for path in _code():
        lines = _lines(path)
        if len(lines) > FILE_LINES and "length:" not in "\n".join(lines[:HEAD_LINES]):
            yield f"{path}:1: {len(lines)} lines, at most {FILE_LINES}"


def _functions(lines):
    """First line, body's first and last line (all from 0) of each function at the margin."""
    for opening, line in enumerate(lines):
        if line != "{":
            continue
        first = opening
        while first > 0 and not re.match(r"#|.*(;|}|\*/)$|\s*$", lines[first - 1]):
            first -= 1
        last = next((i for i in range(opening, len(lines)) if lines[i].startswith("}")), None)
        if last is not None and "(" in "".join(lines[first:opening]):
            yield first, last


def function_length():
    """A function has at most 70 lines."""
    for path in sources(".c", ".h"):
        lines = _lines(path)
        for first, last in _functions(lines):
            length = last - first + 1
            if length > FUNCTION_LINES and "length:" not in _comment_above(lines, first):
                yield f"{path}:{first + 1}: a function of {length} lines, at most {FUNCTION_LINES}"


def header_comments():
    """A public function's declaration has a comment, or stands below one in its paragraph."""
    declaration = re.compile(r"(?!static\b|typedef\b|extern\b)[a-z_][\w *]*[ *]\w+\(")
    for path in sources(".h"):
        commented = False
        for number, line in enumerate(_lines(path), 1):
            commented = bool(line.strip()) and (commented or "/*" in line or "*/" in line)
            if declaration.match(line) and not commented:
                yield f"{path}:{number}: no comment says what this function is for"
                commented = True  # one complaint a paragraph


def line_length():
    """A line of C has at most 100 columns (clang-format leaves comments as they are)."""
    for path in sources(".c", ".h"):
        for number, line in enumerate(_lines(path), 1):
            if len(line) > LINE_COLUMNS:
                yield f"{path}:{number}: {len(line)} columns, at most {LINE_COLUMNS}"


def unfinished():
    """Nothing is left for later in the code."""
    for path in _code():
        if path.parts[:2] == ("tests", "lint"):
            continue
        for number, line in enumerate(_lines(path), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                yield f"{path}:{number}: unfinished: {line.strip()}"


def no_sleep_in_tests():
    """Tests wait for conditions. The one loop that polls is tests/lab/wait.py."""
    for path in sources(".c", ".h", ".py", ".sh"):
        if path.parts[0] != "tests" or str(path) in ("tests/lab/wait.py", "tests/lint/style.py"):
            continue
        for number, line in enumerate(_lines(path), 1):
            if SLEEP.search(line):
                yield f"{path}:{number}: a test must not sleep; wait for the condition"


def _licences(path):
    """The licences that a file may have: what kernel programs include may have theirs."""
    name = str(path)
    if name.startswith(KERNEL_FOLDERS) or name.endswith((".bpf.c", ".bpf.h")):
        return [KERNEL_LICENCE]
    if name.endswith(".h") and path.parts[0] != "controlplane":
        return [LICENCE, KERNEL_LICENCE]
    return [LICENCE]


def licence_lines():
    """Every source file names its licence in its first three lines."""
    for path in _code():
        if path.name == "meson.build":
            continue
        head = "\n".join(_lines(path)[:3])
        found = re.search(r"SPDX-License-Identifier: ([^*\n]+)", head)
        allowed = _licences(path)
        if not found:
            yield f"{path}:1: no SPDX-License-Identifier: {allowed[0]}"
        elif found.group(1).strip() not in allowed:
            yield f"{path}:1: licence {found.group(1).strip()}, here it is {allowed[0]}"


def commit_subjects():
    """A commit's subject is `subsystem: what`, of at most 60 characters."""
    log = subprocess.run(
        ["git", "log", "--no-merges", "--format=%h %s"], cwd=REPO, check=True, capture_output=True, text=True
    )
    for line in log.stdout.splitlines():
        commit, _, subject = line.partition(" ")
        if len(subject) > SUBJECT_LENGTH:
            yield f"{commit}: subject of {len(subject)} characters, at most {SUBJECT_LENGTH}: {subject}"
        if not SUBJECT.match(subject):
            yield f"{commit}: the subject doesn't begin with `subsystem: `: {subject}"


CHECKS = [
    file_length,
    function_length,
    line_length,
    header_comments,
    licence_lines,
    no_sleep_in_tests,
    unfinished,
    commit_subjects,
]


def main():
    breaches = [breach for check in CHECKS for breach in check()]
    print("\n".join(breaches))
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
