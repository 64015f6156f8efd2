# SPDX-License-Identifier: Apache-2.0
"""A port: the fast path's packets, the kernel's packets, what the status says, its end."""

from tests.dataplane.dpdk.rig import VIP4, VIP6
from tests.lab.wait import wait_until


def answers(rig, address):
    return rig.peer.run("ping", "-c", "1", "-W", "1", address, check=False).returncode == 0


def reason(rig, number):
    stats = rig.control.ask("stats", "stats")["stats"]
    return sum(packets for kind, which, packets, _ in stats if (kind, which) == (0, number))


def test_fast_path_and_kernel(rig):
    rig.serve(f"address {VIP4} 1", f"address {VIP6} 1")
    wan0 = rig.control.interface("wan0")
    assert (wan0["mode"], wan0["error"]) == ("poll", None)
    for address in ("10.0.0.1", "2001:db8:10::1"):  # by the kernel, behind ARP and neighbour discovery
        wait_until(lambda a=address: answers(rig, a), f"{address} to answer")
    before = reason(rig, 37)
    for address in (VIP4, VIP6):  # by the fast path
        assert answers(rig, address)
    assert reason(rig, 37) == before + 2
    assert rig.status()["interfaces"] == rig.control.state["interfaces"]
