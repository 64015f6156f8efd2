# SPDX-License-Identifier: Apache-2.0
"""A port over memif, shared memory with another DPDK process: testpmd joins it to a TAP of the peer's kernel."""

import os

from tests.dataplane.dpdk.test_port import answers
from tests.dataplane.plane_rig import VIP4
from tests.lab.wait import wait_until


def start_bridge(rig, socket):
    # Both ends poll: the bridge gets the main core for its only worker, to leave the other to the data plane.
    bridge = rig.peer.start(
        "bridge", "dpdk-testpmd", "--lcores", "0@0,1@0", "--main-lcore", "0", "--no-huge", "-m", "256", "--no-shconf",
        "--no-telemetry", "-a", "ffff:ff:1f.7", "--vdev", f"net_memif0,role=client,socket={socket},socket-abstract=no",
        "--vdev", "net_tap0,iface=eth1", "--", "--forward-mode=io", "--total-num-mbufs=8192", "--stats-period=3600",
    )  # fmt: skip
    wait_until(lambda: "eth1" in rig.peer.ip("link", "show").stdout, "the bridge's TAP")
    rig.peer.ip("link", "set", "eth1", "up")
    rig.peer.ip("addr", "flush", "dev", "eth0")
    rig.peer.ip("addr", "add", "10.0.0.2/24", "dev", "eth1")
    rig.peer.ip("route", "replace", "192.0.2.0/24", "via", "10.0.0.1")
    return bridge


def test_the_far_end_dies_and_comes_back(rig):
    socket = os.path.join(rig.directory, "m")
    rig.serve(f"address {VIP4} 1", device=f"net_memif0,role=server,socket={socket},socket-abstract=no")
    bridge = start_bridge(rig, socket)
    for address in ("10.0.0.1", VIP4):
        wait_until(lambda a=address: answers(rig, a), f"{address} to answer")
    rig.control.wait_interface("wan0", up=True)
    for times in (1, 2):
        bridge.kill()
        rig.control.wait_interface("wan0", up=False, error="the interface is down", link_losses=times)
        bridge = start_bridge(rig, socket)
        rig.control.wait_interface("wan0", up=True, error=None, link_losses=times)
        wait_until(lambda: answers(rig, VIP4), "an answer again")
