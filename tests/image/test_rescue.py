# SPDX-License-Identifier: Apache-2.0
"""The boot menu's rescue entry: a shell without the appliance, never started by itself."""

import os

import pexpect
import pytest

from tests.image.machine import Machine, make_tap
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

PASSWORD = "of the console"
ASKED = "Password of the console: "


@pytest.fixture(scope="module")
def machine(image, lab):
    host = lab.namespace("rescue")
    make_tap(host, address="198.18.0.1/24")
    with Machine(host, image, os.path.join(lab.directory, "console")) as machine:
        machine.boot()
        machine.check("touch /var/root/mine")
        yield machine


def choose_rescue(machine):
    """Restarts, and chooses the second entry of the menu, which a key brings up."""
    machine.console.sendline("systemctl reboot")
    machine.expect("BdsDxe: starting")

    def menu():
        machine.console.send(" ")
        return machine.console.expect([r"\(rescue\)", pexpect.TIMEOUT], timeout=0.2) == 0

    wait_until(menu, "the boot menu", timeout=300)
    machine.console.send("\x1b[B")
    machine.expect(r"\(rescue\)")
    machine.console.send("\r")


def active(machine, unit):
    return machine.run(f"systemctl is-active {unit}")[1].strip()


def test_rescue(machine):
    """The verified root, and nothing of the appliance."""
    choose_rescue(machine)
    machine.expect("rescue. Data planes and control plane don't run")
    machine.expect("Data partition: not mounted")
    machine.shell()
    for unit in ("culvertd", "culvert-xdp", "culvert-dpdk.path", "systemd-networkd", "ssh", "var.mount"):
        assert active(machine, unit) == "inactive", unit
    assert machine.run("grep ' /var ' /proc/mounts")[0] != 0
    assert "verity" in machine.check("cat /sys/class/block/dm-0/dm/uuid").lower()
    assert "good" in machine.check("culvert system status")
    machine.check("systemctl start culvert-data && fsck -n /run/culvert-system/data")
    machine.check("systemctl start var.mount && ls /var/root/mine")
    machine.check("systemctl start systemd-networkd")
    assert active(machine, "culvertd") == "inactive"


def test_never_by_itself(machine):
    """Also when the entry has a counter, which hides its profile from the boot loader."""
    machine.check("cd /efi/EFI/Linux && for name in *.efi; do mv $name ${name%.efi}+3.efi; done && cd /")
    machine.console.send("exit\r")
    machine.boot()
    settled = "case $(echo /efi/EFI/Linux/*.efi) in *+*) false;; esac"
    wait_until(lambda: machine.run(settled)[0] == 0, "the trial's end", timeout=600, pause=1)


def test_password(machine):
    """The console asks for it, and so does the rescue shell."""
    machine.check(f"echo '{PASSWORD}' | culvert system console-password")
    choose_rescue(machine)
    machine.expect(ASKED)
    machine.console.send("something else\r")
    machine.expect("wrong")
    machine.expect(ASKED)
    machine.console.send(f"{PASSWORD}\r")
    machine.expect("rescue. Data planes")
    machine.shell()
    machine.console.send("exit\r")
    machine.expect(ASKED)
    machine.console.send(f"{PASSWORD}\r")
    machine.boot()
    machine.check("culvert system console-password --remove")
    machine.console.send("exit\r")
    machine.expect("culvert> ")
    machine.console.send("quit\r")
    machine.boot()
