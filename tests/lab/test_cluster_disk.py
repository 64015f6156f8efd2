# SPDX-License-Identifier: Apache-2.0
"""A node's disk fills up under load: it steps aside and says so, the others go on, and it comes back by itself."""

import json
import os

import pytest

from tests.lab.clients import Clients
from tests.lab.cluster import ETCD, Cluster
from tests.lab.wait import wait_until

DISK = "220m"


@pytest.fixture
def cluster(build, request):
    """Three nodes, each with a small disk of its own."""
    with Cluster(build).told(request) as made:
        for node in made.nodes:
            node.mount_small(DISK)
        yield made.form()


def fill(node, left):
    """Takes all of the node's disk but so many KiB. Returns how to give it back."""
    path = os.path.join(node.state_dir, "fill")
    free = os.statvfs(node.state_dir)
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - (left << 10))
    return lambda: os.unlink(path)


def put_big(node):
    """600 KB into the log of every node; by the gateway, for a command line holds no more than 128 KiB."""
    path = os.path.join(node.cluster.directory, "body")
    if not os.path.exists(path):
        with open(path, "w") as file:
            file.write('{"key":"YmlnJWQ=","value":"' + "QUFB" * 150_000 + '"}')
    return node.cluster.client.run(
        "curl", "-sf", "--max-time", "10", "-d", f"@{path}", f"http://{node.address}:{ETCD}/v3/kv/put", check=False
    ).returncode  # fmt: skip


def alarms(node):
    return "\n".join(node.json("status")["alarms"])


def write_until(cluster, nodes, condition, what):
    """Fills the logs by way of these nodes until the condition holds."""

    def step():
        for node in nodes:
            put_big(node)
        return condition()

    wait_until(step, what, timeout=120, pause=0)


def state_hash(node):
    answer = json.loads(node.etcdctl("endpoint", "hashkv", "-w", "json").stdout)
    return answer[0]["HashKV"]["hash"]


def is_whole(cluster):
    for node in cluster.nodes:
        answer = node.nodes()
        if not all(one["connected"] and one["lag"] == 0 for one in answer["nodes"]):
            return False
    return len({state_hash(node) for node in cluster.nodes}) == 1


@pytest.mark.parametrize("victim", ["follower", "leader"])
def test_a_full_disk(cluster, victim):
    leader = cluster.leader()
    node = leader if victim == "leader" else next(node for node in cluster.nodes if node is not leader)
    others = [other for other in cluster.nodes if other is not node]
    clients = Clients(cluster)
    give_back = fill(node, 256)
    write_until(cluster, others, lambda: "no space left" in alarms(node), "its alarm")
    # It takes no write, and says why; the others have another leader and go on.
    assert put_big(node)
    assert "no space left" in node.culvert("status").stdout
    assert cluster.writes_again(others) < 20
    wait_until(lambda: all(other.leader() in {o.name for o in others} for other in others), "a leader of the others")
    for other in others:
        wait_until(lambda o=other: f"node {node.name} " in alarms(o), f"the alarm on {other.name}", timeout=60)
    clients.work_on()
    give_back()
    wait_until(lambda: "no space left" not in alarms(node), "it to go on by itself", timeout=60)
    assert clients.finish()
    wait_until(lambda: is_whole(cluster), "all to have the same", timeout=60)


def test_restarts_on_a_full_disk(cluster):
    """Neither its start nor its end needs room: it comes up, or says what it lacks, and nothing is damaged."""
    node, others = cluster.nodes[2], cluster.nodes[:2]
    clients = Clients(cluster)
    give_back = fill(node, 0)
    for _ in range(3):
        node.kill()
        node.start(wait=False)
        clients.work_on()
    write_until(cluster, others, lambda: True, "more in the log")
    give_back()
    if not node.process.alive():
        assert "no space left" in node.process.log()
        node.start()
    assert clients.finish()
    wait_until(lambda: is_whole(cluster), "all to have the same", timeout=60)


def test_all_disks_full(cluster):
    """Nothing is acknowledged that is not kept; with room again the site goes on."""
    clients = Clients(cluster)
    given = [fill(node, 256) for node in cluster.nodes]
    # Two of them are enough: then nothing more can be written, and the third's disk fills no further.
    write_until(cluster, cluster.nodes, lambda: sum("no space left" in alarms(node) for node in cluster.nodes) >= 2, "alarms")
    for give_back in given:
        give_back()
    wait_until(lambda: all(put_big(node) == 0 for node in cluster.nodes), "all to go on", timeout=60)
    assert clients.finish()
    wait_until(lambda: is_whole(cluster), "all to have the same", timeout=60)
