# SPDX-License-Identifier: Apache-2.0
"""The house style as tests; `./dev lint` runs just these."""

import subprocess

import pytest

from tests.lint import style
from tests.lint.sources import REPO, sources
from tests.lint.tidy import tidy


def _none(title, complaints):
    if complaints:
        pytest.fail("\n".join([title, *complaints]), pytrace=False)


def _run(*command):
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True)


def test_clang_format():
    done = _run("clang-format", "--dry-run", "--Werror", *sources(".c", ".h"))
    files = sorted({line.split(":")[0] for line in done.stderr.splitlines() if " error: " in line})
    _none("`./dev fmt` mends these:", files if done.returncode else [])


def test_clang_tidy():
    _none("clang-tidy, with .clang-tidy's checks:", tidy())


def test_shellcheck():
    _none("shellcheck:", _run("shellcheck", *style.SCRIPTS, *sources(".sh")).stdout.splitlines())


@pytest.mark.parametrize("check", style.CHECKS, ids=lambda check: check.__name__)
def test_style(check):
    _none(check.__doc__, list(check()))
