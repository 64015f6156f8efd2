# SPDX-License-Identifier: Apache-2.0
"""Bad input and bad luck: garbage on the ports, foreign certificates, full disks."""

import os
import shutil
import textwrap

import pytest

from tests.lab.clients import hello
from tests.lab.cluster import ETCD, PORT, Cluster
from tests.lab.wait import wait_until

GARBAGE = textwrap.dedent("""\
    import os, random, socket, sys
    chance = random.Random(7)
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(32)
    preface = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"
    for number in range(120):
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as connection:
            connection.settimeout(0.05)
            start = chance.choice([b"", hello, preface, b"GET / HTTP/1.1\\r\\n", b"\\0" * 100])
            try:
                connection.sendall(start + chance.randbytes(chance.randrange(5000)))
                connection.recv(1000)
            except OSError:
                pass
""")

@pytest.fixture(scope="module")
def cluster(build):
    """Three nodes that are one site, and a fourth that is its own."""
    made = Cluster(build, 4)
    stranger = made.nodes.pop()
    try:
        made.form()
        made.stranger = stranger.start()
        yield made
    finally:
        made.nodes.append(stranger)
        print(made.logs())
        made.close()


def works(cluster):
    first, _, third = cluster.nodes
    wait_until(lambda: all(node.nodes()["quorum"] for node in cluster.nodes), "a quorum")
    first.etcdctl("put", "works", "yes")
    assert third.etcdctl("get", "works", "--print-value-only").stdout.strip() == "yes"
    assert all(node["connected"] for node in first.nodes()["nodes"])


@pytest.mark.parametrize("port", [PORT, ETCD])
def test_garbage(cluster, port):
    for node in cluster.nodes:
        cluster.client.run("python3", "-c", GARBAGE, node.address, port, timeout=60)
    works(cluster)


def made_up(cluster, node, site):
    """A key and certificate as a member's, of a CA that somebody made himself."""
    path = os.path.join(cluster.directory, f"made-up-{site}-{node}.pem")
    cluster.client.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
        "-subj", "/CN=made up", "-addext", f"subjectAltName=URI:culvert://{site}/{node}",
        "-keyout", path, "-out", path + ".certificate",
    )  # fmt: skip
    with open(path, "a") as file, open(path + ".certificate") as certificate:
        file.write(certificate.read())
    return path


def test_foreign_certificates(cluster):
    """None at all, that of another site's node, and one that says it is a member but of another CA."""
    first, second, _ = cluster.nodes
    answer = first.nodes()
    member = int(answer["nodes"][1]["id"], 16)
    own = os.path.join(second.state_dir, "identity", "node.pem")
    assert hello(first, own).strip() == "hello"  # what the others are not told
    stranger = os.path.join(cluster.stranger.state_dir, "identity", "node.pem")
    for pem in (None, stranger, made_up(cluster, member, answer["site"]), made_up(cluster, 1, "0" * 32)):
        told = hello(first, pem)
        assert "hello" not in told and told, (pem, told)
    assert "self-signed certificate" in first.process.log() or "unable to get local issuer" in first.process.log()
    works(cluster)
    assert len(first.nodes()["nodes"]) == 3


def test_another_sites_node_at_the_address(cluster):
    """A node that is started with another site's state at a member's address is not taken for it."""
    first, second, third = cluster.nodes
    third.stop()
    stranger = cluster.stranger
    stranger.stop()
    kept, third.state_dir = third.state_dir, stranger.state_dir
    try:
        third.start(wait=False)
        wait_until(lambda: "node n3 is not connected: the certificate is not accepted" in first.culvert("status").stdout, "why")
        assert first.etcdctl("put", "foreign", "no").returncode == 0
        assert third.nodes()["site"] != first.nodes()["site"]
        third.stop()
    finally:
        third.state_dir = kept
    third.start()
    stranger.start()
    works(cluster)


