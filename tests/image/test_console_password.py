# SPDX-License-Identifier: Apache-2.0
"""The console's password, with a file for the EFI variable."""

import os
import subprocess

import pytest

from tests.conftest import REPO

SCRIPT = os.path.join(REPO, "images", "root", "usr", "lib", "culvert", "console-password")
GOOD = "correct horse $(battery) \\staple"


@pytest.fixture
def variable(tmp_path):
    return tmp_path / "variable"


def run(verb, variable, text=""):
    command = [SCRIPT, verb, variable, "0"]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=False)


def test_open_without_one(variable):
    assert run("ask", variable).returncode == 0
    assert run("remove", variable).returncode == 0


def test_asks(variable):
    assert run("set", variable, f"{GOOD}\n").returncode == 0
    kept = variable.read_bytes()
    assert kept[:4] == b"\x07\0\0\0" and kept[4:].startswith(b"$6$") and GOOD.encode() not in kept
    assert run("ask", variable, f"{GOOD}\n").returncode == 0
    assert run("ask", variable, f"wrong\n\n{GOOD}\n").returncode == 0
    refused = run("ask", variable, f"wrong\n\n{GOOD} \n{GOOD}\n")
    assert refused.returncode == 1 and refused.stderr.count("wrong") == 3
    assert run("ask", variable, "").returncode == 1


def test_another_one(variable):
    run("set", variable, "the first one\n")
    assert run("set", variable, f"{GOOD}\n").returncode == 0
    assert run("ask", variable, "the first one\n").returncode == 1
    assert run("ask", variable, f"{GOOD}\n").returncode == 0


def test_remove(variable):
    run("set", variable, f"{GOOD}\n")
    assert run("remove", variable).returncode == 0
    assert run("ask", variable).returncode == 0


def test_too_short(variable):
    assert run("set", variable, "1234567\n").returncode == 1
    assert not variable.exists()


def test_damaged_one_opens_nothing(variable):
    for damaged in (b"", b"\x07\0\0\0", b"\x07\0\0\0nonsense", b"\x07\0\0\0$6$"):
        variable.write_bytes(damaged)
        assert run("ask", variable, "\n\n\n").returncode == 1, damaged
        assert run("ask", variable, "nonsense\n").returncode == 1, damaged
