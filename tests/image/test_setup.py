# SPDX-License-Identifier: Apache-2.0
"""First boot by hand: `setup` on the consoles of two machines that were told nothing makes a site of both.

    a 198.18.0.11 ┬ br0 198.18.0.1, the client
    b 198.18.0.12 ┘
"""

import json
import os

import pytest

from tests.image.machine import Machine, make_tap
from tests.image.test_boot import KEY
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

ADDRESSES = {"a": "198.18.0.11", "b": "198.18.0.12"}
# Each question's words, and what is typed.
SITE = (("Join a site that is there already", ""), ("The site's name", "hand"))
SERVING = (
    ("NICs that serve", ""),
    ("The driver of enp0s24", ""),
    ("The address that answers DNS", "192.0.2.53"),
    ("Make this the site", "yes"),
)


def machine_of(name):
    """What is asked about the machine."""
    return (
        ("The NIC that you manage it by", ""),
        ("Its address: dhcp or static", "static"),
        ("Its address, with /LENGTH", f"{ADDRESSES[name]}/24"),
        ("The gateway", "198.18.0.1"),
        ("The name server", ""),
        ("This node's name", name),
        ("Time servers", "198.18.0.1"),
        ("An SSH key", KEY),
    )


def set_up(machine, *questions):
    machine.expect("culvert> ")
    machine.console.send("setup\r")
    for question, answer in questions:
        machine.expect(question)
        machine.console.send(f"{answer}\r")


@pytest.fixture(scope="module")
def host(lab):
    host = lab.namespace("host")
    for name in ADDRESSES:
        make_tap(host, f"tap-{name}", bridge="br0")
    host.ip("address", "add", "198.18.0.1/24", "dev", "br0")
    return host


def start(image, lab, host, name):
    options = ("--memory", "512", "--cpus", "1")
    return Machine(host, image, os.path.join(lab.directory, f"console-{name}"), options=options, taps=(f"tap-{name}",))


@pytest.fixture(scope="module")
def first(image, lab, host):
    with start(image, lab, host, "a") as machine:
        set_up(machine, *SITE, *machine_of("a"), *SERVING)
        machine.expect("revision 1: ")
        machine.boot("a")
        yield machine


def is_told(machine, name):
    """The name and what else was answered is in force, and a key lets in."""
    status = json.loads(machine.check("culvert status -o json"))
    assert (status["node"], status["site"]) == (name, "hand")
    assert "198.18.0.1" in machine.check("cat /run/systemd/timesyncd.conf.d/culvert.conf")
    assert KEY in machine.check("cat /root/.ssh/authorized_keys")
    assert machine.check("systemctl is-active ssh").strip() == "active"
    assert machine.check("systemctl --failed --no-legend --plain --no-pager") == ""


def test_a_site(first, host):
    is_told(first, "a")
    wait_until(lambda: host.run("ping", "-c", "1", "-W", "2", ADDRESSES["a"], check=False).returncode == 0, "a's address")
    greeting = host.run("nc", "-w", "10", ADDRESSES["a"], "22", check=False, input="\n").stdout
    assert greeting.startswith("SSH-2.0")


def test_it_is_kept(first):
    first.console.sendline("reboot")
    first.expect("BdsDxe: starting")
    first.boot("a")
    wait_until(lambda: first.run("culvert status")[0] == 0, "culvertd", timeout=300, pause=1)
    is_told(first, "a")


def names(machine):
    nodes = json.loads(machine.check("culvert node list -o json"))["nodes"]
    return sorted(node["name"] for node in nodes if node["role"] == "voter")


def test_another_joins(first, image, lab, host):
    token = first.check("culvert node token").strip()
    with start(image, lab, host, "b") as second:
        joining = (("The token", token), ("The address of that node", f"{ADDRESSES['a']}:7480"))
        set_up(second, ("Join a site that is there already", "yes"), *machine_of("b"), *joining)
        second.boot("b")
        wait_until(lambda: names(first) == ["a", "b"], "two voters", timeout=300, pause=1)
        is_told(second, "b")
