# SPDX-License-Identifier: Apache-2.0
"""The API from another machine: tokens, roles, TLS, and what becomes of those who have no right."""

import json
import os
import re
import ssl
import subprocess
import time

import pytest

from tests.lab.cluster import Cluster
from tests.lab.wait import wait_until

PORT = 8443
SITE = """\
site: lab
pools: {{ web: {{ drain: {drain}s }} }}
api: {{ listen: [{listen}] }}
"""


def write_site(cluster, drain=60):
    path = os.path.join(cluster.directory, "site.yaml")
    listen = ", ".join(f"{node.address}:{PORT}" for node in cluster.nodes)
    with open(path, "w") as file:
        file.write(SITE.format(drain=drain, listen=listen))
    return path


class Remote:
    """The CLI on the client's machine, with a token."""

    def __init__(self, cluster, name, text):
        self.cluster = cluster
        self.file = os.path.join(cluster.directory, f"{name}.token")
        with open(self.file, "w") as file:
            file.write(text + "\n")

    def __call__(self, node, *words, check=True, ca=None, at=None):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CULVERT_")}
        command = [self.cluster.binary("controlplane", "cli", "culvert"), "--server", url(node), *words]
        command += ["--token-file", self.file] + (["--ca", ca] if ca else [])
        return (at or self.cluster.client).run(*command, check=check, env=environment, timeout=60)

    def refused(self, node, *words, **kwargs):
        done = self(node, *words, check=False, **kwargs)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        return done.stderr


def url(node):
    return f"https://{node.address}:{PORT}"


def create(cluster, name, role, *words, node=None):
    done = (node or cluster.nodes[0]).culvert("token", "create", name, "--role", role, *words)
    return Remote(cluster, name, done.stdout.strip())


def audit(node, what):
    return [line for line in node.json("audit")["audit"] if line["what"] == what]


@pytest.fixture
def cluster(build, request):
    """A site whose nodes offer the API."""
    with Cluster(build, getattr(request, "param", 1)).told(request) as made:
        made.form()
        made.nodes[0].culvert("apply", write_site(made))
        for node in made.nodes:
            wait_until(lambda n=node: listens(n), f"the API of {node.name}")
        yield made


def listens(node):
    return any(one["listening"] for one in node.json("status")["api"]["listeners"])


