# SPDX-License-Identifier: Apache-2.0
"""A machine with a TPM encrypts its data partition; no other machine opens that without its recovery key."""

import os
import re

import pytest

from tests.image.machine import Machine, make_tap
from tests.image.test_boot import NETWORK
from tests.image.test_update import GOOD, status, update, variant
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

PARTITION = "/dev/disk/by-partlabel/culvert-data"
KEY = re.compile(r"(?:[a-z]{8}-){7}[a-z]{8}")


class Disk:
    """What is kept from one machine to the next: disk, firmware's variables, the TPM's state."""

    def __init__(self, folder):
        self.folder = folder
        self.recovery_key = None

    def options(self, tpm):
        options = ["--keep", os.path.join(self.folder, "disk.qcow2")]
        return [*options, "--tpm", os.path.join(self.folder, "tpm")] if tpm else options


@pytest.fixture(scope="module")
def disk(lab):
    folder = os.path.join(lab.directory, "kept")
    os.makedirs(folder)
    return Disk(folder)


@pytest.fixture(scope="module")
def served(image, lab, client):
    folder = os.path.join(lab.directory, "updates")
    os.makedirs(folder)
    variant(os.path.dirname(image), folder, GOOD, {})
    client.start("updates", "python3", "-m", "http.server", "-d", folder, "8000")


@pytest.fixture(scope="module")
def machine(image, lab, client, disk, served):
    given = {"network.network.50-lab": NETWORK}
    log = os.path.join(lab.directory, "console")
    with Machine(client, image, log, given, disk.options(tpm=True)) as machine:
        machine.boot()
        yield machine


def slots(machine):
    """The kinds of keys that the partition has."""
    lines = machine.check(f"systemd-cryptenroll {PARTITION}").splitlines()
    return [line.split()[1] for line in lines if line.strip()[:1].isdigit()]


def is_encrypted(machine):
    kind = machine.check(f"blkid -p -o value -s TYPE {PARTITION}").strip()
    source = machine.check("findmnt -n -o SOURCE /var").strip()
    return (kind, source) == ("crypto_LUKS", "/dev/mapper/culvert-data")


def test_first_boot(machine):
    assert is_encrypted(machine)
    assert slots(machine) == ["tpm2"]
    assert machine.check("systemctl --failed --no-legend --plain --no-pager") == ""
    # To the end of the disk of 4 GiB.
    assert int(machine.check("df --output=size -BM /var | tail -n 1").strip(" M\n")) > 2400
    machine.check("touch /var/root/mine")


def test_update_opens_it(machine):
    code, said = update(machine, f"{GOOD}.update", "--force")
    assert code == 0, said
    machine.console.sendline("reboot")
    machine.boot()
    # On trial it would go back to the old system when the data partition doesn't open.
    wait_until(lambda: status(machine)["running"]["state"] == "good", "the trial's end", timeout=600, pause=1)
    assert status(machine)["running"]["version"] == GOOD
    assert is_encrypted(machine)
    machine.check("ls /var/root/mine")


def test_factory_reset(machine, disk):
    machine.console.sendline("culvert system factory-reset --yes --force")
    machine.boot()
    assert is_encrypted(machine)
    assert machine.run("ls /var/root/mine")[0] != 0
    said = machine.check(f"systemd-cryptenroll --unlock-tpm2-device=auto --recovery-key {PARTITION}", timeout=600)
    disk.recovery_key = KEY.search(said).group()
    assert sorted(slots(machine)) == ["recovery", "tpm2"]
    machine.check("touch /var/root/mine && sync")


def test_without_its_tpm(machine, disk, image, lab, client):
    """The console says so, and the recovery key opens it."""
    machine.kill()
    with Machine(client, image, os.path.join(lab.directory, "elsewhere"), options=disk.options(tpm=False)) as other:
        other.expect("the data partition is encrypted, and this machine has no TPM 2.0")
        other.expect("Data partition: not mounted")
        other.shell()
        assert other.run("systemctl start var.mount")[0] != 0
        other.console.send("/usr/lib/culvert/data unlock\r")
        other.expect("[Pp]assphrase|[Rr]ecovery [Kk]ey|[Pp]assword")
        other.console.send(f"{disk.recovery_key}\r")
        other.check("ls /dev/mapper/culvert-data", timeout=600)
        other.console.send("systemctl isolate default.target\r")
        other.boot()
        other.check("ls /var/root/mine")
