# SPDX-License-Identifier: Apache-2.0
"""What the house rules say and a program can check. Prints one line a finding, exits 1 on any.

    python3 -m tests.lint.style
"""

import os
import re
import subprocess
import sys

FILE_LINES, FUNCTION_LINES, SUBJECT = 500, 70, 60
APACHE, DUAL = "SPDX-License-Identifier: Apache-2.0", "SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
CODE = (".c", ".h", ".py", ".sh")
# A file or function past its bound says why in a comment that begins so.
EXCUSE = "length:"


def tracked():
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    return [path for path in listing.stdout.splitlines() if os.path.exists(path)]


def licence_of(path):
    ebpf = path.endswith(".bpf.c") or path.startswith(("dataplane/fastpath/", "bpf/"))
    return DUAL if ebpf and path.endswith((".c", ".h")) else APACHE


def check_file(path, lines):
    head = "\n".join(lines[:15])
    if licence_of(path) not in head and not (licence_of(path) == APACHE and DUAL in head):
        yield f"{path}:1: the first lines lack '{licence_of(path)}'"
    if len(lines) > FILE_LINES and EXCUSE not in head:
        yield f"{path}:1: {len(lines)} lines, more than {FILE_LINES}, and no '{EXCUSE}' says why"
    for number, line in enumerate(lines, 1):
        if path.endswith((".c", ".h")) and len(line.expandtabs(8)) > 100:
            yield f"{path}:{number}: longer than 100 columns"
        if re.search(r"\b(TODO|FIXME|XXX)\b", line) and not path.startswith("tests/lint/"):
            yield f"{path}:{number}: unfinished: {line.strip()}"
        if path.startswith("tests/") and re.search(r"\b(u|nano)?sleep\(", line) and path != "tests/lab/wait.py":
            if not path.startswith("tests/lint/"):
                yield f"{path}:{number}: a test sleeps; wait for the condition (tests/lab/wait.py)"


def check_functions(path, lines):
    """Functions start with a brace in the first column, by clang-format."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            length = number - start - 1
            before = "\n".join(lines[max(0, start - 16) : start])
            if length > FUNCTION_LINES and EXCUSE not in before:
                yield f"{path}:{start}: a function of {length} lines, more than {FUNCTION_LINES}, and no '{EXCUSE}' says why"
            start = None


def check_header(path, lines):
    """Each group of public declarations stands below a comment."""
    commented = False
    for number, line in enumerate(lines, 1):
        declaration = re.match(r"^(?!static|typedef|#|struct \w+;|extern)[a-z][\w *]+\(", line)
        if re.match(r"^(/\*| \*|\s+\*)", line) or "*/" in line:
            commented = True
        elif line == "":
            commented = False
        elif declaration and not commented:
            yield f"{path}:{number}: a public function without a comment: {line.strip()}"


def check_history():
    log = subprocess.run(
        ["git", "-c", "safe.directory=*", "log", "--format=%h %s", "--no-merges"], capture_output=True, text=True, check=True
    )
    for line in log.stdout.splitlines():
        short, _, subject = line.partition(" ")
        if len(subject) > SUBJECT or not re.match(r"^[\w/.,+ -]+: \S", subject):
            yield f"commit {short}: subject is not 'subsystem: text' of at most {SUBJECT} characters: {subject}"


def findings():
    for path in tracked():
        if not path.endswith(CODE) and path != "dev":
            continue
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        yield from check_file(path, lines)
        if path.endswith((".c", ".h")):
            yield from check_functions(path, lines)
        if path.endswith(".h"):
            yield from check_header(path, lines)
    yield from check_history()


def main():
    found = list(findings())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
