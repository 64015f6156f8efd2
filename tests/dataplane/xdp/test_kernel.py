# SPDX-License-Identifier: Apache-2.0
"""What the kernel's routes, neighbours and addresses do to the tables, and the other way."""

from tests.dataplane.plane_rig import DNS4, DNS6
from tests.dataplane.xdp.rig import KIND_BACKEND
from tests.lab.wait import wait_until


def resolved(rig, *unresolved):
    """Waits until just these backends are without a next hop; returns the state."""
    return rig.control.wait_state(
        lambda state: state["nexthops"]["unresolved"] == list(unresolved), f"only {unresolved} unresolved"
    )


def reason(rig, address):
    reasons = rig.control.state["nexthops"]["reasons"]
    return next((entry["error"] for entry in reasons if entry["address"] == address), None)


def test_neighbours_are_asked_and_kept(rig):
    rig.serve("backend 1 10.0.0.2", "backend 2 2001:db8:10::2")
    resolved(rig)
    listing = rig.appliance.ip("neigh", "show", "dev", "eth0").stdout
    for address in ("10.0.0.2", "2001:db8:10::2"):
        line = next(line for line in listing.splitlines() if line.startswith(f"{address} "))
        assert "managed" in line, listing


def test_backend_that_does_not_answer_and_then_does(rig):
    rig.serve("backend 1 10.0.0.2", "backend 2 10.0.0.77")
    resolved(rig, "10.0.0.77")
    wait_until(lambda: reason(rig, "10.0.0.77") == "the neighbour does not answer", "its failure")
    assert "next hops: 1 of 2 backends have none" in rig.control.state["errors"]
    rig.peer.ip("addr", "add", "10.0.0.77/24", "dev", "eth0")
    resolved(rig)


def test_static_neighbour_is_used_and_left_as_it_is(rig):
    rig.appliance.ip("neigh", "add", "10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0", "nud", "permanent")
    rig.serve("backend 1 10.0.0.9")
    resolved(rig)
    assert "PERMANENT" in rig.appliance.ip("neigh", "show", "10.0.0.9", "dev", "eth0").stdout


def test_deleted_neighbour_is_asked_again(rig):
    rig.serve("backend 1 10.0.0.2")
    resolved(rig)
    rig.appliance.ip("neigh", "del", "10.0.0.2", "dev", "eth0")  # a flush goes on for as long as it comes back
    wait_until(
        lambda: "managed" in rig.appliance.ip("neigh", "show", "10.0.0.2", "dev", "eth0").stdout, "the entry again"
    )
    resolved(rig)


def test_routed_backend_follows_the_route(rig):
    rig.serve("backend 1 10.9.0.5")
    resolved(rig, "10.9.0.5")
    wait_until(lambda: reason(rig, "10.9.0.5") == "Network is unreachable", "the reason")
    rig.appliance.ip("route", "add", "10.9.0.0/16", "via", "10.0.0.2")
    resolved(rig)
    rig.appliance.ip("route", "del", "10.9.0.0/16")
    resolved(rig, "10.9.0.5")
    rig.appliance.ip("route", "add", "10.0.0.0/8", "via", "inet6", "2001:db8:10::2")
    resolved(rig)


def test_backend_that_is_this_host_is_refused(rig):
    rig.serve("backend 1 10.0.0.1")
    resolved(rig, "10.0.0.1")
    wait_until(lambda: reason(rig, "10.0.0.1") == "the address is this host's own", "the reason")


def test_bridge_is_not_supported_and_said_so(rig):
    rig.appliance.ip("link", "add", "br0", "type", "bridge")
    rig.appliance.ip("addr", "add", "10.5.0.1/24", "dev", "br0")
    rig.appliance.ip("link", "set", "br0", "up")
    rig.serve("backend 1 10.5.0.2")
    wait_until(lambda: "bridge" in (reason(rig, "10.5.0.2") or ""), "the reason")


def test_backend_that_moves_and_goes(rig):
    rig.serve("backend 1 10.0.0.77")
    resolved(rig, "10.0.0.77")
    rig.control.commit("backend 1 10.0.0.2")
    resolved(rig)
    assert "10.0.0.77" not in rig.appliance.ip("neigh", "show").stdout
    rig.control.commit(f"delete {KIND_BACKEND} 1")
    rig.control.wait_state(lambda state: state["nexthops"]["backends"] == 0, "no backends")
    wait_until(lambda: "managed" not in rig.appliance.ip("neigh", "show").stdout, "our neighbours to go")


def test_many_backends(rig):
    """Behind one gateway: as many as the tables hold, in bounded steps."""
    rig.appliance.ip("route", "add", "172.16.0.0/12", "via", "10.0.0.2")
    lines = [f"backend {n} 172.16.{n >> 8}.{n & 255}" for n in range(1, 65536)]
    rig.serve()
    rig.control.commit(*lines)
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 65535, "all next hops")
    rig.appliance.ip("route", "del", "172.16.0.0/12")
    state = rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 0, "none")
    assert len(state["nexthops"]["unresolved"]) == 64


def test_dns_addresses_come_and_go_with_the_site(rig):
    rig.appliance.ip("addr", "add", "192.0.2.99/32", "dev", "lo")
    rig.serve(f"address {DNS4} 2", f"address {DNS6} 2", "address 192.0.2.10 1")
    rig.control.wait_state(lambda state: sum(a["assigned"] for a in state["addresses"]) == 2, "both")
    listing = rig.appliance.ip("addr", "show", "lo").stdout
    assert f"{DNS4}/32" in listing and f"{DNS6}/128" in listing and "192.0.2.10/" not in listing
    rig.appliance.ip("addr", "del", f"{DNS4}/32", "dev", "lo")
    wait_until(lambda: DNS4 in rig.appliance.ip("addr", "show", "lo").stdout, "the address again")
    rig.control.commit(f"undress {DNS4}")
    wait_until(lambda: DNS4 not in rig.appliance.ip("addr", "show", "lo").stdout, "the address to go")
    assert "192.0.2.99/32" in rig.appliance.ip("addr", "show", "lo").stdout
