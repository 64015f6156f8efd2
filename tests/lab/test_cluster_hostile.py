# SPDX-License-Identifier: Apache-2.0
"""Bad input and bad luck: garbage on the ports, foreign certificates, full disks."""

import os
import textwrap

import pytest

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

FOREIGN = textwrap.dedent("""\
    import socket, ssl, sys
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["culvert/1"])
    if len(sys.argv) > 2:
        context.load_cert_chain(sys.argv[2])
    try:
        with socket.create_connection((sys.argv[1], 7480), 5) as plain, context.wrap_socket(plain) as secure:
            secure.settimeout(10)
            print("answer", secure.recv(1000))
    except OSError as error:
        print("refused", error)
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


def test_foreign_certificates(cluster):
    """None at all, and that of another site's node."""
    for words in ([], [os.path.join(cluster.stranger.state_dir, "identity", "node.pem")]):
        told = cluster.client.run("python3", "-c", FOREIGN, cluster.nodes[0].address, *words).stdout
        assert "refused" in told or "answer b''" in told, told
    works(cluster)
    assert len(cluster.nodes[0].nodes()["nodes"]) == 3


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
