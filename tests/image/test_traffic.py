# SPDX-License-Identifier: Apache-2.0
"""Traffic through the booted appliance's virtio NICs, with XDP native and with DPDK.

    client 198.18.0.1 ── tap0 ─ enp0s24 (XDP) ┐
    backend 10.0.0.11 ── tap1 ─ enp0s25 (XDP) ┤ appliance
    client 198.18.1.1 ┬─ tap2 ─ 0000:00:1a.0 ─┘ (DPDK; the kernel's side is `lan`)
    backend 198.18.1.11
"""

import json
import os

import pytest

from tests.image.machine import Machine, make_bridge, make_tap, network
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

SITE = """
site: traffic
interfaces:
  enp0s24: { driver: xdp, mode: native }
  enp0s25: { driver: xdp, mode: native }
  lan: { driver: dpdk, device: "0000:00:1a.0" }
dpdk: { packet-buffers: 16383, table-memory: 128 }
dns: { listen: [192.0.2.53, 192.0.2.54] }
pools:
  far: { backends: { b: { address: 10.0.0.11 } } }
  near: { backends: { b: { address: 198.18.1.11 } } }
vips:
  far: { address: 192.0.2.10, protocol: tcp, ports: [80], mode: nat, pool: far }
  near: { address: 192.0.2.20, protocol: tcp, ports: [80], mode: dsr-l2, pool: near }
zones:
  example.net:
    ttl: 300
    soa: { mname: ns1.example.net., rname: hostmaster.example.net., serial: 1 }
    records: { "@": { NS: [ns1] }, ns1: { A: 192.0.2.53 }, www: { A: 198.51.100.7 } }
"""
GIVEN = {
    "network.network.50-client": network("enp0s24", "198.18.0.2/24"),
    "network.network.50-backend": network("enp0s25", "10.0.0.2/24"),
    "network.network.50-lan": network("lan", "198.18.1.2/24"),
    "sysctl.extra": "vm.nr_hugepages=128\n",
}


@pytest.fixture(scope="module")
def backend(lab):
    """One host on both of the appliance's other cables, with the virtual IP that it answers itself."""
    backend = lab.namespace("backend")
    backend.ip("address", "add", "192.0.2.20/32", "dev", "lo")
    return backend


@pytest.fixture(scope="module")
def cables(lab, client, backend):
    """The client's namespace has all ends of the appliance's cables."""
    make_tap(client, "tap1", bridge="br1")
    make_tap(client, "tap2", address="198.18.1.1/24", bridge="br2")
    for bridge, port, address in (("br1", "eth1", "10.0.0.11/24"), ("br2", "eth2", "198.18.1.11/24")):
        lab.cable(backend, port, client, f"{port}-far")
        make_bridge(client, bridge, f"{port}-far")
        backend.ip("address", "add", address, "dev", port)
    backend.ip("route", "add", "198.18.0.0/24", "via", "10.0.0.2")
    for address in ("192.0.2.20", "192.0.2.54"):
        client.ip("route", "add", address, "via", "198.18.1.2")
    # It must not answer for the virtual IP that it has, too.
    backend.sysctl(net__ipv4__conf__all__arp_ignore=1, net__ipv4__conf__all__arp_announce=2)


@pytest.fixture(scope="module")
def machine(image, lab, client, cables, repo):
    lab.start("echo", lab.namespaces["backend"].command("python3", "-m", "tests.lab.echo", "b"), cwd=repo)
    log = os.path.join(lab.directory, "console")
    with Machine(client, image, log, GIVEN, taps=("tap0", "tap1", "tap2")) as machine:
        machine.boot()
        machine.check("modprobe uio_pci_generic")
        machine.check("culvert nic attach enp0s26 --driver uio_pci_generic")
        machine.write("/root/site.yaml", SITE)
        wait_until(lambda: machine.run("culvert status")[0] == 0, "culvertd", timeout=300, pause=1)
        machine.check("culvert apply /root/site.yaml")
        yield machine
        print(machine.check("journalctl --no-pager -p warning -n 50"))


def answers(client, server):
    command = ("dig", "+short", "+tries=1", "+time=2", f"@{server}", "www.example.net")
    return client.run(*command, check=False).stdout.strip() == "198.51.100.7"


def fetches(client, address, seen):
    """Whether the virtual IP leads to the backend, which sees the client's own address."""
    done = client.run("curl", "-sS", "--max-time", "5", f"http://{address}/", check=False)
    return done.returncode == 0 and json.loads(done.stdout)["client"] == seen


def interface(machine, name):
    """What the data planes tell of an interface."""
    planes = json.loads(machine.check("culvert status -o json"))["planes"]
    found = [one for plane in planes for one in plane["state"]["interfaces"] if one["name"] == name]
    return found[0] if found else {}


def test_xdp(machine, client):
    """The driver's own XDP, on two NICs: a packet for the backend goes from one to the other."""
    wait_until(lambda: answers(client, "192.0.2.53"), "an answer", timeout=120)
    wait_until(lambda: fetches(client, "192.0.2.10", "198.18.0.1"), "the backend", timeout=120)
    assert interface(machine, "enp0s24")["mode"] == "native"
    assert interface(machine, "enp0s25")["mode"] == "native"


def test_dpdk(machine, client):
    """A virtio NIC in poll mode; ARP and the way back are the kernel's, by the TAP device."""
    wait_until(lambda: answers(client, "192.0.2.54"), "an answer", timeout=120)
    wait_until(lambda: fetches(client, "192.0.2.20", "198.18.1.1"), "the backend", timeout=120)
    assert interface(machine, "lan")


def test_nothing_else_passes_by(machine, client):
    """A closed port of the virtual IP isn't the backend's."""
    assert client.run("curl", "-sS", "--max-time", "5", "http://192.0.2.10:8080/", check=False).returncode != 0
    assert fetches(client, "192.0.2.10", "198.18.0.1")
