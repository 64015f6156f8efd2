# SPDX-License-Identifier: Apache-2.0
"""Every C unit test that meson knows, in the sanitized build, as one item each."""

import json
import os
import subprocess

import pytest

from tests.conftest import REPO

SANITIZERS = {
    "ASAN_OPTIONS": "halt_on_error=1:detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


def unit_tests():
    listing = subprocess.run(
        ["meson", "introspect", "--tests", os.path.join(REPO, "build", "asan")],
        capture_output=True,
        text=True,
        check=False,
    )
    return {test["name"]: test for test in json.loads(listing.stdout or "[]")}


TESTS = unit_tests()


@pytest.mark.parametrize("name", TESTS)
def test_unit(name):
    test = TESTS[name]
    done = subprocess.run(
        test["cmd"],
        env={**os.environ, **SANITIZERS, **test["env"]},
        cwd=test["workdir"] or REPO,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 77:
        pytest.skip((done.stdout + done.stderr).strip().splitlines()[-1])
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
