# SPDX-License-Identifier: Apache-2.0
"""Three culvertd make a site: forming it, changing it, losing parts of it."""

import os
import re
import time

import pytest

from tests.lab.cluster import PORT, Cluster
from tests.lab.wait import wait_until

SITE = """\
site: lab
interfaces: { eth0: { driver: xdp } }
pools: { web: { backends: { a: { address: 10.9.0.100 } } } }
vips: { web: { address: 192.0.2.%d, protocol: tcp, ports: [80], mode: dsr-l2, pool: web } }
"""


@pytest.fixture
def cluster(build, request):
    """A site of as many nodes as asked for, which the test may break."""
    with Cluster(build, getattr(request, "param", 3)).told(request) as made:
        yield made.form()


@pytest.fixture
def machines(build, request):
    """Machines on which nothing runs yet."""
    made = Cluster(build, getattr(request, "param", 2))
    yield made
    made.close()


def agree(nodes, roles):
    """Waits until these nodes know these roles, and the same leader."""
    wait_until(lambda: all(node.roles() == roles for node in nodes), f"{roles}")
    wait_until(lambda: len({node.leader() for node in nodes} - {None}) == 1, "one leader")


def apply(node, number, check=True):
    path = os.path.join(node.folder, "site.yaml")
    with open(path, "w") as file:
        file.write(SITE % number)
    return node.culvert("apply", path, check=check)


def test_a_site_by_tokens(cluster):
    first, second, third = cluster.nodes
    agree(cluster.nodes, {"n1": "voter", "n2": "voter", "n3": "voter"})
    for node in first.nodes()["nodes"]:
        assert node["version"] and node["expires"] > time.time() + 80 * 86400 and node["lag"] == 0, node
    text = second.culvert("status").stdout
    assert "a quorum is there" in text and "n2 (this)" in text, text
    members = third.etcdctl("member", "list").stdout
    for node in cluster.nodes:
        assert re.search(rf"started, {node.name}, https://{node.address}:7480, http://{node.address}:2379", members), members
    for node in cluster.nodes:
        node.etcdctl("put", "color", node.name)
        for other in cluster.nodes:
            assert other.etcdctl("get", "color", "--print-value-only").stdout.strip() == node.name
    assert "is healthy" in first.etcdctl("endpoint", "health", "--cluster").stdout


def test_apply_anywhere_reaches_every_data_plane(cluster):
    for node in cluster.nodes:
        node.start_xdp()
    for number, node in enumerate(cluster.nodes, 1):
        apply(node, number)
        for other in cluster.nodes:
            wait_until(lambda n=other: in_sync(n, number), f"revision {number} at {other.name}")
            assert f"192.0.2.{number}" in other.culvert("get", "vips.web.address").stdout
            explained = other.culvert("explain", "--from", "10.9.0.9:1000", "--to", f"192.0.2.{number}:80/tcp").stdout
            assert "10.9.0.100" in explained, explained
    assert [r["revision"] for r in cluster.nodes[0].json("history")["revisions"]] == [3, 2, 1]


def in_sync(node, revision):
    status = node.json("status")
    planes = status["planes"]
    return status["revision"] == revision and planes and all(
        p["connected"] and p["generation"] == status["generation"] for p in planes
    )


def test_the_leader_is_killed(cluster):
    times = []
    for _ in range(5):
        leader = cluster.leader()
        others = [node for node in cluster.nodes if node is not leader]
        leader.kill()
        times.append(cluster.writes_again(others))
        leader.start()
        wait_until(lambda n=leader: n.leader(), "the node to be back")
    print("writes again after kill -9 of the leader:", ", ".join(f"{t:.2f} s" for t in times))
    assert max(times) < 10


def test_leadership_is_handed_over(cluster):
    leader = cluster.leader()
    others = [node for node in cluster.nodes if node is not leader]
    assert leader.stop() == 0
    taken = cluster.writes_again(others)
    print(f"writes again after the leader's end: {taken:.2f} s")
    assert taken < 5


