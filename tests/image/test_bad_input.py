# SPDX-License-Identifier: Apache-2.0
"""An appliance in the wrong surroundings: console and status say what is wrong, and it stays reachable."""

import json
import os
import subprocess

import pytest

from tests.image.machine import Machine
from tests.image.test_boot import KEY, NETWORK, SITE, dig
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

MEMBER = "198.18.0.1:7480"
GIVEN = {
    "culvert.site": SITE + "api: { listen: [198.18.0.2:8443] }\n",
    "network.network.50-lab": NETWORK,
    "ssh.authorized_keys.root": KEY,
}


def booted(lab, client, image, name, given=GIVEN, **kwargs):
    return Machine(client, image, os.path.join(lab.directory, f"console-{name}"), given, **kwargs)


def until_said(machine, text):
    """Waits for a line of the console that no command has printed."""

    def found():
        with open(machine.log.name, encoding="utf-8", errors="replace") as log:
            return text in log.read()

    machine.until(found, f"`{text}` on the console")


def alarms(machine):
    return "\n".join(json.loads(machine.check("culvert status -o json"))["alarms"])


def until_alarm(machine, text, there=True):
    wait_until(lambda: (text in alarms(machine)) == there, f"`{text}` in status", timeout=300, pause=1)


def is_open(client, port):
    return client.run("nc", "-z", "-w", "5", "198.18.0.2", str(port), check=False).returncode == 0


def is_reachable(client):
    greeting = client.run("nc", "-w", "10", "198.18.0.2", "22", check=False, input="\n").stdout
    return greeting.startswith("SSH-2.0")


def test_no_nic(image, lab, client):
    with booted(lab, client, image, "none", taps=()) as machine:
        until_said(machine, "no NIC: this machine has no network device")
        machine.boot()
        until_alarm(machine, "no NIC: this machine has no network device")
        until_alarm(machine, "enp0s24: no such interface")
        assert "image" in machine.check("culvert get site")


def test_one_nic(image, lab, client):
    """It serves by the one that is there, which is not given away."""
    two = GIVEN["culvert.site"].replace("interfaces: {", "interfaces: { enp0s25: { driver: xdp },")
    with booted(lab, client, image, "one", {**GIVEN, "culvert.site": two}) as machine:
        machine.until(lambda: dig(client, "www.example.net"), "an answer")
        until_said(machine, "enp0s25: no such interface")
        machine.boot()
        until_alarm(machine, "enp0s25: no such interface")
        code, said = machine.run("culvert nic attach enp0s24 --driver uio_pci_generic")
        assert code == 1 and "carries your session or the default route" in said
        assert is_reachable(client) and is_open(client, 8443)


def test_small_disk(image, lab, client, tmp_path):
    """What is kept is in memory until the disk is larger; no site is joined meanwhile."""
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", disk, "900M"], check=True)
    given = {**GIVEN, "culvert.join": f"culvert1.AAAA {MEMBER}"}
    with booted(lab, client, image, "small", given, options=["--keep", str(disk)]) as machine:
        until_said(machine, "the disk is too small: data needs 512 MiB behind the slots, there are 242")
        machine.boot()
        until_alarm(machine, "the disk is too small: data needs 512 MiB")
        until_alarm(machine, "first start: the site is not joined")
        assert machine.check("findmnt -n -o FSTYPE /var").strip() == "tmpfs"
        assert is_reachable(client)
        machine.kill()
    subprocess.run(["qemu-img", "resize", "-q", disk, "4G"], check=True)
    with booted(lab, client, image, "larger", options=["--keep", str(disk)]) as machine:
        machine.until(lambda: dig(client, "www.example.net"), "an answer")
        machine.boot()
        assert machine.check("findmnt -n -o FSTYPE /var").strip() == "ext4"
        assert "disk" not in alarms(machine)


@pytest.fixture
def member(lab, client, repo):
    """A site's first node, beside the appliance; what runs `culvert` on it."""
    folder = os.path.join(lab.directory, "member")
    binaries = os.path.join(repo, "build", "release", "controlplane")
    for name in ("run", "state"):
        os.makedirs(os.path.join(folder, name))
    process = client.start(
        "member", f"{binaries}/culvertd", "--run-dir", f"{folder}/run", "--state-dir", f"{folder}/state",
        "--name", "member", "--listen", MEMBER,
    )  # fmt: skip

    def culvert(*words, **kwargs):
        return client.run(f"{binaries}/cli/culvert", "--socket", f"{folder}/run/api.sock", *words, **kwargs)

    wait_until(lambda: culvert("version", check=False).returncode == 0, "the member", timeout=60)
    culvert("apply", "-", input=SITE)
    yield culvert
    process.stop()


def test_wrong_token(image, lab, client, member):
    """A token that was used, one that was mistyped, and then the right one by hand."""
    token = member("node", "token", "--expires", "1s").stdout.strip()
    given = {**GIVEN, "culvert.join": f"{token} {MEMBER}"}
    del given["culvert.site"]
    with booted(lab, client, image, "token", given) as machine:
        until_said(machine, "first start: the site did not let this node in: the token has expired")
        machine.boot()
        until_alarm(machine, "first start: the site did not let this node in: the token has expired")
        assert is_reachable(client)
        code, said = machine.run(f"culvert node join {token[:-4]}AAAA {MEMBER}")
        assert code != 0 and "not a join token, or it is mistyped" in said, said
        token = member("node", "token").stdout.strip()
        machine.check(f"culvert node join {token} {MEMBER}", timeout=300)
        wait_until(lambda: json.loads(machine.check("culvert status -o json"))["site"] == "image", "the site", timeout=300)
        machine.check("systemctl restart culvert-first-start")
        until_alarm(machine, "token", there=False)


def fill(machine):
    """To the last byte, with what is kept for root."""
    assert machine.run("head -c 1G /dev/zero >>/var/fill", timeout=600)[0] != 0


def check_full(machine, client):
    until_alarm(machine, "the data partition is nearly full: 0 of")
    code, said = machine.run("culvert set zones.example.net.ttl 400")
    assert code != 0 and "no space left" in said, said
    assert dig(client, "www.example.net") == ["198.51.100.7"]
    assert is_reachable(client) and is_open(client, 8443)


def test_full_disk(image, lab, client):
    """It goes on serving, takes no change, also after a restart; with room again it does."""
    with booted(lab, client, image, "full") as machine:
        machine.until(lambda: dig(client, "www.example.net"), "an answer")
        machine.boot()
        machine.check("fallocate -l $(($(df --output=avail -BM /var | tail -n 1 | tr -d ' M') - 8))M /var/fill")
        fill(machine)
        until_said(machine, "the data partition is nearly full: 0 of")
        check_full(machine, client)
        machine.console.sendline("reboot")
        machine.expect("BdsDxe: starting")
        machine.boot()
        machine.until(lambda: dig(client, "www.example.net"), "an answer")
        fill(machine)  # the restart itself may have freed a little
        check_full(machine, client)
        machine.check("rm /var/fill && systemctl start culvert-care")
        until_alarm(machine, "full", there=False)
        wait_until(lambda: machine.run("culvert set zones.example.net.ttl 400")[0] == 0, "a change", timeout=300, pause=1)
