# SPDX-License-Identifier: Apache-2.0
"""First boot: what was given to the machine becomes a site that serves."""

import json
import os

import pytest

from tests.image.machine import Machine
from tests.lab.wait import wait_until

SITE = """
site: image
interfaces: { enp0s24: { driver: xdp, mode: native } }
dns: { listen: [192.0.2.53] }
zones:
  example.net:
    ttl: 300
    soa: { mname: ns1.example.net., rname: hostmaster.example.net., serial: 1 }
    records: { "@": { NS: [ns1] }, ns1: { A: 192.0.2.53 }, www: { A: 198.51.100.7 } }
"""
NETWORK = """
[Match]
Name=enp0s24
[Network]
Address=198.18.0.2/24
Gateway=198.18.0.1
"""


def dig(client, *options):
    return client.run("dig", "+short", "+tries=1", "+time=2", "@192.0.2.53", *options, check=False).stdout.split()


@pytest.fixture(scope="module")
def machine(image, lab, client):
    given = {"culvert.site": SITE, "network.network.50-lab": NETWORK}
    with Machine(client, image, os.path.join(lab.directory, "console"), given) as machine:
        machine.boot()
        wait_until(lambda: dig(client, "www.example.net"), "an answer", timeout=300)
        yield machine
        print(machine.check("journalctl --no-pager -p warning -n 50"))


def test_dns(machine, client):
    """The kernel's virtio driver runs the fast path; TCP is culvertd's."""
    assert dig(client, "www.example.net") == ["198.51.100.7"]
    assert dig(client, "+tcp", "www.example.net") == ["198.51.100.7"]
    status = json.loads(machine.check("culvert status -o json"))
    interface = status["planes"][0]["interfaces"][0]
    assert interface["name"] == "enp0s24" and interface["mode"] == "native"
    assert not status["alarms"]


def test_all_units_run(machine):
    assert machine.check("systemctl --failed --no-legend --plain --no-pager") == ""


def test_root_is_verified_and_read_only(machine):
    assert "verity" in machine.check("cat /sys/class/block/dm-0/dm/uuid").lower()
    assert machine.run("touch /usr/bin/x")[0] != 0


def test_data_partition_grew(machine):
    """To the end of the disk of 4 GiB; the image is one of 0.7."""
    assert int(machine.check("df --output=size -BM /var | tail -n 1").strip(" M\n")) > 2500


def test_memory(machine):
    """At most 150 MB are used after boot."""
    used = int(machine.check("free -m | sed -n 's/^Mem: *[0-9]* *\\([0-9]*\\).*/\\1/p'"))
    assert used <= 150


def test_ssh_is_off_without_a_key(machine):
    assert machine.run("systemctl is-active ssh")[1].strip() == "inactive"
