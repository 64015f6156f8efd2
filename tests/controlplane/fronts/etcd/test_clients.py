# SPDX-License-Identifier: Apache-2.0
"""Other clients: python3-etcd3, and the gateway as Patroni uses it."""

import json

from tests.controlplane.fronts.etcd import rig
from tests.controlplane.fronts.etcd.test_same import b64
from tests.lab.wait import wait_until

PYTHON = """
import etcd3, sys, threading
client = etcd3.client(port=2379, timeout=20)
"""


def test_python_keys(server):
    server.python(PYTHON + """
client.put("a/1", "x"); client.put("a/2", "y")
assert client.get("a/1")[0] == b"x"
assert [pair[0] for pair in client.get_prefix("a/")] == [b"x", b"y"]
ok, answers = client.transaction(
    compare=[client.transactions.value("a/1") == "x", client.transactions.version("a/9") == 0],
    success=[client.transactions.put("a/1", "z"), client.transactions.get("a/1")],
    failure=[])
assert ok and answers[1][0][0] == b"z", answers
assert client.replace("a/1", "z", "w") and not client.replace("a/1", "z", "v")
assert client.put_if_not_exists("a/3", "n") and not client.put_if_not_exists("a/3", "n")
assert client.delete("a/1") and not client.delete("a/1")
assert client.delete_prefix("a/").deleted == 2
client.compact(3)
assert client.status().version.startswith("3.5")
assert [member.name for member in client.members] == ["single"]
assert not list(client.list_alarms())
""")  # fmt: skip


def test_python_watch_lease_lock(server):
    server.python(PYTHON + """
events, cancel = client.watch_prefix("w/")
lease = client.lease(60)
client.put("w/1", "x", lease)
event = next(events)
assert (event.key, event.value, type(event).__name__) == (b"w/1", b"x", "PutEvent"), event
assert lease.remaining_ttl > 50 and list(lease.keys) == [b"w/1"]
assert list(lease.refresh())[0].TTL == 60
lease.revoke()
assert type(next(events)).__name__ == "DeleteEvent"
cancel()
with client.lock("one", ttl=10) as lock:
    assert lock.is_acquired()
assert client.lock("one", ttl=10).acquire(timeout=10)
client.close()
""")  # fmt: skip


def test_python_auth(asan, tmp_path):
    """grpc sends tokens over TLS only."""
    rig.certificates(tmp_path)
    with rig.lab() as lab:
        server = rig.front(lab, asan, "front", tmp_path / "server.crt", tmp_path / "server.key")
        server.words[0] = "--endpoints=https://127.0.0.1:2379"
        server.words.append(f"--cacert={tmp_path}/ca.crt")
        for words in ("user add root:pw", "auth enable"):
            server.text(*words.split())
        server.python("""
import etcd3, sys
client = etcd3.client(port=2379, ca_cert=sys.argv[1], user="root", password="pw", timeout=20)
client.put("a", "1")
assert client.get("a")[0] == b"1"
try:
    etcd3.client(port=2379, ca_cert=sys.argv[1], timeout=20).get("a")
except Exception as error:
    assert "user name is empty" in str(error), error
else:
    raise SystemExit("it should have been refused")
""", str(tmp_path / "ca.crt"))  # fmt: skip
        rig.stop(server)


def test_patroni(server):
    """What Patroni's etcd3 module asks: version, tokens, a lease, a race for the leader's key, a
    watch; all over the gateway."""
    version = server.space.run("curl", "-sS", "http://127.0.0.1:2379/version").stdout
    assert json.loads(version)["etcdserver"].startswith("3.5")
    for words in ("user add root:pw", "auth enable"):
        server.text(*words.split())
    status, answer = server.post("/v3/auth/authenticate", {"name": "root", "password": "pw"})
    assert status == 200
    token = ["-H", f"authorization: {json.loads(answer)['token']}"]
    assert server.post("/v3/kv/range", {"key": b64("a")})[0] == 400
    signed = json.loads(answer)["token"]
    for forged in ("x", "70.1.aa", "726f6f74.99999999999." + "0" * 64, signed[:-1], signed + "0", signed.upper()):
        status, refusal = server.post("/v3/kv/range", {"key": b64("a")}, "-H", f"authorization: {forged}")
        assert status == 401 and json.loads(refusal)["code"] == 16, forged
    lease = json.loads(server.post("/v3/lease/grant", {"TTL": 30}, *token)[1])["ID"]
    leader = {"key": b64("/service/leader"), "value": b64("one"), "lease": lease}
    race = {
        "compare": [{"key": leader["key"], "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
        "success": [{"request_put": leader}],
    }
    assert json.loads(server.post("/v3/kv/txn", race, *token)[1]).get("succeeded") is True
    assert json.loads(server.post("/v3/kv/txn", race, *token)[1]).get("succeeded") is None
    watch = server.space.start(
        "watch", "curl", "-sSN", *token, "http://127.0.0.1:2379/v3/watch", "-d",
        json.dumps({"create_request": {"key": b64("/service/"), "range_end": b64("/service0"), "start_revision": "2"}}),
    )  # fmt: skip
    wait_until(lambda: '"created":true' in watch.log() and '"events"' in watch.log(), "the watch")
    assert server.post("/v3/kv/deleterange", {"key": leader["key"]}, *token)[0] == 200
    wait_until(lambda: '"type":"DELETE"' in watch.log(), "the deletion")


def test_plain_http(server):
    def head(*options):
        return server.space.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *options).stdout

    base = "http://127.0.0.1:2379"
    assert head(base + "/health") == "200"
    assert head(base + "/nothing") == "404"
    assert head(base + "/v3/kv/nothing", "-d", "{}") == "404"
    assert head("-X", "DELETE", base + "/v3/kv/range") == "405"
    assert head(base + "/v3/kv/range", "-d", "{") == "400"
    assert head(base + "/v3/kv/range", "-d", '{"key": "!"}') == "400"
    assert head(base + "/v3/kv/range", "-d", '{"key": []}') == "400"
