# SPDX-License-Identifier: Apache-2.0
"""A site of several culvertd: each in a namespace of its own on one switch, clients on another port of it.

    n1 10.9.0.1 ┐
    n2 10.9.0.2 ├ switch ── client 10.9.0.100
    n3 10.9.0.3 ┘
"""

import contextlib
import json
import os
import signal
import time

from tests.lab.namespaces import Lab, sh
from tests.lab.wait import wait_until

PORT, ETCD = 7480, 2379


class Node:
    """One appliance: its namespace, its folders and its culvertd."""

    def __init__(self, cluster, number):
        self.cluster = cluster
        self.name = f"n{number}"
        self.address = f"10.9.0.{number}"
        self.folder = os.path.join(cluster.directory, self.name)
        self.run_dir = os.path.join(self.folder, "run")
        self.state_dir = os.path.join(self.folder, "state")
        self.pin_dir = f"/sys/fs/bpf/culvert-{cluster.run_id}-{self.name}"
        self.namespace = cluster.namespace(self.name)
        self.process = self.xdp = None
        self.program = ("controlplane", "culvertd")
        self.environment = {}
        self.mounted = False
        for folder in (self.run_dir, self.state_dir):
            os.makedirs(folder)

    def start(self, *options, wait=True):
        self.process = self.namespace.start(
            "culvertd", self.cluster.binary(*self.program),
            "--run-dir", self.run_dir, "--state-dir", self.state_dir, "--name", self.name,
            "--listen", f"{self.address}:{PORT}", "--etcd", f"{self.address}:{ETCD}", *options,
            env={**os.environ, **self.environment},
        )  # fmt: skip
        if wait:
            wait_until(self.answers, f"culvertd on {self.name}", timeout=60)
        return self

    def answers(self):
        if not self.process.alive():
            raise RuntimeError(f"{self.name} ended with {self.process.popen.returncode}:\n{self.process.log()}")
        return self.culvert("version", check=False).returncode == 0

    def start_xdp(self):
        self.xdp = self.namespace.start(
            "xdp", self.cluster.binary("dataplane", "xdp", "culvert-xdp"),
            "--run-dir", self.run_dir, "--pin-dir", self.pin_dir,
        )  # fmt: skip

    def culvert(self, *words, check=True, **kwargs):
        environment = {**os.environ, "CULVERT_SOCKET": os.path.join(self.run_dir, "api.sock")}
        return self.namespace.run(
            self.cluster.binary("controlplane", "cli", "culvert"), *words, check=check, env=environment, **kwargs
        )

    def json(self, *words):
        return json.loads(self.culvert(*words, "-o", "json").stdout)

    def nodes(self):
        return self.json("node", "list")

    def roles(self):
        """The role of each node by name, as this one knows it."""
        return {node["name"]: node["role"] for node in self.nodes()["nodes"]}

    def leader(self):
        """The leader's name as this node knows it; None: no leader."""
        return next((node["name"] for node in self.nodes()["nodes"] if node["leader"]), None)

    def token(self, *words):
        return self.culvert("node", "token", *words).stdout.strip()

    def join(self, other, *words, **kwargs):
        """Joins the site of another node by a token that it makes."""
        return self.culvert("node", "join", other.token(), f"{other.address}:{PORT}", *words, **kwargs)

    def etcdctl(self, *words, check=True, timeout=20, **kwargs):
        command = ["etcdctl", "--endpoints", f"{self.address}:{ETCD}", "--command-timeout=5s", *words]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        return self.cluster.client.run(*command, check=check, env=environment, timeout=timeout, **kwargs)

    def kill(self):
        self.process.kill()

    def stop(self):
        return self.process.stop(20)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def cut(self):
        """Takes the node off the network."""
        self.cluster.switch.ip("link", "set", self.name, "down")

    def mend(self):
        self.cluster.switch.ip("link", "set", self.name, "up")

    def mount_small(self, size):
        """Puts the state folder on a disk of its own of that size."""
        sh("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.state_dir)
        self.mounted = True

    def wipe(self):
        """A new machine in the old one's place."""
        for name in os.listdir(self.state_dir):
            sh("rm", "-rf", os.path.join(self.state_dir, name))

    def close(self):
        if self.process and self.process.alive():
            self.resume()
        if self.xdp and os.path.isdir(self.pin_dir):
            self.xdp.stop()
            self.namespace.run(
                self.cluster.binary("dataplane", "xdp", "culvert-xdp"),
                "--detach", "--run-dir", self.run_dir, "--pin-dir", self.pin_dir, check=False,
            )  # fmt: skip
        if self.process:
            self.process.stop(20)
        if self.mounted:
            sh("umount", self.state_dir, check=False)


class Cluster(Lab):
    """`count` machines on one switch; nothing runs yet."""

    def __init__(self, binaries, count=3):
        super().__init__()
        self.binaries = binaries
        self.nodes = []
        try:
            self.switch = self.namespace("switch")
            self.switch.ip("link", "add", "br0", "type", "bridge")
            self.switch.ip("link", "set", "br0", "up")
            self.client = self.namespace("client")
            self._plug(self.client, "10.9.0.100/24")
            for number in range(1, count + 1):
                self.nodes.append(Node(self, number))
                self._plug(self.nodes[-1].namespace, f"{self.nodes[-1].address}/24")
        except BaseException:
            self.close()
            raise

    def _plug(self, namespace, address):
        self.cable(namespace, "eth0", self.switch, namespace.name)
        self.switch.ip("link", "set", namespace.name, "master", "br0")
        namespace.ip("addr", "add", address, "dev", "eth0")

    def binary(self, *parts):
        return os.path.join(self.binaries, *parts)

    def form(self):
        """Starts all nodes and lets them join the first one's site."""
        for node in self.nodes:
            node.start()
        for node in self.nodes[1:]:
            node.join(self.nodes[0])
        return self

    @contextlib.contextmanager
    def told(self, request):
        """For a fixture: itself, then its end; its logs are printed when a test failed, or the fixture."""
        well = False
        try:
            yield self
            well = not request.session.testsfailed
        finally:
            if not well:
                print(self.logs())
            self.close()

    def leader(self):
        """The node that says it leads, once one does."""
        return wait_until(self._leader, "a leader")

    def _leader(self):
        for node in self.nodes:
            if node.process.alive() and node.culvert("version", check=False, timeout=5).returncode == 0:
                if node.leader() == node.name:
                    return node
        return None

    def writes_again(self, nodes, key="probe"):
        """Seconds until one of the nodes takes a write."""
        began = time.monotonic()
        wait_until(
            lambda: any(node.etcdctl("put", key, "x", check=False).returncode == 0 for node in nodes),
            "a write", pause=0,
        )  # fmt: skip
        return time.monotonic() - began

    def logs(self):
        return "\n".join(f"--- {process.name}\n{process.log()[-6000:]}" for process in self.processes)

    def close(self):
        for node in self.nodes:
            node.close()
        super().close()
