# SPDX-License-Identifier: Apache-2.0
"""etcdctl 3.5 against the front: what people type."""

import os

import pytest

from tests.controlplane.fronts.etcd import rig
from tests.lab.wait import wait_until


def test_keys(server):
    assert server.text("put", "a", "1") == "OK\n"
    server.text("put", "b", "2")
    assert server.text("get", "a") == "a\n1\n"
    assert server.text("get", "", "--prefix", "--keys-only").split() == ["a", "b"]
    assert server.text("get", "a", "--from-key", "--print-value-only").split() == ["1", "2"]
    assert server.text("put", "a", "3", "--prev-kv") == "OK\na\n1\n"
    assert server.text("get", "a", "--rev=2") == "a\n1\n"
    assert server.text("del", "a", "--prev-kv") == "1\na\n3\n"
    assert server.text("get", "a") == ""
    assert server.text("get", "", "--prefix", "--count-only", "--write-out=fields").count('"Count" : 1') == 1
    assert "key is not provided" in server.refused("put", "", "x")


def test_txn(server):
    server.text("put", "k", "1")
    story = 'mod("k") > "1"\nvalue("k") = "1"\n\nput k 2\nget k\n\nget k\n\n'
    answers = server.text("txn", input=story)
    assert answers.split() == ["SUCCESS", "OK", "k", "2"]
    assert server.text("txn", input=story).split() == ["FAILURE", "k", "2"]


def test_large_txn_is_refused(server):
    puts = "".join(f"put k{i} v\n" for i in range(200))
    assert "too many operations" in server.refused("txn", input="\n" + puts + "\n\n")
    assert "duplicate key" in server.refused("txn", input="\nput k 1\nput k 2\n\n\n")


def test_value_too_large(server):
    big = os.path.join(server.lab.directory, "big")
    with open(big, "w") as file:
        file.write("x" * (1600 << 10))
    with open(big) as file:
        assert "request is too large" in server.refused("put", "big", stdin=file)
    with open(big, "w") as file:
        file.write("x" * (1400 << 10))
    with open(big) as file:
        server.text("put", "big", stdin=file)
    assert len(server.text("get", "big", "--print-value-only")) == (1400 << 10) + 1


def test_watch(server):
    watch = server.start_ctl("watch", "watch", "--prefix", "w", "--prev-kv", "--progress-notify")
    past = server.start_ctl("past", "watch", "w", "--prefix", "--rev=1")
    server.text("put", "other", "x")

    def seen(process, text):
        wait_until(lambda: process.log().replace("\n", " ").strip().endswith(text), f"{text!r} in the watch")

    def begun():
        """The watch has begun when it sees a put."""
        server.text("put", "w1", "0")
        return "PUT" in watch.log()

    wait_until(begun, "the watch")
    server.text("put", "w1", "a")
    seen(watch, "PUT w1 0 w1 a")
    server.text("del", "w1")
    seen(watch, "DELETE w1 a w1")
    seen(past, "DELETE w1")
    for process in (watch, past):
        process.stop()


def test_watch_after_compaction(server):
    for value in "abc":
        server.text("put", "k", value)
    server.text("compaction", "4")
    assert "compacted" in server.refused("watch", "k", "--rev=2")
    assert "compacted" in server.refused("get", "k", "--rev=2")
    assert "compacted" in server.refused("compaction", "2")
    assert "future revision" in server.refused("compaction", "99")


def test_lease(server):
    lease = server.text("lease", "grant", "100").split()[1]
    server.text("put", f"--lease={lease}", "l1", "v")
    server.text("put", f"--lease={lease}", "l2", "v")
    assert "l1 l2" in server.text("lease", "timetolive", "--keys", lease)
    assert "keepalived with TTL(100)" in server.text("lease", "keep-alive", "--once", lease)
    assert lease in server.text("lease", "list")
    server.text("lease", "revoke", lease)
    assert server.text("get", "l", "--prefix") == ""
    assert "requested lease not found" in server.refused("lease", "revoke", lease)
    assert "already expired" in server.text("lease", "timetolive", lease)
    assert "requested lease not found" in server.refused("put", f"--lease={lease}", "l", "v")


