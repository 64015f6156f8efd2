# SPDX-License-Identifier: Apache-2.0
"""The appliance's look after the clock, the disk and NICs, without an appliance."""

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
        self.sys = folder / "sys"
        (self.sys / "class/net/enp0s1/device").mkdir(parents=True)
        # Programs of its own, which say what the test wants to be there.
        (folder / "bin").mkdir()
        self.path = f"{folder}/bin:{os.environ['PATH']}"
        self.df = folder / "bin" / "df"
        self.systemctl = folder / "bin" / "systemctl"
        self.culvert = folder / "bin" / "culvert"

    def look(self, uptime=10000.0, size=1000, free=500, failed="", status="node a\n"):
        """What it said, and the alarms that there are then."""
        self.uptime.write_text(f"{uptime} 0.0\n")
        self.df.write_text(f"#!/bin/sh\necho ' 1M-blocks Avail'\necho ' {size}M {free}M'\n")
        self.df.chmod(0o755)
        self.systemctl.write_text(f"#!/bin/sh\nprintf '{failed}'\n")
        self.systemctl.chmod(0o755)
        self.culvert.write_text(f"#!/bin/sh\ncat <<'END'\n{status}END\n")
        self.culvert.chmod(0o755)
        done = subprocess.run(
            [CARE, self.alarms, "/", self.uptime, self.synchronized, self.sys],
            env={"PATH": self.path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout, {path.name: path.read_text() for path in self.alarms.glob("[!.]*")}


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


def add_pci(care, address, code, driver=False):
    """A PCI device by its class."""
    folder = care.sys / "bus/pci/devices" / address
    folder.mkdir(parents=True)
    for name, text in (("class", code), ("vendor", "0x8086"), ("device", "0x10d3")):
        (folder / name).write_text(f"{text}\n")
    if driver:
        (folder / "driver").mkdir()


def test_no_nic(care):
    """None at all, one that no driver knows, one that DPDK has."""
    care.synchronized.touch()
    assert care.look() == ("", {})
    (care.sys / "class/net/enp0s1/device").rmdir()
    add_pci(care, "0000:00:01.0", "0x010601")
    said, alarms = care.look()
    assert alarms == {"nic": said} and "this machine has no network device" in said
    add_pci(care, "0000:00:02.0", "0x020000")
    assert care.look()[1] == {"nic": "no NIC: this system has no driver for 0000:00:02.0 (8086:10d3)\n"}
    add_pci(care, "0000:00:03.0", "0x020000", driver=True)
    assert care.look() == ("", {})


def test_alarms_of_culvertd(care):
    """Each is said once as long as it lasts; not those of the folder, whoever put them there said them."""
    care.synchronized.touch()
    (care.alarms / "first-start").write_text("first start: no\n")
    status = "node a\n\nalarms\nfirst start: no\nxdp: eth1: no such interface\n"
    assert care.look(status=status)[0] == "xdp: eth1: no such interface\n"
    assert care.look(status=status)[0] == ""
    assert care.look()[0] == ""
    assert care.look(status=status)[0] == "xdp: eth1: no such interface\n"
