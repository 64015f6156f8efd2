# SPDX-License-Identifier: Apache-2.0
"""A port: the fast path's packets, the kernel's packets, what the status says, its end."""

from tests.dataplane.dpdk.rig import NIC
from tests.dataplane.plane_rig import DNS4, VIP4, VIP6
from tests.lab.wait import wait_until


def answers(rig, address):
    return rig.peer.run("ping", "-c", "1", "-W", "1", address, check=False).returncode == 0


def reason(rig, number):
    stats = rig.control.ask("stats", "stats")["stats"]
    return sum(packets for kind, which, packets, _ in stats if (kind, which) == (0, number))


def test_fast_path_and_kernel(rig):
    rig.serve(f"address {VIP4} 1", f"address {VIP6} 1")
    wan0 = rig.control.interface("wan0")
    assert (wan0["mode"], wan0["error"], wan0["lost_in"], wan0["lost_out"]) == ("poll", None, 0, 0)
    for address in ("10.0.0.1", "2001:db8:10::1"):  # by the kernel, behind ARP and neighbour discovery
        wait_until(lambda a=address: answers(rig, a), f"{address} to answer")
    before = reason(rig, 37)
    for address in (VIP4, VIP6):  # by the fast path
        assert answers(rig, address)
    assert reason(rig, 37) == before + 2
    assert rig.status()["interfaces"] == rig.control.state["interfaces"]


def test_balances_to_a_backend(rig):
    rig.serve(f"address {VIP4} 1", "backend 1 10.0.0.2", "pool 1 1", f"vip {VIP4} 6 80 1 1 0")
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 1, "the next hop")
    rig.peer.run("nc", "-z", "-w", "1", VIP4, "80", check=False)
    wait_until(lambda: reason(rig, 32) >= 1, "an encapsulated packet")
    rig.peer.run("ping", "-c", "1", "-W", "1", "10.0.0.1")


def test_interface_leaves_and_comes_back(rig):
    rig.serve(f"address {VIP4} 1")
    wait_until(lambda: answers(rig, VIP4), "the answer")
    rig.control.commit("delete 1 0")
    rig.control.wait_state(lambda state: not state["interfaces"], "no interface")
    assert not answers(rig, VIP4)
    assert "wan0" in rig.appliance.ip("link", "show").stdout  # the kernel's side stays, with its addresses
    rig.control.commit(f"dpdk 0 wan0 1 {NIC}")
    rig.control.wait_interface("wan0", attached=True)
    wait_until(lambda: answers(rig, VIP4), "the answer again")


def test_link_loss_is_told_and_mends(rig):
    rig.serve(f"address {VIP4} 1")
    assert rig.control.interface("wan0")["link_losses"] == 0
    for times in (1, 2):
        rig.peer.ip("link", "set", "eth0", "down")
        rig.control.wait_interface("wan0", up=False, error="the interface is down", link_losses=times)
        assert "wan0: the interface is down" in rig.status()["errors"]
        rig.peer.ip("link", "set", "eth0", "up")
        rig.control.wait_interface("wan0", up=True, error=None, link_losses=times, resets=0)
    rig.peer.ip("route", "add", "192.0.2.0/24", "via", "10.0.0.1")
    wait_until(lambda: answers(rig, VIP4), "the answer again")


def test_next_instance_takes_over(rig):
    rig.serve(f"address {VIP4} 1")
    wait_until(lambda: answers(rig, VIP4), "the answer")
    older = rig.dpdk
    newer = rig.start_dpdk()
    wait_until(lambda: not older.alive(), "the older one's leave")
    assert older.popen.returncode == 0, older.log()
    wait_until(lambda: answers(rig, VIP4), "the answer of the newer one")
    assert rig.status()["pid"] == newer.pid
    assert f"took over from process {older.pid}" in newer.log()


def test_killed_and_started_again(rig):
    rig.serve(f"address {VIP4} 1")
    wait_until(lambda: answers(rig, VIP4), "the answer")
    for _ in range(2):
        rig.dpdk.kill()
        rig.start_dpdk()
        wait_until(lambda: answers(rig, VIP4), "the answer of the next one")
        wait_until(lambda: answers(rig, "10.0.0.1"), "the kernel's answer, on the address that stayed")


def test_detach_leaves_nothing(rig):
    rig.serve(f"address {VIP4} 1", f"address {DNS4} 2")
    wait_until(lambda: DNS4 in rig.appliance.ip("addr", "show", "lo").stdout, "the listener's address")
    done = rig.run_dpdk("--detach")
    assert done.returncode == 0, done.stderr
    # It lets go of its lock a moment before it is gone.
    wait_until(lambda: not rig.dpdk.alive(), "the end of the one that ran")
    assert "wan0" not in rig.appliance.ip("link", "show").stdout
    assert DNS4 not in rig.appliance.ip("addr", "show", "lo").stdout


def test_two_workers_share_a_queue(rig):
    rig.start_control()
    rig.start_dpdk("--cores", "0,1")
    rig.control.wait("hello")
    rig.control.commit("config", f"dpdk 0 wan0 2 {NIC}", f"address {VIP4} 1")
    rig.control.wait_interface("wan0", attached=True)
    rig.address()
    for address in ("10.0.0.1", VIP4):
        wait_until(lambda a=address: answers(rig, a), f"{address} to answer")
