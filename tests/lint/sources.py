# SPDX-License-Identifier: Apache-2.0
"""The checkout's own files: tracked, or new and not ignored.

    python3 -m tests.lint.sources .c .h     # prints those with these endings
"""

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent


def sources(*endings):
    """Paths relative to the checkout, sorted, of files that end so."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO, check=True, capture_output=True, text=True,
    )  # fmt: skip
    paths = sorted({Path(name) for name in listed.stdout.split("\0") if name.endswith(endings)})
    return [path for path in paths if (REPO / path).is_file()]


if __name__ == "__main__":
    for found in sources(*sys.argv[1:]):
        print(found)
