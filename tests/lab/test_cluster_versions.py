# SPDX-License-Identifier: Apache-2.0
"""Nodes of several versions in one site: the lowest is kept to, and one that can't talk is told so."""

import pytest

from tests.lab.clients import Clients
from tests.lab.cluster import Cluster
from tests.lab.wait import wait_until

CURRENT = ("controlplane", "culvertd")
OLDER, NEWER, ALIEN = (("tests", "lab", f"culvertd-{name}") for name in ("older", "newer", "alien"))


@pytest.fixture
def machines(build, request):
    with Cluster(build).told(request) as made:
        yield made


def is_whole(cluster):
    """All are voters, connected and up to date, as every one knows."""
    for node in cluster.nodes:
        answer = node.nodes()
        if not answer["quorum"] or len(answer["nodes"]) != len(cluster.nodes):
            return False
        if not all(one["role"] == "voter" and one["connected"] for one in answer["nodes"]):
            return False
    leader = cluster.leader()
    return all(one["lag"] == 0 for one in leader.nodes()["nodes"])


def protocols(cluster):
    return {node.nodes()["protocol"] for node in cluster.nodes}


def use(node, program):
    """Ends a node as an upgrade does, and starts it as another version."""
    assert node.stop() == 0, node.process.log()
    node.program = program
    node.start()


def connected_by(node, version):
    return f"is connected: version {version}," in node.process.log()


def test_a_rolling_upgrade(machines):
    """From an older version to this one and back to a mixed site, a node at a time, under load."""
    for node in machines.nodes:
        node.program = OLDER
    machines.form()
    wait_until(lambda: is_whole(machines), "the older site")
    assert protocols(machines) == {1}
    clients = Clients(machines)
    for number, node in enumerate(machines.nodes, 1):
        use(node, CURRENT)
        clients.work_on()
        wait_until(lambda: is_whole(machines), f"{node.name} to be back", timeout=60)
        if number < len(machines.nodes):
            assert protocols(machines) == {1}
            assert "nodes of several versions" in node.culvert("node", "list").stdout
            # What older nodes could not follow is not begun.
            refused = node.culvert("node", "rotate-ca", check=False)
            assert refused.returncode == 1 and "runs culvertd older, which can't follow: upgrade it first" in refused.stderr
    wait_until(lambda: protocols(machines) == {2}, "the site's new version")
    assert all(connected_by(node, 2) for node in machines.nodes[:2])
    assert connected_by(machines.nodes[0], 1)
    machines.nodes[0].culvert("node", "rotate-ca", timeout=60)
    # Each knows from the leader how far all are.
    wait_until(lambda: all(one["lag"] is not None for node in machines.nodes for one in node.nodes()["nodes"]), "the lags")
    # And back again, as far as that goes: one of them turns out to be wanted in the older version.
    use(machines.nodes[1], OLDER)
    wait_until(lambda: is_whole(machines) and protocols(machines) == {1}, "the mixed site", timeout=60)
    clients.finish()


def test_a_newer_node(machines):
    machines.nodes[2].program = NEWER
    machines.form()
    wait_until(lambda: is_whole(machines), "the site")
    assert protocols(machines) == {2}
    assert all(connected_by(node, 2) for node in machines.nodes)
    assert "nodes of several versions" in machines.nodes[0].culvert("status").stdout
    machines.nodes[0].culvert("node", "rotate-ca", timeout=60)


def test_a_node_that_cannot_talk(machines):
    first, second, third = machines.nodes
    third.program = ALIEN
    for node in machines.nodes:
        node.start()
    second.join(first)
    done = third.join(first, check=False)
    assert done.returncode == 1 and "no protocol version in common" in done.stderr, done.stderr
    assert len(first.nodes()["nodes"]) == 2
    use(third, CURRENT)
    third.join(first)
    wait_until(lambda: is_whole(machines), "the site")
    clients = Clients(machines)
    third.stop()
    third.program = ALIEN
    third.start(wait=False)
    for node in (first, second):
        wait_until(
            lambda n=node: "node n3 is not connected: no protocol version in common: 9 to 9" in n.culvert("status").stdout,
            f"the alarm on {node.name}", timeout=30,
        )  # fmt: skip
        assert "no protocol version in common" in node.process.log()
    state = next(node for node in first.nodes()["nodes"] if node["name"] == "n3")
    assert not state["connected"]
    assert "not connected" in next(line for line in first.culvert("node", "list").stdout.splitlines() if "n3" in line)
    wait_until(lambda: "no protocol version in common" in third.culvert("status").stdout, "its own alarm", timeout=30)
    clients.work_on()
    use(third, CURRENT)
    wait_until(lambda: is_whole(machines), "the site of three", timeout=60)
    clients.finish()