def test_a_node_with_older_state(build):
    """A disk put back from before has lost what was acknowledged: the node says so, and is rebuilt."""
    with Cluster(build) as made:
        leader = made.form().leader()
        node = next(one for one in made.nodes if one is not leader)
        copy = os.path.join(node.folder, "copy")
        node.stop()
        shutil.copytree(node.state_dir, copy)
        node.start()
        wait_until(lambda: caught_up(leader, node.name), "the node to be back")
        for number in range(50):
            leader.etcdctl("put", f"later/{number}", str(number))
        wait_until(lambda: caught_up(leader, node.name), "the node to have all")
        node.kill()
        shutil.rmtree(node.state_dir)
        shutil.move(copy, node.state_dir)
        node.start()
        wait_until(lambda: "has lost entries of its log" in node.culvert("status").stdout, "the alarm", timeout=60)
        node.stop()
        node.culvert("node", "rebuild", "--state-dir", node.state_dir)
        node.start("--joins")
        node.join(leader)
        keys = ("get", "--prefix", "later/", "--keys-only")
        assert len(node.etcdctl(*keys).stdout.split()) == 50
        assert "has lost entries" not in node.culvert("status").stdout


def test_a_removed_node_returns(build):
    """Removed while it was off, it finds out when it is back, ends, and does not start again."""
    with Cluster(build) as made:
        first, second, third = made.form().nodes
        third.kill()
        first.culvert("node", "remove", "n3")
        first.etcdctl("put", "after", "it went")
        third.start(wait=False)
        wait_until(lambda: not third.process.alive(), "it to end", timeout=60)
        assert third.process.popen.returncode == 3
        assert "was removed from its site" in third.process.log()
        assert "it is not a member of the site" in first.process.log() + second.process.log()
        third.start(wait=False)
        wait_until(lambda: not third.process.alive(), "it to refuse", timeout=60)
        assert "culvert node rebuild" in third.process.log()
        assert set(first.roles()) == set(second.roles()) == {"n1", "n2"}
        assert first.etcdctl("get", "after", "--print-value-only").stdout.strip() == "it went"


def test_another_sites_token(cluster):
    first = cluster.nodes[0]
    done = cluster.stranger.culvert("node", "join", cluster.stranger.token(), f"{first.address}:{PORT}", check=False)
    assert done.returncode == 1 and "not the site of the token" in done.stderr
    works(cluster)


def test_a_full_disk(build):
    with Cluster(build) as made:
        node = made.nodes[2]
        node.mount_small("220m")
        made.form()
        fill = os.path.join(node.state_dir, "fill")
        free = os.statvfs(node.state_dir)
        with open(fill, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, (free.f_bavail - 64) * free.f_frsize)
        try:
            for number in range(150):
                put_big(made, number)
            wait_until(lambda: "no space left" in node.culvert("status").stdout, "the alarm", timeout=60)
            assert made.writes_again(made.nodes[:2]) < 10  # the others go on
            os.unlink(fill)
            wait_until(lambda: caught_up(made.nodes[0], "n3"), "the node to catch up", timeout=60)
            wait_until(lambda: "no space left" not in node.culvert("status").stdout, "the alarm's end")
        except BaseException:
            print(made.logs())
            raise


def put_big(made, number):
    """By the gateway: a command line holds no more than 128 KiB."""
    body = '{"key":"YmlnJWQ=","value":"' + "QUFB" * 150_000 + '"}'
    path = os.path.join(made.directory, "body")
    with open(path, "w") as file:
        file.write(body)
    made.client.run("curl", "-sf", "-d", f"@{path}", f"http://{made.nodes[number % 2].address}:{ETCD}/v3/kv/put")


def caught_up(node, name):
    found = next(n for n in node.nodes()["nodes"] if n["name"] == name)
    leader = next(n for n in node.cluster.nodes if n.name == node.leader())
    if leader is not node:
        found = next(n for n in leader.nodes()["nodes"] if n["name"] == name)
    return found["connected"] and found["lag"] == 0
