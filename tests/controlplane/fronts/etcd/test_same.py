# SPDX-License-Identifier: Apache-2.0
"""The same commands to the front and to a real etcd: the same answers, but for the ids."""

import base64
import json
import re

import pytest

# What is a server's own; and what the upstream gateway says twice, and Debian's build once.
DROPPED = {"cluster_id", "member_id", "raft_term", "memberID", "error"}


def plain(value):
    """Without that."""
    if isinstance(value, dict):
        if "leases" in value:
            value["leases"].sort(key=lambda lease: lease["ID"])
        return {key: plain(inner) for key, inner in value.items() if key not in DROPPED}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def error_of(text):
    found = re.search(r"Error: (.*)|watch was canceled \((.*)\)", text)
    return found and (found.group(1) or found.group(2))


def ask(server, words, story=None):
    done = server.ctl(*words, "-w", "json", check=False, input=story)
    if done.returncode:
        return error_of(done.stderr)
    lines = done.stdout.splitlines()
    return [plain(json.loads(line)) if line.startswith("{") else line for line in lines]


# etcdctl's words, and what it reads.
COMMANDS = [
    ("get missing", None),
    ("put a 1", None),
    ("put b 2", None),
    ("put a 3 --prev-kv", None),
    ("get a", None),
    ("get a --rev=2", None),
    ("get a --rev=99", None),
    ("get a c", None),
    ("get c a", None),
    ("get --prefix a", None),
    ("get --from-key a --limit=1", None),
    ("get --from-key a --sort-by=VALUE --order=DESCEND", None),
    ("get --from-key a --sort-by=MODIFY", None),
    ("get --from-key a --keys-only", None),
    ("get --from-key a --count-only", None),
    ("put nothing --ignore-value", None),
    ("put a --ignore-value", None),
    ("put a x --ignore-lease", None),
    ("put a x --lease=1234", None),
    ("txn", 'value("a") = "x"\n\nput a y\nget a\nput b z\nget --prefix a\n\nget a\n\n'),
    ("txn", 'value("a") = "x"\n\nput a y\n\nget a\nget b\n\n'),
    ("txn", 'mod("none") = "0"\nver("a") > "1"\ncreate("a") = "2"\n\ndel none\nget a\n\n\n'),
    ("txn", '\nget a\ndel a\nget a\nput a again\n\n\n'),
    ("txn", '\nput a 1\ndel a b\n\n\n'),
    ("txn", '\nput a 1\nput a 2\n\n\n'),
    ("del b --prev-kv", None),
    ("del b", None),
    ("del --from-key none", None),
    ("get --from-key a", None),
    ("compaction 3", None),
    ("get a --rev=2", None),
    ("compaction 3", None),
    ("compaction 1000", None),
    ("lease revoke 1234", None),
    ("lease timetolive 1234", None),
    ("lease list", None),
    ("put empty --", ""),
]  # fmt: skip


def test_etcdctl(pair):
    for words, story in COMMANDS:
        ours, theirs = (ask(server, words.split(), story) for server in pair)
        assert ours == theirs, f"etcdctl {words} {story or ''}"
        assert ours is not None, words


def b64(text):
    return base64.b64encode(text.encode()).decode()


