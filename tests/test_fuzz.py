# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target runs over its seeds, and for a moment beyond them. `dev fuzz` runs them long."""

import os
import subprocess

import pytest

from tests.conftest import REPO

FOLDER = os.path.join(REPO, "build", "fuzz", "tests", "fuzz")
TARGETS = sorted(
    name
    for name in (os.listdir(FOLDER) if os.path.isdir(FOLDER) else [])
    if name.startswith("fuzz_") and os.path.isfile(os.path.join(FOLDER, name))
)
SECONDS = 10


def test_every_source_has_a_target():
    sources = {name[:-2] for name in os.listdir(os.path.join(REPO, "tests", "fuzz")) if name.startswith("fuzz_")}
    sources = {name for name in sources if os.path.isfile(os.path.join(REPO, "tests", "fuzz", f"{name}.c"))}
    assert sources
    assert sources == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_smoke(name, tmp_path):
    seeds = os.path.join(REPO, "tests", "fuzz", "seeds", name)
    assert os.listdir(seeds)
    done = subprocess.run(
        [
            os.path.join(FOLDER, name),
            f"-max_total_time={SECONDS}",
            "-timeout=20",
            f"-artifact_prefix={tmp_path}/",
            str(tmp_path),
            seeds,
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