def test_no_quorum(cluster):
    apply(cluster.nodes[0], 1)
    survivor, *others = cluster.nodes
    wait_until(lambda: survivor.json("status")["revision"] == 1, "the revision")
    for node in others:
        node.kill()
    wait_until(lambda: not survivor.nodes()["quorum"], "the loss to be noticed")
    began = time.monotonic()
    done = apply(survivor, 2, check=False)
    assert done.returncode == 1 and "no node leads the site" in done.stderr, done
    assert time.monotonic() - began < 10
    status = survivor.culvert("status").stdout
    assert "NO QUORUM" in status and "nothing can be changed" in status, status
    for words in (("get", "vips.web.address"), ("history",), ("history", "1"), ("audit",)):
        refused = survivor.culvert(*words, check=False)
        assert refused.returncode == 1 and "--stale" in refused.stderr, refused
        shown = survivor.culvert(*words, "--stale")
        assert "it has known of no leader for" in shown.stderr, shown
        assert survivor.json(*words, "--stale")["stale_ms"] > 0
    assert "192.0.2.1" in survivor.culvert("get", "vips.web.address", "--stale").stdout
    assert [line["revision"] for line in survivor.json("history", "--stale")["revisions"]] == [1]
    assert survivor.etcdctl("put", "a", "b", check=False).returncode
    assert survivor.etcdctl("get", "a", "--consistency=s").returncode == 0
    others[0].start()
    wait_until(lambda: apply(survivor, 2, check=False).returncode == 0, "a write")
    assert survivor.json("get", "--stale")["stale_ms"] == 0
    assert "at most about a second old" in survivor.culvert("get", "--stale").stderr
    # Without --stale it is what was acknowledged, on every node.
    assert "192.0.2.2" in others[0].culvert("get", "vips.web.address").stdout


def test_a_node_is_removed(cluster):
    first, second, third = cluster.nodes
    done = first.culvert("node", "remove", "n3")
    assert "is no longer a member" in done.stdout
    wait_until(lambda: not third.process.alive(), "the removed node to end")
    assert third.process.popen.returncode == 3
    assert "was removed from its site" in third.process.log()
    agree([first, second], {"n1": "voter", "n2": "voter"})
    third.start(wait=False)
    wait_until(lambda: not third.process.alive(), "a removed node to refuse")
    assert "culvert node rebuild" in third.process.log()
    again = third.culvert("node", "rebuild", "--state-dir", third.state_dir)
    assert "aside" in again.stdout
    third.start()
    third.join(first)
    agree(cluster.nodes, {"n1": "voter", "n2": "voter", "n3": "voter"})
    refused = first.culvert("node", "remove", "nobody", check=False)
    assert refused.returncode == 1 and "no such node" in refused.stderr


def test_the_leader_is_removed(cluster):
    leader = cluster.leader()
    others = [node for node in cluster.nodes if node is not leader]
    leader.etcdctl("put", "a", "b")
    others[0].culvert("node", "remove", leader.name)
    agree(others, {node.name: "voter" for node in others})
    wait_until(lambda: not leader.process.alive(), "the removed leader to end")
    assert others[0].etcdctl("get", "a", "--print-value-only").stdout.strip() == "b"


def test_removals_that_would_cost_the_quorum(cluster):
    first, second, third = cluster.nodes
    third.kill()
    wait_until(lambda: not next(n for n in first.nodes()["nodes"] if n["name"] == "n3")["connected"], "the loss")
    refused = first.culvert("node", "remove", "n2", check=False)
    assert refused.returncode == 1 and "no quorum" in refused.stderr, refused
    first.culvert("node", "remove", "n3")  # the dead one may go
    agree([first, second], {"n1": "voter", "n2": "voter"})


