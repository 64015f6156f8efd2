# SPDX-License-Identifier: Apache-2.0
"""The C unit tests, built with sanitizers: each test that meson knows is one item here.

`dev` sets the sanitizers' options: they stop at the first error and look for leaks. Of the build
with ThreadSanitizer there are only the tests that have threads (`build_targets` in dev).
"""

import json
import os
import subprocess

import pytest

from tests.conftest import REPO

ASAN = os.path.join(REPO, "build", "asan")
TSAN = os.path.join(REPO, "build", "tsan")
HANGS = 900  # seconds: no machine is so busy
SKIPPED = 77  # the exit status by which a test says that it cannot run here


def _units(build, prefix=""):
    if not os.path.exists(os.path.join(build, "build.ninja")):
        return []
    listed = subprocess.run(
        ["meson", "introspect", "--tests", build], check=True, capture_output=True, text=True
    )
    return [
        pytest.param(unit, id=prefix + unit["name"])
        for unit in json.loads(listed.stdout)
        if build == ASAN or os.path.exists(unit["cmd"][0])
    ]


@pytest.mark.parametrize("unit", _units(ASAN) + _units(TSAN, "tsan-"))
def test_unit(unit):
    done = subprocess.run(
        unit["cmd"],
        cwd=unit["workdir"] or REPO,
        env={**os.environ, **unit["env"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=HANGS,
    )
    print(done.stdout)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip().rpartition("\n")[2])
    assert done.returncode == 0, f"{unit['name']} ended with {done.returncode}"