def curl(cluster, *words):
    """The status that is answered, 0: none, and the body."""
    done = cluster.client.run(
        "curl", "-sk", "--max-time", "30", "-w", "\n%{http_code}", *words, check=False, timeout=60
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_three_nodes(cluster):
    """A token made on one node counts on all, and no longer once it is revoked on another."""
    first, second, third = cluster.nodes
    for node in cluster.nodes:
        own = [one["address"] for one in node.json("status")["api"]["listeners"] if one["listening"]]
        assert own == [f"{node.address}:{PORT}"]
        assert not any("API" in alarm for alarm in node.json("status")["alarms"])
    operator = create(cluster, "ci", "operator", node=second)
    for number, node in enumerate(cluster.nodes, 2):
        done = operator(node, "apply", write_site(cluster, drain=60 + number), "-o", "json")
        assert json.loads(done.stdout)["revision"] == number
    line = audit(third, "apply")[0]
    assert line["user"] == "token:ci" and line["role"] == "operator" and line["author"] == "ci"
    assert re.fullmatch(r"10\.9\.0\.100:\d+", line["from"])
    for _ in range(3):  # each time on another node than it is used
        for one, other in ((first, second), (second, third), (third, first)):
            token = create(cluster, "short", "reader", node=one)
            token(other, "version")
            one.culvert("token", "revoke", "short")
            assert "revoked" in token.refused(other, "version")
    operator.refused(third, "token", "list")


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_revoked_while_a_node_is_cut_off(cluster):
    """It has not heard of it, and takes the token for nothing that matters."""
    first, second, third = cluster.nodes
    operator = create(cluster, "ci", "operator", node=third)
    operator(third, "audit", at=third.namespace)
    third.cut()
    wait_until(lambda: second.culvert("token", "revoke", "ci", check=False).returncode == 0, "a leader among the others")
    assert "can't be checked" in operator.refused(third, "audit", at=third.namespace)
    assert "it was revoked" in operator.refused(first, "version", at=first.namespace)
    third.mend()
    wait_until(lambda: "it was revoked" in operator(third, "version", check=False).stderr, "it to hear of it")


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_without_a_quorum(cluster):
    """What a node has is good enough to look at it, to change anything it isn't."""
    survivor, *others = cluster.nodes
    admin = create(cluster, "boss", "admin")
    admin(survivor, "version")
    for node in others:
        node.kill()
    wait_until(lambda: not survivor.nodes()["quorum"], "the loss to be noticed")
    assert "no node leads" in admin(survivor, "status").stdout
    for words in (("token", "list"), ("node", "recover", "--yes"), ("apply", write_site(cluster, drain=99))):
        assert "can't be checked" in admin.refused(survivor, *words)
    survivor.culvert("node", "recover", "--yes")
    admin(survivor, "token", "list")


def test_roles(cluster):
    (node,) = cluster.nodes
    reader = create(cluster, "ro", "reader")
    operator = create(cluster, "ci", "operator")
    admin = create(cluster, "boss", "admin", "--expires", "never")
    changed = write_site(cluster, drain=61)
    backup = os.path.join(cluster.directory, "backup")
    for words in (("status",), ("get", "pools.web"), ("history",), ("node", "list"), ("counters",)):
        for who in (reader, operator, admin):
            who(node, *words)
    for words in (("apply", changed), ("diff", changed), ("rollback", "1"), ("confirm",), ("audit",)):
        assert "token:ro is of role reader and may not do this: role operator is needed" in reader.refused(node, *words)
    for words in (("token", "list"), ("token", "create", "x", "--role", "admin"), ("token", "revoke", "boss"),
                  ("node", "token"), ("node", "remove", "n1"), ("backup", backup)):  # fmt: skip
        for who in (reader, operator):
            assert "role admin is needed" in who.refused(node, *words)
    operator(node, "apply", changed, "--confirm", "5m")
    operator(node, "confirm")
    admin(node, "backup", backup)
    admin(node, "node", "token")
    tokens = json.loads(admin(node, "token", "list", "-o", "json").stdout)["tokens"]
    assert {one["name"]: one["role"] for one in tokens} == {"ro": "reader", "ci": "operator", "boss": "admin"}
    assert next(one for one in tokens if one["name"] == "boss")["expires"] is None
    secret = open(admin.file).read().strip().split(".")[2]
    assert secret.encode() not in open(backup, "rb").read()
    assert secret not in node.process.log() and secret not in json.dumps(node.json("audit"))
    assert audit(node, "token create")[0]["comment"] == "boss, admin"
    assert audit(node, "backup")[0]["user"] == "token:boss"


def test_secrets_are_not_for_readers(cluster):
    (node,) = cluster.nodes
    reader, operator = create(cluster, "ro", "reader"), create(cluster, "ci", "operator")
    keys, text, stars = ["0123456789abcdef" * 2, "f" * 32], "e" * 32, "*" * 32
    zone = f"""zones: {{ example.com: {{ soa: {{ mname: ns, rname: host }},
      records: {{ "@": {{ NS: ns, TXT: '"key":"{text}"' }}, ns: {{ A: 192.0.2.53 }} }} }} }}
"""
    for key in keys:
        with open(write_site(cluster), "a") as file:
            file.write(f"dns: {{ key: {key} }}\n{zone}")
        operator(node, "apply", file.name)
    for words in (("get",), ("get", "dns"), ("history", "2"), ("history", "3"), ("get", "zones")):
        for form in ("text", "json"):
            shown, whole = (who(node, *words, "-o", form).stdout for who in (reader, operator))
            assert keys[0] not in shown and keys[1] not in shown
            if form == "json":
                assert shown == whole.replace(keys[0], stars).replace(keys[1], stars)
                assert (stars in shown) == (words != ("get", "zones")), shown
    assert text in reader(node, "get").stdout  # is none
    assert "not shown to readers" in reader.refused(node, "get", "dns.key")
    assert keys[1] in operator(node, "get", "dns.key").stdout
    header = f"Authorization: Bearer {open(reader.file).read().strip()}"
    status, body = curl(cluster, "-H", header, url(node) + "/v1/revisions/2")
    assert status == 200 and f'"key":"{stars}"' in body and keys[0] not in body and text in body


def test_expired_revoked_garbage(cluster):
    (node,) = cluster.nodes
    short = create(cluster, "short", "reader", "--expires", "1s")
    wait_until(lambda: "the token has expired" in short(node, "version", check=False).stderr, "its end")
    assert node.json("token", "list")["tokens"][0]["expired"]
    gone = create(cluster, "gone", "reader")
    taken = node.culvert("token", "create", "gone", "--role", "reader", check=False)
    assert taken.returncode == 1 and "there is a token of that name" in taken.stderr
    identity = open(gone.file).read().split(".")[1]
    node.culvert("token", "revoke", identity)
    assert "it was revoked" in gone.refused(node, "version")
    assert "no such token" in node.culvert("token", "revoke", "gone", check=False).stderr
    text = open(create(cluster, "good", "reader").file).read().strip()
    for wrong in (text[:-1], text.replace(".", "", 1), "nonsense"):
        assert "holds no access token, or not a whole one" in Remote(cluster, "wrong", wrong).refused(node, "version")
    assert "is empty" in Remote(cluster, "empty", "").refused(node, "version")
    # Another's id with one's own secret.
    parts = text.split(".")
    forged = Remote(cluster, "forged", f"{parts[0]}.{identity}.{parts[2]}")
    assert "it was revoked, or is of another site" in forged.refused(node, "version")


def test_no_token_and_bad_ones(cluster):
    (node,) = cluster.nodes
    for words in ((), ("-H", "Authorization: Bearer x"), ("-H", "Authorization: Basic eDp5"), ("-X", "DELETE"),
                  ("-H", "Authorization: Bearer " + "x" * 2000)):  # fmt: skip
        for path in ("/v1/status", "/v1/nowhere", "/"):
            status, body = curl(cluster, *words, url(node) + path)
            assert status == 401 and json.loads(body)["errors"][0]["message"], (words, path, status, body)
    body = os.path.join(cluster.directory, "body")
    with open(body, "wb") as file:
        file.write(bytes(1 << 20))
    assert curl(cluster, "-X", "PUT", "--data-binary", f"@{body}", url(node) + "/v1/restore")[0] == 401
    # However many tried: one line. The log doesn't fill up.
    refused = audit(node, "refused")
    assert len(refused) == 1 and refused[0]["user"] == "unknown" and refused[0]["from"].startswith("10.9.0.100:")
    assert node.json("status")["api"]["refused"] >= 15
    for version in ("1.0", "1.1", "1.2"):
        assert curl(cluster, f"--tlsv{version}", "--tls-max", version, url(node) + "/v1/status")[0] == 0
    assert curl(cluster, "--tlsv1.3", url(node) + "/v1/status")[0] == 401
    assert curl(cluster, f"http://{node.address}:{PORT}/v1/status")[0] == 0


def test_who_the_server_is(cluster):
    (node,) = cluster.nodes
    reader = create(cluster, "ro", "reader")
    trust = os.path.join(node.state_dir, "identity", "trust.pem")
    with open(trust) as file:
        digest = ssl.PEM_cert_to_DER_cert(file.read())
    pin = subprocess.run(["sha256sum"], input=digest, capture_output=True).stdout.split()[0].decode()
    other = os.path.join(cluster.directory, "other.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
         "-keyout", "/dev/null", "-out", other], check=True, capture_output=True,
    )  # fmt: skip
    for good in (None, trust, f"sha256:{pin}"):
        reader(node, "version", ca=good)
    for wrong in (other, "sha256:" + "0" * 64):
        assert "is not of the CA that --ca names" in reader.refused(node, "version", ca=wrong)
    assert "holds no certificates" in reader.refused(node, "version", ca=reader.file)
    assert "64 hexadecimal digits" in reader.refused(node, "version", ca="sha256:12")
    # A token of another site: its secret is not sent to this one.
    before = node.json("status")["api"]["refused"]
    foreign = Cluster(cluster.binaries, 1)
    try:
        foreign.nodes[0].start()
        stranger = Remote(cluster, "foreign", foreign.nodes[0].culvert("token", "create", "a", "--role", "admin").stdout)
        assert "is not of the site that made the token" in stranger.refused(node, "version")
    finally:
        foreign.close()
    assert node.json("status")["api"]["refused"] == before


