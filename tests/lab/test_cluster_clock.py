# SPDX-License-Identifier: Apache-2.0
"""A node whose time of day is wrong: the others go on, leases live as long as they should, and it is told."""

import os
import re
import struct

import pytest

from tests.lab.cluster import Cluster
from tests.lab.wait import wait_until

HOUR, DAY = 3600, 86400


class Clock:
    """A node's time of day, from its next start on."""

    def __init__(self, node):
        self.path = os.path.join(node.folder, "clock")
        self.set(0)
        node.environment = {
            "LAB_CLOCK": self.path,
            "LD_PRELOAD": node.cluster.binary("tests", "lab", "liblabclock.so"),
        }

    def set(self, seconds):
        """Moves it to so far from everybody else's, also while the node runs."""
        mode = "r+b" if os.path.exists(self.path) else "wb"
        with open(self.path, mode, buffering=0) as file:
            file.write(struct.pack("<q", seconds))


@pytest.fixture
def cluster(build, request):
    with Cluster(build).told(request) as made:
        for node in made.nodes:
            node.clock = Clock(node)
        yield made.form()


def alarms(node):
    return "\n".join(node.json("status")["alarms"])


def lease_left(node, lease):
    text = node.etcdctl("lease", "timetolive", lease).stdout
    found = re.search(r"remaining\((-?\d+)s\)", text)
    return int(found.group(1)) if found else -1


@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_a_clock_that_jumps(cluster, off):
    """The leader's, with leases that it keeps, while the site runs."""
    leader = cluster.leader()
    others = [node for node in cluster.nodes if node is not leader]
    lease = others[0].etcdctl("lease", "grant", "300").stdout.split()[1]
    others[0].etcdctl("put", "held", "yes", f"--lease={lease}")
    short = others[0].etcdctl("lease", "grant", "2").stdout.split()[1]
    others[0].etcdctl("put", "brief", "yes", f"--lease={short}")
    assert not any("clock" in alarms(node) for node in cluster.nodes)
    leader.clock.set(off)
    word = "ahead of" if off > 0 else "behind"
    for node in others:
        wait_until(lambda n=node: f"clock of node {leader.name}" in alarms(n), f"the alarm on {node.name}", timeout=60)
        assert f"clock of node {leader.name} is 3600 s {word}" in alarms(node) or "3599 s" in alarms(node), alarms(node)
        # None of the nodes that agree is blamed there.
        assert alarms(node).count("the clock of") == 1, alarms(node)
    wait_until(lambda: alarms(leader).count("the clock of") == 2, "its own alarms", timeout=60)
    assert cluster.leader() is leader
    wait_until(lambda: not others[0].etcdctl("get", "brief").stdout, "the short lease's end", timeout=60)
    assert 100 < lease_left(others[1], lease) <= 300
    assert others[1].etcdctl("get", "held", "--print-value-only").stdout.strip() == "yes"
    # Another leader gives it its whole time again, and what an election takes.
    leader.kill()
    cluster.leader()
    assert 100 < lease_left(others[1], lease) < 310
    leader.clock.set(0)
    leader.start()
    wait_until(lambda: not any("clock" in alarms(node) for node in cluster.nodes), "the alarms' end", timeout=60)


def test_a_clock_that_is_days_off(cluster):
    """Its certificates are not valid, or others' are not to it: it stays out, and all say why."""
    node, others = cluster.nodes[2], cluster.nodes[:2]
    node.stop()
    node.clock.set(-3 * DAY)
    node.start(wait=False)
    wait_until(lambda: "certificate is not yet valid" in node.process.log(), "the reason in its log", timeout=30)
    wait_until(lambda: "certificate is not yet valid" in alarms(node), "the reason in its status", timeout=30)
    for other in others:
        wait_until(lambda o=other: "node n3 is not connected: " in alarms(o), "the alarm", timeout=30)
    assert cluster.writes_again(others) < 10
    node.clock.set(0)
    wait_until(lambda: all(n["connected"] for other in others for n in other.nodes()["nodes"]), "it to be back", timeout=60)
