# SPDX-License-Identifier: Apache-2.0
"""The appliance's look after the clock and the disk, without an appliance."""

import os
import subprocess

import pytest

from tests.conftest import REPO

CARE = os.path.join(REPO, "images", "root", "usr", "lib", "culvert", "care")


class Care:
    def __init__(self, folder):
        self.alarms = folder / "alarms"
        self.alarms.mkdir()
        self.uptime = folder / "uptime"
        self.synchronized = folder / "synchronized"
        # A df of its own, which says what the test wants to be there.
        (folder / "bin").mkdir()
        self.path = f"{folder}/bin:{os.environ['PATH']}"
        self.df = folder / "bin" / "df"
        self.systemctl = folder / "bin" / "systemctl"

    def look(self, uptime=10000.0, size=1000, free=500, failed=""):
        self.uptime.write_text(f"{uptime} 0.0\n")
        self.df.write_text(f"#!/bin/sh\necho ' 1M-blocks Avail'\necho ' {size}M {free}M'\n")
        self.df.chmod(0o755)
        self.systemctl.write_text(f"#!/bin/sh\nprintf '{failed}'\n")
        self.systemctl.chmod(0o755)
        done = subprocess.run(
            [CARE, self.alarms, "/", self.uptime, self.synchronized],
            env={"PATH": self.path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout, {path.name: path.read_text() for path in self.alarms.iterdir()}


@pytest.fixture
def care(tmp_path):
    return Care(tmp_path)


def test_clock(care):
    """No server has answered, and the machine has had time to find one; an answer of long ago is none."""
    assert care.look(uptime=899.9) == ("", {})
    said, alarms = care.look()
    assert alarms == {"clock": said} and "the clock is not synchronized" in said
    assert care.look() == ("", alarms)  # said once
    care.synchronized.touch()
    assert care.look() == ("", {})
    past = care.uptime.stat().st_mtime - 151 * 60
    os.utime(care.synchronized, (past, past))
    assert "clock" in care.look()[1]


def test_disk(care):
    care.synchronized.touch()
    assert care.look(size=1000, free=50) == ("", {})
    assert "49 of 1000 MiB are left" in care.look(size=1000, free=49)[1]["disk"]
    assert "31 of 100 MiB are left" in care.look(size=100, free=31)[1]["disk"]
    assert care.look(size=100, free=32) == ("", {})


def test_units(care):
    care.synchronized.touch()
    failed = "a.service loaded failed failed A\\nb.service loaded failed failed B\\n"
    assert care.look(failed=failed)[1] == {"failed": "failed: a.service b.service (systemctl status NAME)\n"}
    assert care.look() == ("", {})
