# SPDX-License-Identifier: Apache-2.0
"""Three appliances on one switch make a site by what they were given at first start.

    a 198.18.0.11 ┐
    b 198.18.0.12 ├ br0 198.18.0.1, the client
    c 198.18.0.13 │
      198.18.0.21 ┘ the backend, with the virtual IP that it answers itself
"""

import concurrent.futures
import contextlib
import json
import os
import signal
import time

import pytest

from tests.image.asking import Asker
from tests.image.machine import Machine, make_bridge, make_tap, network
from tests.image.test_update import GOOD, UPDATE, status, variant
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

SITE = """
site: three
interfaces: {{ enp0s24: {{ driver: xdp }} }}
dns: {{ listen: [192.0.2.53] }}
pools: {{ web: {{ backends: {{ w: {{ address: 198.18.0.21 }} }} }} }}
vips: {{ web: {{ address: 192.0.2.20, protocol: tcp, ports: [80], mode: dsr-l2, pool: web }} }}
zones:
  example.net:
    ttl: 300
    soa: {{ mname: ns1.example.net., rname: hostmaster.example.net., serial: {serial} }}
    records: {{ "@": {{ NS: [ns1] }}, ns1: {{ A: 192.0.2.53 }}, www: {{ A: 198.51.100.{serial} }} }}
"""
NEXT = "90.2-20300101.1200"
ADDRESSES = {"a": "198.18.0.11", "b": "198.18.0.12", "c": "198.18.0.13"}


@pytest.fixture(scope="module")
def switch(lab, repo):
    switch, backend = lab.namespace("switch"), lab.namespace("backend")
    for name in ADDRESSES:
        make_tap(switch, f"tap-{name}", bridge="br0")
    switch.ip("address", "add", "198.18.0.1/24", "dev", "br0")
    lab.cable(backend, "eth0", switch, "backend")
    make_bridge(switch, "br0", "backend")
    backend.ip("address", "add", "198.18.0.21/24", "dev", "eth0")
    # It answers to the address, and not for it.
    backend.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)
    backend.ip("address", "add", "192.0.2.20/32", "dev", "lo")
    backend.ip("link", "set", "lo", "up")
    lab.start("echo", backend.command("python3", "-m", "tests.lab.echo", "w"), cwd=repo)
    return switch


def start(stack, name, lab, image, switch, given):
    """Turns one machine on; it boots by itself."""
    given = {"network.network.50-lab": network("enp0s24", f"{ADDRESSES[name]}/24"), "culvert.hostname": name, **given}
    log = os.path.join(lab.directory, f"console-{name}")
    machine = Machine(switch, image, log, given, ("--memory", "512", "--cpus", "1"), taps=(f"tap-{name}",))
    return stack.enter_context(machine)


@pytest.fixture(scope="module")
def machines(image, lab, switch):
    with contextlib.ExitStack() as stack:
        first = start(stack, "a", lab, image, switch, {"culvert.site": SITE.format(serial=1)})
        first.boot("a")
        wait_until(lambda: serves(switch, "a", 1), "the first node's service", timeout=300)
        token = first.check("culvert node token --multiple").strip()
        join = {"culvert.join": f"{token} {ADDRESSES['a']}:7480\n"}
        others = [start(stack, name, lab, image, switch, join) for name in "bc"]
        with concurrent.futures.ThreadPoolExecutor() as pool:  # a console that nobody reads stalls
            list(pool.map(Machine.boot, others, "bc"))
        yield dict(zip("abc", [first, *others], strict=True))


def serves(switch, name, serial):
    """Whether a node's fast path answers with what this serial's site says, and leads to the backend."""
    switch.ip("route", "replace", "192.0.2.0/24", "via", ADDRESSES[name])
    command = ("dig", "+short", "+tries=1", "+time=2", "@192.0.2.53", "www.example.net")
    fetched = switch.run("curl", "-sS", "--max-time", "5", "http://192.0.2.20/", check=False)
    return switch.run(*command, check=False).stdout.strip() == f"198.51.100.{serial}" and fetched.returncode == 0


def nodes(machine):
    return json.loads(machine.check("culvert node list -o json"))["nodes"]


def apply(machine, serial):
    machine.write("/root/site.yaml", SITE.format(serial=serial))
    machine.check("culvert apply /root/site.yaml")


def test_a_site_forms(machines, switch):
    """The third voter is there; the site that the first was given is served by all."""
    wait_until(
        lambda: [node["role"] for node in nodes(machines["c"])] == ["voter"] * 3, "three voters", timeout=300, pause=1
    )
    for name in machines:
        wait_until(lambda name=name: serves(switch, name, 1), f"{name}'s service", timeout=300)