def test_who_does_not_answer(cluster):
    (node,) = cluster.nodes
    reader = create(cluster, "ro", "reader")
    node.culvert("apply", "-", input="site: lab\n")
    wait_until(lambda: "refused" in reader(node, "version", check=False).stderr, "it to listen no longer")
    assert "has the site file `api: { listen: }`" in reader.refused(node, "version")
    bad = cluster.binary("controlplane", "cli", "culvert")
    for server in ("http://10.9.0.1:8443", "https://", "https://10.9.0.1:x", "https://10.9.0.1:8443/v1"):
        done = cluster.client.run(bad, "--server", server, "--token-file", reader.file, "version", check=False)
        assert "takes a URL such as https://10.0.0.1:8443" in done.stderr, done.stderr


def test_slow_ones_are_cut(cluster):
    """Connections that bring nothing end, and keep nobody from coming in meanwhile."""
    (node,) = cluster.nodes
    reader = create(cluster, "ro", "reader")
    script = f"""
import socket, ssl
context = ssl._create_unverified_context()
raw = [socket.create_connection(("{node.address}", {PORT})) for _ in range(100)]
slow = context.wrap_socket(socket.create_connection(("{node.address}", {PORT})))
slow.settimeout(0.1)
print("there", flush=True)
text = b"GET /v1/status HTTP/1.1\\r\\nX-A: " + b"a" * 1000
for i in range(len(text)):
    try:
        slow.send(text[i:i + 1])
        if not slow.recv(1):
            break
        print("told", flush=True)
    except TimeoutError:
        pass
    except OSError:
        break
for one in raw:
    one.settimeout(60)
    try:
        while one.recv(100):
            pass
    except ConnectionResetError:
        pass
print("all cut")
"""
    process = cluster.client.start("slow", "python3", "-c", script)
    wait_until(lambda: "there" in process.log(), "the slow ones")
    for _ in range(3):
        reader(node, "status")
    wait_until(lambda: "all cut" in process.log(), "their end", timeout=90)


