# SPDX-License-Identifier: Apache-2.0
"""Another CA for a site, while clients work on it: nobody notices, and the old one is worth nothing after."""

import os
import shutil

import pytest

from tests.lab.clients import Clients, hello
from tests.lab.cluster import PORT, Cluster
from tests.lab.wait import wait_until


@pytest.fixture
def cluster(build, request):
    """Three nodes that are one site, and a fourth that runs and is none of it."""
    with Cluster(build, 4).told(request) as made:
        made.spare = made.nodes.pop()
        try:
            yield made.form()
        finally:
            made.nodes.append(made.spare)


def keep(node):
    """A copy of the node's key and certificate, as a thief has it."""
    return shutil.copy(os.path.join(node.state_dir, "identity", "node.pem"), os.path.join(node.folder, "stolen.pem"))


def authorities(cluster):
    """The CAs of the nodes' certificates, as each node knows them."""
    return {node["ca"] for asked in cluster.nodes for node in asked.nodes()["nodes"]}


def is_over(cluster):
    answers = [node.nodes() for node in cluster.nodes]
    return (
        all(answer["ca_step"] == "done" for answer in answers)
        and len({answer["ca"] for answer in answers}) == 1
        and not any(node["behind"] or not node["connected"] for answer in answers for node in answer["nodes"])
    )


def lines(process, text):
    return process.log().count(text)


def test_rotation_under_load(cluster):
    first, second, third = cluster.nodes
    stolen, before = keep(second), authorities(cluster)
    token = first.token()
    assert hello(first, stolen).strip() == "hello"
    clients = Clients(cluster)
    told = second.culvert("node", "rotate-ca", timeout=60).stdout
    assert "tokens from before are void" in told
    wait_until(lambda: is_over(cluster), "all nodes to have followed")
    after = authorities(cluster)
    assert len(before) == len(after) == 1 and before != after
    clients.work_on()
    # The connections from before have been replaced, not only those to come.
    wait_until(lambda: all(lines(node.process, "only the new CA is believed") == 1 for node in cluster.nodes), "the end")
    wait_until(lambda: all(lines(node.process, "is connected: version") >= 4 for node in cluster.nodes), "new connections")
    assert "hello" not in hello(first, stolen)
    for node in cluster.nodes:
        trust = open(os.path.join(node.state_dir, "identity", "trust.pem")).read()
        assert trust.count("BEGIN CERTIFICATE") == 1
    # A token names the CA that it was made under: one from before says that it is void, a new one is good.
    cluster.spare.start("--joins")
    done = cluster.spare.culvert("node", "join", token, f"{third.address}:{PORT}", check=False)
    assert done.returncode == 1 and "get a new token" in done.stderr, done.stderr
    cluster.spare.join(third)
    assert clients.finish()
    # All of them start again from what is on their disks.
    for node in cluster.nodes:
        node.kill()
        node.start(wait=False)
    wait_until(lambda: is_over(cluster), "the site after a power cut", timeout=60)


@pytest.mark.parametrize("victim", ["follower", "leader"])
def test_a_node_dies_midway(cluster, victim):
    """It is waited for as long as it takes, whoever leads then; when it comes back all goes on from there."""
    leader = cluster.leader()
    node = leader if victim == "leader" else next(node for node in cluster.nodes if node is not leader)
    others = [other for other in cluster.nodes if other is not node]
    stolen, before = keep(node), authorities(cluster)
    clients = Clients(cluster)
    asked = others[0].namespace.start(
        "rotation", cluster.binary("controlplane", "cli", "culvert"),
        f"--socket={others[0].run_dir}/api.sock", "node", "rotate-ca",
    )  # fmt: skip
    wait_until(lambda: others[0].nodes()["ca_step"] != "done", "the beginning", pause=0)
    node.kill()
    wait_until(lambda: not asked.alive(), "the command's end", timeout=60)
    if asked.popen.returncode:  # it was killed before it had followed
        assert "it goes on" in asked.log()
        text = others[1].culvert("node", "list").stdout
        assert f"waits for {node.name} (not connected)" in text, text
        busy = others[1].culvert("node", "rotate-ca", check=False)
        assert busy.returncode == 1 and "being changed already" in busy.stderr
        assert hello(others[0], stolen).strip() == "hello"  # it is waited for: what it has must still be good
    node.start()
    wait_until(lambda: is_over(cluster), "the end", timeout=60)
    assert before.isdisjoint(authorities(cluster))
    assert "hello" not in hello(others[0], stolen)
    clients.finish()


def test_without_a_node_by_force(cluster):
    first, second, third = cluster.nodes
    third.kill()
    wait_until(lambda: "n3 is not connected" in first.culvert("status").stdout, "the loss")
    refused = first.culvert("node", "rotate-ca", check=False)
    assert refused.returncode == 1 and "n3 is not connected" in refused.stderr and "--force" in refused.stderr
    assert first.nodes()["ca_step"] == "done"
    first.culvert("node", "rotate-ca", "--force", timeout=60)
    cluster.nodes.remove(third)
    third.start(wait=False)
    wait_until(lambda: "certificate is not accepted" in third.process.log(), "the refusal", timeout=30)
    wait_until(lambda: "certificate is not accepted" in first.culvert("status").stdout, "the alarm", timeout=30)
    # The way back that is documented.
    third.stop()
    third.culvert("node", "rebuild", "--state-dir", third.state_dir)
    third.start("--joins")
    third.join(second)
    cluster.nodes.append(third)
    wait_until(lambda: is_over(cluster) and len(first.nodes()["nodes"]) == 3, "the site of three", timeout=60)


def test_one_node_alone(build):
    """And what a backup of it brings to a new site, which has a CA of its own."""
    with Cluster(build, 2) as made:
        node, other = made.nodes
        node.start()
        before = {one["ca"] for one in node.nodes()["nodes"]}
        for _ in range(2):
            node.culvert("node", "rotate-ca", timeout=60)
            after = {one["ca"] for one in node.nodes()["nodes"]}
            assert before.isdisjoint(after)
            before = after
        path = os.path.join(made.directory, "backup")
        node.culvert("backup", path)
        other.start()
        other.culvert("restore", path)
        wait_until(lambda: other.roles() == {"n2": "voter"}, "the old site's node to be forgotten")
        new = {one["ca"] for one in other.nodes()["nodes"]}
        assert new.isdisjoint(before) and other.nodes()["ca_step"] == "done"
        other.culvert("node", "rotate-ca", timeout=60)
        assert new.isdisjoint({one["ca"] for one in other.nodes()["nodes"]})
