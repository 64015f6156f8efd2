# SPDX-License-Identifier: Apache-2.0
"""The etcd front of culvertd over TLS: who gets in, and certificates that are renewed."""

import json
import os

import pytest

from tests.controlplane.fronts.etcd import rig
from tests.lab.cluster import ETCD, Cluster
from tests.lab.wait import wait_until

TLS = "127.0.0.1:2389"


class Front:
    """One culvertd with a port in the clear and one over TLS, and clients on its loopback."""

    def __init__(self, cluster, mutual):
        self.cluster, self.node = cluster, cluster.nodes[0]
        self.folder = os.path.join(cluster.directory, "tls")
        os.mkdir(self.folder)
        rig.certificates(self.folder)
        rig.authority(self.folder, "other")
        rig.certificate(self.folder, "eve", "other")
        files = ["--etcd-cert", self.path("server.crt"), "--etcd-key", self.path("server.key")]
        self.options = ["--etcd-tls", TLS, *files] + (["--etcd-ca", self.path("ca.crt")] if mutual else [])
        self.node.start(*self.options)

    def path(self, name):
        return os.path.join(self.folder, name)

    def words(self, *words, ca="ca", own=None, endpoint=f"https://{TLS}"):
        tls = [f"--cacert={self.path(ca)}.crt"] if ca else []
        tls += [f"--cert={self.path(own)}.crt", f"--key={self.path(own)}.key"] if own else []
        return ["etcdctl", f"--endpoints={endpoint}", "--command-timeout=3s", "--dial-timeout=3s", *tls, *words]

    def ctl(self, *words, check=True, **tls):
        done = self.node.namespace.run(*self.words(*words, **tls), check=False, timeout=30)
        assert not check or done.returncode == 0, done.stderr
        return done

    def refused(self, text, **tls):
        done = self.ctl("get", "a", check=False, **tls)
        assert done.returncode and text in done.stderr, done

    def serial(self):
        """Of the certificate that a client is shown."""
        command = f"openssl s_client -connect {TLS} </dev/null 2>/dev/null | openssl x509 -noout -serial"
        return self.node.namespace.run("sh", "-c", command).stdout.strip()

    def serial_of(self, name):
        return rig.openssl(self.folder, "x509", "-in", f"{name}.crt", "-noout", "-serial").strip()

    def log(self):
        return self.node.process.log()


@pytest.fixture
def front(build, request):
    with Cluster(build, 1) as cluster:
        made = Front(cluster, getattr(request, "param", False))
        yield made
        assert made.node.stop() == 0
        if request.session.testsfailed:
            print(cluster.logs())


def test_who_gets_in(front):
    front.ctl("put", "a", "1")
    assert front.ctl("get", "a").stdout == "a\n1\n"
    # Whoever checks the server by another authority's certificate does not talk to it.
    front.refused("context deadline exceeded", ca="other")
    assert "unknown authority" in front.ctl("get", "a", ca="other", check=False).stderr
    # In the clear to the port of TLS, and TLS to the one in the clear.
    front.refused("", ca=None, endpoint=f"http://{TLS}")
    front.refused("", endpoint=f"https://{front.node.address}:{ETCD}")
    curl = front.node.namespace.run("curl", "-sS", "-m", "5", f"http://{TLS}/health", check=False)
    assert curl.returncode, curl
    # Nobody of these has done harm.
    assert front.ctl("get", "a").stdout == "a\n1\n"
    assert front.ctl("get", "a", ca=None, endpoint=f"http://{front.node.address}:{ETCD}").stdout == "a\n1\n"
    assert front.ctl("get", "a", own="alice").stdout == "a\n1\n"  # not asked for, and no matter


@pytest.mark.parametrize("front", [True], indirect=True)
def test_clients_need_certificates(front):
    front.ctl("put", "a", "1", own="alice")
    front.refused("context deadline exceeded")  # the server's reason may be lost with the connection
    front.refused("context deadline exceeded", own="eve")
    # The certificate's common name is the user's.
    for words in ("user add root:pw", "user add alice:x", "role add r", "user grant-role alice r",
                  "role grant-permission r read a"):  # fmt: skip
        front.ctl(*words.split(), own="alice")
    front.ctl("auth", "enable", own="alice")
    assert front.ctl("get", "a", own="alice").stdout == "a\n1\n"
    assert "permission denied" in front.ctl("put", "a", "2", own="alice", check=False).stderr
    front.ctl("put", "a", "2", "--user=root:pw", own="alice")
    body = json.dumps({"name": "YQ=="})
    curl = ["curl", "-sS", "--cacert", front.path("ca.crt"), f"https://{TLS}/v3/lock/lock", "-d", body]
    assert front.node.namespace.run(*curl, check=False).returncode
    own = ["--cert", front.path("alice.crt"), "--key", front.path("alice.key")]
    assert "permission denied" in front.node.namespace.run(*curl, *own).stdout


def test_a_certificate_is_renewed(front):
    before = front.serial()
    assert before == front.serial_of("server")
    watch = front.node.namespace.start("watch", *front.words("watch", "k"))
    wait_until(lambda: front.ctl("put", "k", "0") and "PUT" in watch.log(), "the watch")
    # Half of a pair: what was there stays, and the log says so.
    rig.certificate(front.folder, "next")
    os.rename(front.path("next.crt"), front.path("server.crt"))
    wait_until(lambda: "the certificate of before stays" in front.log(), "the half to be noticed")
    assert front.path("server.key") in front.log()
    assert front.serial() == before
    os.rename(front.path("next.key"), front.path("server.key"))
    wait_until(lambda: front.serial() == front.serial_of("server"), "the new certificate")
    assert front.serial() != before
    front.ctl("put", "k", "after")
    wait_until(lambda: "after" in watch.log(), "the connection of before to last")
    # Another authority: clients of the one before are strangers then.
    rig.certificate(front.folder, "server", "other")
    wait_until(lambda: front.ctl("get", "k", ca="other", check=False).returncode == 0, "the other authority's")
    front.refused("context deadline exceeded")
    watch.stop()


def test_bad_files(build):
    with Cluster(build, 1) as cluster:
        node = cluster.nodes[0]
        rig.certificates(cluster.directory)
        ends = [
            (["--etcd-tls", TLS], "--etcd-tls needs --etcd-cert FILE and --etcd-key FILE"),
            (["--etcd-tls", TLS, "--etcd-cert", "server.crt", "--etcd-key", "alice.key"], "alice.key"),
            (["--etcd-tls", TLS, "--etcd-cert", "none.crt", "--etcd-key", "alice.key"], "none.crt"),
            (["--etcd-tls", TLS, "--etcd-cert", "server.crt", "--etcd-key", "server.key", "--etcd-ca", "ca.key"], "ca.key"),
        ]
        for options, text in ends:
            options = [os.path.join(cluster.directory, o) if o.endswith((".crt", ".key")) else o for o in options]
            node.start(*options, wait=False)
            wait_until(lambda: not node.process.alive(), "the files to be refused")
            assert node.process.popen.returncode == 1 and text in node.process.log(), node.process.log()