K = {"key": b64("json")}
REQUESTS = [
    ("/v3/kv/put", {**K, "value": b64("1")}),
    ("/v3/kv/put", {**K, "value": b64("2"), "prev_kv": True}),
    ("/v3/kv/put", {**K, "value": b64("3"), "prevKv": True, "unknown": [{}]}),
    ("/v3/kv/range", K),
    ("/v3/kv/range", {**K, "revision": "1000000"}),
    ("/v3/kv/range", {**K, "serializable": True, "limit": 1}),
    ("/v3/kv/range", {"key": b64("json"), "range_end": b64("\0")}),
    ("/v3beta/kv/range", {"key": b64("json"), "rangeEnd": b64("jsoo"), "count_only": True}),
    ("/v3/kv/range", {**K, "sort_order": "DESCEND", "sort_target": "MOD"}),
    ("/v3/kv/range", {}),
    ("/v3/kv/put", {}),
    ("/v3/kv/deleterange", {}),
    ("/v3/kv/txn", {}),
    ("/v3/kv/txn", {"success": [{}]}),
    ("/v3/kv/txn", {"compare": [{}]}),
    ("/v3/kv/txn", {"compare": [{**K, "target": "VALUE", "value": b64("3")}], "success": [
        {"requestPut": {**K, "value": b64("4")}}, {"request_range": K}, {"request_txn": {"success": [
            {"request_delete_range": {"key": b64("no")}}]}}]}),
    ("/v3/kv/deleterange", {**K, "prev_kv": True}),
    ("/v3/lease/grant", {"TTL": 50, "ID": 7777}),
    ("/v3/lease/grant", {"TTL": 50, "ID": "7777"}),
    ("/v3/lease/grant", {"TTL": "9000000001"}),
    ("/v3/lease/grant", {"TTL": "0", "ID": "7778"}),
    ("/v3/lease/timetolive", {"ID": "7777", "keys": True}),
    ("/v3/kv/lease/timetolive", {"ID": "1"}),
    ("/v3/lease/leases", {}),
    ("/v3/lease/keepalive", {"ID": "7777"}),
    ("/v3/lease/keepalive", {"ID": "1"}),
    ("/v3/kv/lease/revoke", {"ID": "7777"}),
    ("/v3/lease/revoke", {"ID": "7777"}),
    ("/v3/lease/revoke", {"ID": "7778"}),
    ("/v3/auth/authenticate", {"name": "a", "password": "b"}),
    ("/v3/auth/status", {}),
    ("/v3/auth/enable", {}),
    ("/v3/auth/user/get", {"name": "nobody"}),
    ("/v3/auth/user/add", {"name": ""}),
    ("/v3/auth/user/delete", {"name": "nobody"}),
    ("/v3/auth/role/get", {"role": "nothing"}),
    ("/v3/auth/role/add", {"name": ""}),
    ("/v3/auth/role/grant", {"name": "nothing"}),
    ("/v3/auth/role/delete", {"role": "nothing"}),
    ("/v3/auth/role/list", {}),
    ("/v3/maintenance/alarm", {}),
    ("/v3/maintenance/defragment", {}),
]  # fmt: skip


@pytest.mark.parametrize("path, message", REQUESTS)
def test_gateway(pair, path, message):
    (ours_status, ours), (theirs_status, theirs) = (server.post(path, message) for server in pair)
    print(ours, theirs, sep="\n")
    ours, theirs = plain(json.loads(ours)), plain(json.loads(theirs))
    if "timetolive" in path and "TTL" in theirs:  # it may take a second off at any time
        assert abs(int(ours.pop("TTL")) - int(theirs.pop("TTL"))) <= 1
    assert ours == theirs
    assert ours_status == theirs_status


def watched(server, *create, lines):
    """What a watch stream answers first."""
    body = "".join(json.dumps({"create_request": one}) for one in create)
    code = (
        "import sys, urllib.request\n"
        "stream = urllib.request.urlopen(sys.argv[1], data=sys.argv[2].encode(), timeout=20)\n"
        "for _ in range(int(sys.argv[3])): print(stream.readline().decode().strip())\n"
    )
    text = server.python(code, "http://127.0.0.1:2379/v3/watch", body, lines)
    return [plain(json.loads(line)) for line in text.splitlines()]


@pytest.mark.parametrize("options, lines", [
    ({}, 2),
    ({"prev_kv": True}, 2),
    ({"filters": ["NOPUT"]}, 2),
    ({"filters": ["NODELETE"]}, 2),
    ({"watch_id": 5}, 2),
    ({"start_revision": 1}, 2),
    ({"range_end": b64("v")}, 1),
])  # fmt: skip
def test_watch(pair, options, lines):
    answers = []
    for server in pair:
        first = server.json("put", "watched", "1")["header"]["revision"]
        server.text("put", "watched", "2")
        server.text("del", "watched")
        story = {"key": b64("watched"), "start_revision": first, **options}
        if story["start_revision"] == 1:
            server.ctl("compaction", str(first), check=False)
        answers.append(watched(server, story, lines=lines))
    assert answers[0] == answers[1]