@pytest.mark.parametrize("cluster", [4], indirect=True)
def test_a_standby_takes_a_place(cluster):
    roles = {"n1": "voter", "n2": "voter", "n3": "voter", "n4": "standby"}
    agree(cluster.nodes, roles)
    cluster.nodes[3].etcdctl("put", "by", "a standby")
    cluster.nodes[1].kill()
    cluster.nodes[0].culvert("node", "remove", "n2")
    agree([cluster.nodes[0], cluster.nodes[3]], {"n1": "voter", "n3": "voter", "n4": "voter"})


@pytest.mark.parametrize("cluster", [5], indirect=True)
def test_five_voters(cluster):
    assert sorted(cluster.nodes[0].roles().values()) == ["standby"] * 2 + ["voter"] * 3
    for name in ("n4", "n5"):
        cluster.nodes[4].culvert("node", "promote", name)
    agree(cluster.nodes, {f"n{i}": "voter" for i in range(1, 6)})
    for node in cluster.nodes[:2]:
        node.kill()
    assert cluster.writes_again(cluster.nodes[2:]) < 10


def test_a_wiped_node_comes_back(cluster):
    first, second, third = cluster.nodes
    first.etcdctl("put", "kept", "yes")
    before = {node["name"]: node["id"] for node in first.nodes()["nodes"]}
    third.kill()
    third.wipe()
    third.start()
    third.join(first)
    agree(cluster.nodes, {"n1": "voter", "n2": "voter", "n3": "voter"})
    assert {node["name"]: node["id"] for node in first.nodes()["nodes"]}["n3"] != before["n3"]
    assert third.etcdctl("get", "kept", "--consistency=s", "--print-value-only").stdout.strip() == "yes"


def test_a_damaged_log(cluster):
    first, second, third = cluster.nodes
    for number in range(20):
        first.etcdctl("put", f"k{number}", "x" * 1000)
    third.kill()
    segment = min(name for name in os.listdir(os.path.join(third.state_dir, "log")) if name != "lock")
    with open(os.path.join(third.state_dir, "log", segment), "r+b") as file:
        file.seek(8000)
        file.write(b"\xff" * 64)
    third.start(wait=False)
    wait_until(lambda: not third.process.alive(), "the damage to be refused")
    assert third.process.popen.returncode == 1
    assert segment in third.process.log() and "culvert node rebuild" in third.process.log(), third.process.log()
    third.culvert("node", "rebuild", "--state-dir", third.state_dir)
    third.start()
    third.join(second)
    agree(cluster.nodes, {"n1": "voter", "n2": "voter", "n3": "voter"})
    assert third.etcdctl("get", "k19", "--print-value-only").stdout.strip() == "x" * 1000


def test_power_cut(cluster):
    apply(cluster.nodes[1], 7)
    for number in range(50):
        cluster.nodes[number % 3].etcdctl("put", f"k{number}", str(number))
    for node in cluster.nodes:
        node.kill()
    for node in cluster.nodes:
        node.start(wait=False)
    for node in cluster.nodes:
        wait_until(node.answers, node.name)
    cluster.leader()
    for node in cluster.nodes:
        wait_until(lambda n=node: n.json("status")["revision"] == 1, "the revision")
        assert node.etcdctl("get", "k", "--prefix", "--count-only", "-w", "fields").stdout.count('"Count" : 50') == 1


