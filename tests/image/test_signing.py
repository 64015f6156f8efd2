# SPDX-License-Identifier: Apache-2.0
"""Secure Boot with the keys that the image was built with: what they signed starts, nothing else."""

import os
import subprocess

import pytest

from tests.image.machine import Machine, make_tap

pytestmark = pytest.mark.long

ESP = "@@1M"  # where it is on the disk, as mtools takes it


def enrolling(image, folder):
    """A copy of the image whose boot loader enrols its keys without being asked."""
    raw, disk, conf = (os.path.join(folder, name) for name in ("raw", "disk.qcow2", "loader.conf"))
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    with open(conf, "w") as file:
        file.write("timeout 0\nsecure-boot-enroll force\n")
    subprocess.run(["mcopy", "-o", "-i", raw + ESP, conf, "::loader/loader.conf"], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    os.unlink(raw)
    return disk


def test_secure_boot(image, lab):
    host = lab.namespace("secure")
    make_tap(host, address="198.18.0.1/24")
    folder = os.path.join(lab.directory, "secure")
    os.makedirs(folder)
    disk = enrolling(image, folder)
    with Machine(host, disk, os.path.join(folder, "console"), options=["--secure-boot"]) as machine:
        machine.boot()
        state = machine.check("od -A n -t u1 /sys/firmware/efi/efivars/SecureBoot-*").split()
        assert state[-1] == "1"
        machine.check("printf X | dd of=$(ls /efi/EFI/Linux/*.efi) bs=1 seek=9000000 conv=notrunc && sync")
        machine.console.sendline("reboot")
        machine.expect("(?i)access denied|security violation")