def test_a_change_anywhere_is_served_everywhere(machines, switch):
    apply(machines["b"], 2)
    for name, machine in machines.items():
        wait_until(lambda name=name: serves(switch, name, 2), f"{name}'s service", timeout=120)
        assert len(json.loads(machine.check("culvert history -o json"))["revisions"]) == 2


@pytest.fixture(scope="module")
def updates(image, lab, switch):
    """The server of two updates, which the machines see as http://198.18.0.1:8000/."""
    folder = os.path.join(lab.directory, "updates")
    os.makedirs(folder)
    for version in (GOOD, NEXT):
        variant(os.path.dirname(image), folder, version, {})
    return switch.start("updates", "python3", "-m", "http.server", "-d", folder, "8000")


def ask(asker):
    assert asker.resolve("192.0.2.53", "www.example.net") == ["198.51.100.2"]
    assert '"backend": "w"' in asker.fetch("192.0.2.20")


def all_are_there(machine):
    """Whether it sees all three connected, and none behind."""
    return all((one["self"] or one["connected"]) and one["lag"] == 0 for one in nodes(machine))


def update(name, machine):
    """Updates one node; from when to when it may miss something."""
    wait_until(lambda: all_are_there(machine), "all nodes", timeout=300, pause=1)
    machine.console.sendline(f"culvert system update --restart http://198.18.0.1:8000/{GOOD}.update")
    machine.expect("is tried at the next start", timeout=UPDATE)
    begin = time.monotonic()
    machine.boot(name)
    wait_until(
        lambda: (now := status(machine)["running"])["version"] == GOOD and now["state"] == "good",
        "the trial's end", timeout=600, pause=1,
    )  # fmt: skip
    return begin, time.monotonic()


def test_updates_node_by_node(machines, switch, updates):
    """Who asks the nodes that are not restarting misses nothing, and is answered by the new system."""
    with contextlib.ExitStack() as stack:
        askers = {
            name: stack.enter_context(Asker(switch, mark, ADDRESSES[name], ask))
            for mark, name in enumerate(machines, 1)
        }
        begin = time.monotonic()
        away = {name: update(name, machine) for name, machine in machines.items()}
        counts = {name: asker.answers for name, asker in askers.items()}
        wait_until(lambda: all(askers[name].answers > counts[name] for name in askers), "answers of all", timeout=120)
    for name, asker in askers.items():
        print(
            f"{name}: {asker.answers} answers, {len(asker.misses)} missed,"
            f" {away[name][1] - away[name][0]:.0f} s from restart to trusted"
        )
        assert not asker.missed(begin, away[name][0]) + asker.missed(away[name][1], time.monotonic()), name
    assert all(node["version"] for node in nodes(machines["a"]))


def test_no_restart_without_another(machines, updates):
    """The leader loses power while another node takes its update: that is not restarted."""
    known = wait_until(lambda: all_are_there(machines["a"]) and nodes(machines["a"]), "all nodes", timeout=300, pause=1)
    leader = next(node["name"] for node in known if node["leader"])
    name = next(name for name in machines if name != leader)
    machine = machines[name]
    machine.check(f"(culvert system update --restart http://198.18.0.1:8000/{NEXT}.update >/root/said 2>&1 &)")
    wait_until(lambda: machine.run(f"ls /efi/EFI/Linux/culvert-{NEXT}+3.efi")[0] == 0, "its begin", timeout=UPDATE)
    updates.popen.send_signal(signal.SIGSTOP)  # until the loss is seen
    machines.pop(leader).kill()
    wait_until(lambda: not all(node["self"] or node["connected"] for node in nodes(machine)), "the loss", timeout=50)
    updates.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: "it was not restarted" in machine.run("cat /root/said")[1], "its end", timeout=UPDATE, pause=1)
    said = machine.check("cat /root/said")
    assert f"{NEXT} is in slot" in said and f"node {leader} is not connected" in said
    assert status(machine)["other"]["state"] == "new"
    code, said = machine.run(f"culvert system update http://198.18.0.1:8000/{NEXT}.update")
    assert code == 1 and f"the site can't do without this node now: node {leader} is not connected" in said


def test_the_others_go_on(machines, switch):
    """Also with changes."""
    machine = next(iter(machines.values()))
    wait_until(lambda: any(node["leader"] for node in nodes(machine)), "another leader", timeout=120, pause=1)
    apply(machine, 3)
    for name in machines:
        wait_until(lambda name=name: serves(switch, name, 3), f"{name}'s service", timeout=120)
