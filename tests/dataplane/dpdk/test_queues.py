# SPDX-License-Identifier: Apache-2.0
"""A NIC of two queues: on two cores each has one of them, on one core it has both; no packet is missed."""

from tests.dataplane.dpdk.test_port import answers, reason
from tests.dataplane.plane_rig import VIP4
from tests.lab.wait import wait_until

# A TAP device of several queues, whose other side goes into the peer's namespace: AF_XDP opens one queue of a veth.
NIC = "net_tap0,iface=eth1"
FLOWS, EACH = 64, 16
ENCAPSULATED = 32

# The kernel spreads flows over the queues.
SEND = f"""
import socket
for port in range({FLOWS}):
    flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    flow.bind(("10.0.0.2", 20000 + port))
    for _ in range({EACH}):
        flow.sendto(b"x", ("{VIP4}", 9000))
"""


def plug(rig):
    """The NIC's other side becomes the peer's device."""
    rig.appliance.ip("link", "set", "eth1", "netns", rig.peer.full_name)
    rig.peer.ip("addr", "flush", "dev", "eth0")
    rig.peer.ip("link", "set", "eth1", "up")
    rig.peer.ip("addr", "add", "10.0.0.2/24", "dev", "eth1")
    rig.peer.ip("route", "replace", "192.0.2.0/24", "via", "10.0.0.1")


def serve(rig, *options):
    rig.start_control()
    rig.start_dpdk(*options)
    rig.control.wait("hello")
    rig.control.commit(
        "config", f"dpdk 0 wan0 2 {NIC}", f"address {VIP4} 1", "backend 1 10.0.0.2", "pool 1 1", f"vip {VIP4} 17 9000 1 1 0"
    )
    rig.control.wait_interface("wan0", attached=True)
    plug(rig)
    rig.address()
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 1, "the next hop")
    wait_until(lambda: answers(rig, VIP4), "an answer")
    wait_until(lambda: answers(rig, "10.0.0.1"), "the kernel's answer")


def frames(rig):
    return {worker["core"]: worker["frames"] for worker in rig.status()["workers"]}


def lost(rig):
    wan0 = rig.control.interface("wan0")
    return wan0["lost_in"], wan0["lost_out"]


def send(rig):
    """Sends all flows' packets and waits until each has been sent on. Returns what each worker took in meanwhile."""
    packets, taken = reason(rig, ENCAPSULATED), frames(rig)
    rig.peer.run("python3", "-c", SEND)
    wait_until(lambda: reason(rig, ENCAPSULATED) == packets + FLOWS * EACH, "all packets to be sent on")
    return {core: now - taken[core] for core, now in frames(rig).items()}


def test_two_cores_have_a_queue_each(rig):
    serve(rig, "--cores", "0,1", "--main-core", "0")
    before = lost(rig)  # what the kernel sent before the NIC's other side was plugged in
    taken = send(rig)
    assert set(taken) == {0, 1}
    assert sum(taken.values()) >= FLOWS * EACH
    assert all(count >= FLOWS * EACH / 8 for count in taken.values()), taken
    assert lost(rig) == before
    # The other end's frames of the fast path and of the kernel, whichever worker has them, find the way out.
    assert answers(rig, VIP4) and answers(rig, "10.0.0.1")


def test_one_core_has_both_queues(rig):
    serve(rig, "--cores", "1")
    assert send(rig).keys() == {1}


def test_a_core_with_a_queue_is_killed_with_all_and_comes_back(rig):
    serve(rig, "--cores", "0,1", "--main-core", "0")
    rig.dpdk.kill()
    rig.start_dpdk("--cores", "1,0", "--main-core", "0")
    rig.control.wait("hello", 2)
    wait_until(lambda: "eth1" in rig.appliance.ip("link").stdout, "the next one's NIC")
    plug(rig)
    wait_until(lambda: answers(rig, VIP4), "an answer of the next one")
    assert all(send(rig).values())