def test_restart(cluster):
    (node,) = cluster.nodes
    reader = create(cluster, "ro", "reader")
    node.stop()
    node.start()
    wait_until(lambda: listens(node), "the API")
    reader(node, "version")


def as_nobody(node, *words, groups=()):
    """The CLI on the node's machine, by a user of no right who is in these groups."""
    how = [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    for folder in (node.cluster.directory, node.folder, node.run_dir):
        os.chmod(folder, 0o755)
    return node.namespace.run(
        "setpriv", "--reuid=65534", "--regid=65534", *how, node.cluster.binary("controlplane", "cli", "culvert"),
        "--socket", os.path.join(node.run_dir, "api.sock"), *words, check=False,
    )  # fmt: skip


def test_unix_socket(cluster):
    (node,) = cluster.nodes
    node.culvert("token", "list")
    assert audit(node, "apply")[0]["user"] == "root" and audit(node, "apply")[0]["from"] == "local"
    assert "no permission for" in as_nobody(node, "status").stderr
    os.chmod(os.path.join(node.run_dir, "api.sock"), 0o666)
    done = as_nobody(node, "status")
    assert done.returncode == 1 and "is nobody here and may not do this: role reader is needed" in done.stderr
    assert "as a member of the group culvert, or show a token" in done.stderr
    reader = create(cluster, "ro", "reader")
    os.chmod(reader.file, 0o644)
    assert as_nobody(node, "--token-file", reader.file, "status").returncode == 0
    refused = as_nobody(node, "--token-file", reader.file, "rollback", "1")
    assert "role operator is needed" in refused.stderr
    assert [line["user"] for line in audit(node, "refused")] == ["token:ro", "nobody"]


GROUP = 4242


def test_members_of_the_group(cluster):
    """The group culvert may reach the socket, and is an operator there."""
    (node,) = cluster.nodes
    groups = os.path.join(cluster.directory, "groups")
    with open(groups, "w") as file:
        file.write(open("/etc/group").read() + f"culvert:x:{GROUP}:\n")
    node.stop()
    start = f"mount --bind {groups} /etc/group && exec \"$@\""
    node.process = node.namespace.start(
        "culvertd", "unshare", "-m", "sh", "-c", start, "sh", cluster.binary("controlplane", "culvertd"),
        "--run-dir", node.run_dir, "--state-dir", node.state_dir, "--listen", "none", "--etcd", "none",
    )  # fmt: skip
    wait_until(node.answers, "culvertd")
    assert "no permission for" in as_nobody(node, "status").stderr
    site = write_site(cluster, drain=77)
    os.chmod(site, 0o644)
    done = as_nobody(node, "apply", site, groups=[7, GROUP])
    assert done.returncode == 0, done.stderr
    assert audit(node, "apply")[0]["role"] == "operator" and audit(node, "apply")[0]["user"] == "nobody"
    assert "role admin is needed" in as_nobody(node, "token", "list", groups=[GROUP]).stderr


def test_command_line(cluster):
    (node,) = cluster.nodes
    create(cluster, "ro", "reader", "--expires", "30d")
    line = node.culvert("token", "list").stdout.splitlines()[1]
    assert re.fullmatch(r"[0-9a-f]{16}  ro +reader +\S+ \S+ +\S+ \S+ +root", line.strip()), line
    expires = node.json("token", "list")["tokens"][0]["expires"]
    assert abs(expires - time.time() - 30 * 86400) < 3600
    for words in (("create", "a"), ("create", "a", "--role", "reader", "--expires", "soon"), ("make", "a"), ("list", "x")):
        assert node.culvert("token", *words, check=False).returncode == 2
    for name in ("a b", "", "x" * 64, "0123456789abcdef"):
        assert node.culvert("token", "create", name, "--role", "reader", check=False).returncode == 1
