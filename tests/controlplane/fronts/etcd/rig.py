# SPDX-License-Identifier: Apache-2.0
"""The front with a store of its own, and a real etcd, each in a namespace of a lab."""

import json
import os
import subprocess

from tests.lab.namespaces import Lab
from tests.lab.wait import wait_until

URL = "http://127.0.0.1:2379"


class Server:
    """A server and its clients, on the loopback of a namespace."""

    def __init__(self, lab, name):
        self.lab = lab
        self.space = lab.namespace(name)
        self.process = None
        self.words = ["--endpoints=127.0.0.1:2379", "--command-timeout=20s", "--dial-timeout=10s"]

    def ctl(self, *words, check=True, **kwargs):
        """etcdctl; what it printed."""
        done = self.space.run("etcdctl", *self.words, *words, check=False, timeout=60, **kwargs)
        if check:
            assert done.returncode == 0, f"etcdctl {words}: {done.stdout}{done.stderr}"
        return done

    def text(self, *words, **kwargs):
        return self.ctl(*words, **kwargs).stdout

    def json(self, *words, **kwargs):
        return json.loads(self.ctl(*words, "-w", "json", **kwargs).stdout)

    def refused(self, *words, **kwargs):
        """What a command that fails says."""
        done = self.ctl(*words, check=False, **kwargs)
        assert done.returncode, f"etcdctl {words} should have failed: {done.stdout}"
        return done.stderr

    def start_ctl(self, name, *words):
        """etcdctl in the background."""
        return self.space.start(name, "etcdctl", *self.words, *words)

    def post(self, path, message, *options):
        """A request of the JSON gateway: (HTTP status, body)."""
        body = message if isinstance(message, str) else json.dumps(message)
        done = self.space.run(
            "curl", "-sS", "-m", "20", "-w", "\n%{http_code}", "-d", body, *options, URL + path
        )
        text, _, status = done.stdout.rpartition("\n")
        return int(status), text

    def python(self, code, *arguments):
        """A program of python3-etcd3; what it printed."""
        return self.space.run("python3", "-c", code, *arguments, timeout=60).stdout

    def alive(self):
        return self.ctl("get", "x", check=False).returncode == 0


def front(lab, build, name="front", *files, options=()):
    """The test's server program."""
    server = Server(lab, name)
    program = os.path.join(build, "tests/controlplane/fronts/etcd/etcd_server")
    server.process = server.space.start("server", program, *options, "127.0.0.1", "2379", *files)
    wait_until(lambda: "ready" in server.process.log(), "the front")
    return server


def real(lab):
    """Debian's etcd."""
    server = Server(lab, "etcd")
    data = os.path.join(lab.directory, "etcd-data")
    peer = "http://127.0.0.1:2380"
    server.process = server.space.start(
        "server", "etcd", "--name=single", f"--data-dir={data}", f"--listen-client-urls={URL}",
        f"--advertise-client-urls={URL}", f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=single={peer}",
        "--unsafe-no-fsync", "--log-level=error",
    )  # fmt: skip
    wait_until(server.alive, "etcd", timeout=60)
    return server


def lab():
    return Lab()


def stop(server):
    """Ends a server; it must end by itself, without complaints of a sanitizer."""
    status = server.process.stop(timeout=30)
    assert status == 0, f"exit {status}: {server.process.log()}"


def openssl(folder, *words):
    return subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def authority(folder, name="ca"):
    openssl(folder, "req", "-x509", *EC, "-days", "2", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}")


def certificate(folder, name, ca="ca"):
    """A certificate and its key, or new ones, for use on the loopback."""
    openssl(folder, "req", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    with open(os.path.join(folder, f"{name}.ext"), "w") as extension:
        extension.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial",
            "-days", "2", "-out", f"{name}.crt", "-extfile", f"{name}.ext")  # fmt: skip


def certificates(folder):
    """A CA, and a server's and a client's certificate of it."""
    authority(folder)
    for name in ("server", "alice"):
        certificate(folder, name)
