# SPDX-License-Identifier: Apache-2.0
"""Too few packet buffers: said when a port can't be opened, counted when frames find none."""

import pytest

from tests.dataplane.dpdk.rig import NIC
from tests.dataplane.dpdk.test_port import answers
from tests.dataplane.plane_rig import VIP4
from tests.lab.wait import wait_until


def start(rig, buffers):
    rig.start_dpdk("--mbufs", buffers)
    rig.control.wait("hello", rig.started)


def commit(rig):
    rig.control.commit("config", f"dpdk 0 wan0 1 {NIC}", f"address {VIP4} 1")


@pytest.mark.parametrize("buffers", ["1023", "2047"])
def test_none_to_open_a_port(rig, buffers):
    rig.start_control()
    start(rig, buffers)
    commit(rig)
    wan0 = rig.control.wait_interface("wan0", attached=False, state="failed")
    assert wan0["error"].endswith("can't be opened: too few packet buffers are left: raise packet-buffers")


def test_none_for_frames_then_enough(rig):
    """The NIC's ring and the TAP's hold all that there are: what comes is lost, and told. The next one has more."""
    rig.start_control()
    start(rig, "3071")
    commit(rig)
    rig.control.wait_interface("wan0", attached=True)
    rig.address()

    def lost_more_than(count):
        rig.peer.run("ping", "-f", "-c", "50", "-w", "1", "-q", VIP4, check=False)
        return rig.control.interface("wan0")["lost_in"] > count and rig.control.interface("wan0")["lost_in"]

    first = wait_until(lambda: lost_more_than(0), "a loss to be counted")
    wait_until(lambda: lost_more_than(first), "more of them")
    start(rig, "8191")
    rig.control.wait_interface("wan0", attached=True, lost_in=0)
    wait_until(lambda: answers(rig, VIP4), "an answer of the next one")
    assert rig.control.interface("wan0")["lost_in"] == 0
