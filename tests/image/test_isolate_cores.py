# SPDX-License-Identifier: Apache-2.0
"""The cores that the site names for polling are taken from everything else."""

import os
import subprocess

import pytest

from tests.conftest import REPO

SCRIPT = os.path.join(REPO, "images", "root", "usr", "lib", "culvert", "isolate-cores")


@pytest.mark.parametrize(
    ("settings", "present", "rest"),
    [
        ('{"cores":[1,2],"main-core":0}', "0-3", "0,3"),
        ('{"cores":[10]}', "0-1,10", "0,1"),
        ('{"main-core":0}', "0-3", ""),  # the site names none
        ('{"cores":[0,1]}', "0-1", ""),  # nothing would be left
        ("{}", "0-1", ""),
        (None, "0-1", ""),
    ],
)
def test_cores(tmp_path, settings, present, rest):
    path = tmp_path / "dpdk.json"
    if settings:
        path.write_text(settings)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/said\n')
    systemctl.chmod(0o755)
    subprocess.run([SCRIPT, path, present], check=True, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    said = (tmp_path / "said").read_text().splitlines()
    units = ("init.scope", "system.slice", "user.slice")
    assert said == [f"set-property --runtime {unit} AllowedCPUs={rest}" for unit in units]
