# SPDX-License-Identifier: Apache-2.0
"""What a disk without room for the data partition leads to, without an appliance."""

import os
import subprocess

import pytest

from tests.conftest import REPO

GENERATOR = os.path.join(REPO, "images", "root", "usr", "lib", "systemd", "system-generators", "culvert-data")
REPART = os.path.join(REPO, "images", "root", "usr", "lib", "repart.d", "50-data.conf")
MIB = 2048  # sectors
ROOM = 512  # what the data partition needs, MiB
SLOTS = 657  # MiB, where the slots end


class Disk:
    """A disk as the kernel shows it, with the root's mapping on it."""

    def __init__(self, folder):
        self.sys = folder / "sys"
        self.units = folder / "units"
        self.disk = self.sys / "devices/pci/block/vda"
        self.add("vda2", 129, 256, "root-a")
        self.add("vda5", SLOTS - 8, 8, "hash-b")
        mapping = self.sys / "class/block/dm-0"
        (mapping / "slaves").mkdir(parents=True)
        (mapping / "slaves/vda2").symlink_to(self.disk / "vda2")
        (mapping / "dm").mkdir()
        (mapping / "dm/name").write_text("root\n")

    def add(self, name, start, size, label):
        folder = self.disk / name
        folder.mkdir(parents=True)
        (folder / "start").write_text(f"{start * MIB}\n")
        (folder / "size").write_text(f"{size * MIB}\n")
        (folder / "uevent").write_text(f"DEVTYPE=partition\nPARTNAME={label}\n")

    def generate(self, size):
        """The units that are made for a disk of that many MiB, their names and texts."""
        (self.disk / "size").write_text(f"{size * MIB}\n")
        self.units.mkdir()
        subprocess.run([GENERATOR, self.units, "/early", "/late", self.sys, REPART], check=True)
        return {path.name: path.read_text() for path in self.units.iterdir() if path.is_file()}


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def test_room_enough(disk):
    assert disk.generate(SLOTS + ROOM + 1) == {}


def test_too_small(disk):
    """The last MiB has the partition table's copy."""
    units = disk.generate(SLOTS + ROOM)
    assert "Type=tmpfs" in units["var.mount"]
    assert "data needs 512 MiB behind the slots, there are 511" in units["culvert-no-data.service"]
    assert os.readlink(disk.units / "systemd-repart.service") == "/dev/null"
    assert (disk.units / "sysinit.target.wants" / "culvert-no-data.service").exists()


def test_no_room(disk):
    assert "there are 0;" in disk.generate(SLOTS)["culvert-no-data.service"]


def test_data_partition_is_there(disk):
    disk.add("vda6", SLOTS, 100, "culvert-data")
    assert disk.generate(SLOTS + 101) == {}


def test_no_appliance(disk):
    (disk.sys / "class/block/dm-0/dm/name").write_text("data\n")
    assert disk.generate(SLOTS) == {}