def test_lease_expires(server):
    lease = server.text("lease", "grant", "1").split()[1]
    server.text("put", f"--lease={lease}", "gone", "v")
    wait_until(lambda: server.text("get", "gone") == "", "the end of the lease")


def test_keep_alive_keeps(server):
    lease = server.text("lease", "grant", "2").split()[1]
    keeper = server.start_ctl("keeper", "lease", "keep-alive", lease)
    wait_until(lambda: keeper.log().count("keepalived") >= 5, "five signs of life")
    assert "remaining(" in server.text("lease", "timetolive", lease)
    keeper.stop()
    wait_until(lambda: "already expired" in server.text("lease", "timetolive", lease), "the end of the lease")


def test_lock(server):
    held = server.start_ctl("held", "lock", "mutex")
    wait_until(lambda: "mutex/" in held.log(), "the lock")
    second = server.start_ctl("second", "lock", "mutex", "echo", "mine")
    wait_until(lambda: server.text("get", "mutex", "--prefix", "--keys-only").count("mutex/") == 2, "the second")
    assert "mine" not in second.log()
    held.stop()
    wait_until(lambda: "mine" in second.log(), "the lock to change hands")


def test_elect(server):
    first = server.start_ctl("first", "elect", "post", "p1")
    wait_until(lambda: "p1" in first.log(), "the first to be elected")
    second = server.start_ctl("second", "elect", "post", "p2")
    listener = server.start_ctl("listener", "elect", "--listen", "post")
    wait_until(lambda: "p1" in listener.log(), "the listener")
    first.stop()
    wait_until(lambda: "p2" in second.log() and "p2" in listener.log(), "the second to be elected")
    second.kill()  # it would resign first
    listener.kill()


def test_endpoint_and_members(server):
    status = server.json("endpoint", "status")[0]["Status"]
    assert status["version"].startswith("3.5.") and status["leader"] == status["header"]["member_id"]
    assert "is healthy" in server.ctl("endpoint", "health").stdout
    member = server.json("member", "list")["members"][0]
    assert member["clientURLs"] == ["http://127.0.0.1:2379"]
    assert "not offered by culvert" in server.refused("member", "add", "x", "--peer-urls=http://10.0.0.1:2380")
    assert "bad leader transferee" in server.refused("move-leader", "1234")
    first = server.text("endpoint", "hashkv")
    assert first == server.text("endpoint", "hashkv")
    server.text("put", "a", "b")
    assert first != server.text("endpoint", "hashkv")
    assert "Finished defragmenting" in server.text("defrag")


def test_snapshot(server):
    for i in range(20):
        server.text("put", f"k{i}", "x" * 10000)
    file = os.path.join(server.lab.directory, "snapshot")
    assert "Snapshot saved" in server.text("snapshot", "save", file)
    assert os.path.getsize(file) % 512 == 32
    with open(file, "rb") as saved:
        assert saved.read().startswith(b"culvert-kv-1\n")


def test_alarm(server):
    assert server.text("alarm", "list") == ""
    assert server.text("alarm", "disarm") == ""
    assert server.post("/v3/maintenance/alarm", {"action": "ACTIVATE", "alarm": "NOSPACE"})[0] == 200
    assert "NOSPACE" in server.text("alarm", "list")
    assert "database space exceeded" in server.refused("put", "a", "b")
    assert "NOSPACE" in server.text("alarm", "disarm")
    assert server.text("alarm", "list") == ""
    server.text("put", "a", "b")