def test_recovery_by_a_survivor(cluster):
    survivor, *others = cluster.nodes
    survivor.etcdctl("put", "a", "b")
    wait_until(lambda: survivor.etcdctl("get", "a", "--consistency=s").stdout, "the key")
    refused = survivor.culvert("node", "recover", "--yes", check=False)
    assert refused.returncode == 1 and "has a quorum" in refused.stderr, refused
    for node in others:
        node.kill()
    wait_until(lambda: not survivor.nodes()["quorum"], "the loss to be noticed")
    warned = survivor.culvert("node", "recover", check=False)
    assert warned.returncode == 2 and "lost for good" in warned.stderr, warned
    assert "only one" in survivor.culvert("node", "recover", "--yes").stdout
    wait_until(lambda: survivor.roles() == {"n1": "voter"}, "the others to be gone")
    assert survivor.etcdctl("get", "a", "--print-value-only").stdout.strip() == "b"
    survivor.etcdctl("put", "a", "c")
    for node in others:
        node.culvert("node", "rebuild", "--state-dir", node.state_dir)
        node.start()
        node.join(survivor)
    agree(cluster.nodes, {"n1": "voter", "n2": "voter", "n3": "voter"})
    assert others[1].etcdctl("get", "a", "--print-value-only").stdout.strip() == "c"


@pytest.mark.parametrize("machines", [2], indirect=True)
def test_backup_and_restore(machines):
    first, second = machines.nodes
    first.start()
    apply(first, 3)
    first.etcdctl("put", "a", "b")
    path = os.path.join(machines.directory, "backup")
    assert "checked" in first.culvert("backup", path).stdout
    again = first.culvert("restore", path, check=False)
    assert again.returncode == 1 and "a site of its own already" in again.stderr, again
    second.start()
    with open(path, "rb") as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    with open(path + ".bad", "wb") as file:
        file.write(data)
    bad = second.culvert("restore", path + ".bad", check=False)
    assert bad.returncode == 1 and "damaged" in bad.stderr, bad
    assert "restored" in second.culvert("restore", path).stdout
    wait_until(lambda: second.json("status")["revision"] == 1, "the revision")
    assert second.etcdctl("get", "a", "--print-value-only").stdout.strip() == "b"
    assert second.nodes()["site"] != first.nodes()["site"]
    wait_until(lambda: second.roles() == {"n2": "voter"}, "the old site's nodes to be forgotten")
    second.etcdctl("put", "a", "c")
    second.kill()
    second.start()
    assert second.etcdctl("get", "a", "--print-value-only").stdout.strip() == "c"


@pytest.mark.parametrize("machines", [3], indirect=True)
def test_tokens(machines):
    first, second, third = (node.start() for node in machines.nodes)
    where = f"{first.address}:{PORT}"
    token = first.token()

    def refused(node, token, text, at=where):
        done = node.culvert("node", "join", token, at, check=False)
        assert done.returncode == 1 and text in done.stderr, done

    refused(second, "culvert1.nonsense", "not a join token")
    refused(second, token[:-4] + "AAAA", "not a join token")
    refused(second, third.token(), "this is not the site of the token")
    refused(second, token, "did not let this node in", at=f"{first.address}:7999")
    second.culvert("node", "join", token, where)
    refused(second, first.token(), "a site of its own already")
    refused(third, token, "another node has used this token")
    short, made = first.token("--expires", "1s"), time.time()
    wait_until(lambda: time.time() > made + 2, "the token's end")
    refused(third, short, "the token has expired")
    many = first.token("--multiple", "--expires", "24h")
    third.culvert("node", "join", many, where)
    agree(machines.nodes, {"n1": "voter", "n2": "voter", "n3": "voter"})


def test_an_address_that_comes_later(machines):
    """The network is up only after culvertd has started, as on an appliance that asks for its address."""
    first, second = machines.nodes
    for node in machines.nodes:
        node.namespace.ip("-4", "addr", "flush", "dev", "eth0")
        node.namespace.ip("-6", "addr", "flush", "dev", "eth0")
        node.start("--listen", f"[::]:{PORT}")
    assert first.culvert("node", "token", check=False).returncode == 1
    for node in machines.nodes:
        node.namespace.ip("addr", "add", f"{node.address}/24", "dev", "eth0")
    wait_until(lambda: first.culvert("node", "token", check=False).returncode == 0, "a token")
    second.join(first)
    agree(machines.nodes, {"n1": "voter", "n2": "voter"})
