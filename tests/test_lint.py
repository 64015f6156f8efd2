# SPDX-License-Identifier: Apache-2.0
"""The house style as tests; `./dev lint` runs just these."""

import subprocess

import pytest

from tests.lint import style
from tests.lint.sources import REPO, sources
from tests.lint.tidy import tidy


def _run(*command):
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_clang_format():
    files = sources(".c", ".h")
    if files:
        _run("clang-format", "--dry-run", "--Werror", *files)


def test_clang_tidy():
    complaints = tidy()
    assert not complaints, "\n".join(complaints)


def test_shellcheck():
    _run("shellcheck", *style.SCRIPTS, *sources(".sh"))


@pytest.mark.parametrize("check", style.CHECKS, ids=lambda check: check.__name__)
def test_style(check):
    breaches = list(check())
    assert not breaches, f"{check.__doc__}\n" + "\n".join(breaches)