def test_users_and_roles(server):
    root, bob = ["--user=root:pw"], ["--user=bob:b"]
    server.text("user", "add", "root:pw")
    server.text("auth", "enable")  # grants root its role
    server.text("user", "add", "bob:b", *root)
    server.text("role", "add", "reader", *root)
    server.text("role", "grant-permission", "reader", "readwrite", "foo", "fop", *root)
    server.text("role", "add", "later", *root)
    server.text("role", "grant-permission", "later", "read", "fop", "foq", *root)
    for role in ("reader", "later"):
        server.text("user", "grant-role", "bob", role, *root)
    server.text("put", "foo1", "x", *bob)
    assert server.text("get", "foo", "foq", *bob) == "foo1\nx\n"  # two roles, one range
    assert "permission denied" in server.refused("get", "foo", "fox", *bob)
    assert "permission denied" in server.refused("put", "fop1", "x", *bob)
    assert "permission denied" in server.refused("del", "foo", "foq", *bob)
    assert "permission denied" in server.refused("watch", "bar", *bob)
    assert "permission denied" in server.refused("user", "list", *bob)
    assert "user name is empty" in server.refused("get", "foo1")
    assert "authentication failed" in server.refused("get", "foo1", "--user=bob:wrong")
    assert "authentication failed" in server.refused("get", "foo1", "--user=eve:b")
    assert "invalid auth management" in server.refused("user", "delete", "root", *root)
    server.text("role", "delete", "reader", *root)
    assert "permission denied" in server.refused("get", "foo1", *bob)
    server.text("auth", "disable", *root)
    assert server.text("get", "foo1") == "foo1\nx\n"


def test_lease_of_other_keys(server):
    """A lease with a key that the user may not write is not the user's to use or to end."""
    server.text("user", "add", "root:pw")
    server.text("role", "add", "own")
    server.text("role", "grant-permission", "own", "readwrite", "own", "--prefix")
    server.text("user", "add", "bob:b")
    server.text("user", "grant-role", "bob", "own")
    lease = server.text("lease", "grant", "100").split()[1]
    server.text("put", f"--lease={lease}", "other", "x")
    server.text("auth", "enable")
    assert "permission denied" in server.refused("put", f"--lease={lease}", "own1", "x", "--user=bob:b")
    assert "permission denied" in server.refused("lease", "revoke", lease, "--user=bob:b")


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(asan, tmp_path, mutual):
    rig.certificates(tmp_path)
    files = [tmp_path / "server.crt", tmp_path / "server.key"] + ([tmp_path / "ca.crt"] if mutual else [])
    own = [f"--cert={tmp_path}/alice.crt", f"--key={tmp_path}/alice.key"]
    with rig.lab() as lab:
        server = rig.front(lab, asan, "front", *files)
        plain = list(server.words)
        server.words += [f"--cacert={tmp_path}/ca.crt"] + (own if mutual else [])
        server.words[0] = "--endpoints=https://127.0.0.1:2379"
        server.text("put", "a", "1")
        assert server.text("get", "a") == "a\n1\n"
        curl = ["curl", "-sS", "--cacert", tmp_path / "ca.crt", "https://127.0.0.1:2379/health"]
        if mutual:
            curl += ["--cert", tmp_path / "alice.crt", "--key", tmp_path / "alice.key"]
        assert '"health":"true"' in server.space.run(*curl).stdout
        if mutual:
            # The certificate's name is the user's.
            for words in ("user add root:pw", "user add alice:x", "role add r", "user grant-role alice r"):
                server.text(*words.split())
            server.text("role", "grant-permission", "r", "readwrite", "a", "b")
            server.text("auth", "enable")
            assert server.text("get", "a") == "a\n1\n"
            assert "permission denied" in server.refused("get", "b")
            server.words = [*plain, f"--cacert={tmp_path}/ca.crt", "--endpoints=https://127.0.0.1:2379"]
            server.words = [word for word in server.words if word != "--endpoints=127.0.0.1:2379"]
            server.refused("get", "a", "--command-timeout=2s")
        rig.stop(server)
