# SPDX-License-Identifier: Apache-2.0
"""A real culvertd in a folder of its own, and the CLI against it."""

import json
import os
import socket
import subprocess
import time

import pytest

SITE = """\
site: lab
pools:
  web: { backends: { a: { address: 10.0.0.11 }, b: { address: 10.0.0.12, weight: 50 } } }
vips:
  web: { address: 192.0.2.10, protocol: tcp, ports: [80], mode: dsr-ipip, pool: web }
zones:
  example.com: { file: example.com.zone }
"""

ZONE = """\
$ORIGIN example.com.
$TTL 300
@   SOA ns1 hostmaster 1 7200 900 1209600 300
    NS  ns1
ns1 A   192.0.2.53
www A   192.0.2.10
"""


class Daemon:
    def __init__(self, build, folder):
        self.program = os.path.join(build, "controlplane", "culvertd")
        self.client = os.path.join(build, "controlplane", "cli", "culvert")
        self.folder = str(folder)
        self.run_dir = os.path.join(self.folder, "run")
        self.state_dir = os.path.join(self.folder, "state")
        self.alarms_dir = os.path.join(self.folder, "alarms")
        self.path = os.path.join(self.run_dir, "api.sock")
        self.site = os.path.join(self.folder, "site.yaml")
        self.process = None
        self.write(SITE, ZONE)

    def write(self, site, zone=None):
        with open(self.site, "w") as file:
            file.write(site)
        if zone is not None:
            with open(os.path.join(self.folder, "example.com.zone"), "w") as file:
                file.write(zone)

    def command(self):
        alone = ["--listen", "none", "--etcd", "none"]  # it shares the machine's addresses with others
        folders = ["--state-dir", self.state_dir, "--run-dir", self.run_dir, "--alarms-dir", self.alarms_dir]
        return [self.program, *folders, *alone]

    def start(self, **environment):
        self.log = open(os.path.join(self.folder, "log"), "a+")
        self.process = subprocess.Popen(self.command(), stderr=self.log, env={**os.environ, **environment})
        deadline = time.monotonic() + 20
        while self.culvert("version").returncode:
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()
        return self

    def text(self):
        with open(os.path.join(self.folder, "log")) as log:
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait(20)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(20) == 0, self.text()

    def refused(self, **kwargs):
        """Starts it where it must not start; its one line."""
        done = subprocess.run(self.command(), capture_output=True, text=True, timeout=20, **kwargs)
        assert done.returncode == 1, done
        return done.stderr

    def culvert(self, *words, **kwargs):
        environment = {**os.environ, "CULVERT_SOCKET": self.path}
        return subprocess.run(
            [self.client, *words], capture_output=True, text=True, env=environment, timeout=60, **kwargs
        )

    def json(self, *words):
        done = self.culvert(*words, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def connect(self):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(20)
        peer.connect(self.path)
        return peer

    def talk(self, data):
        """Sends bytes on a connection of their own; all that is answered until it is closed."""
        with self.connect() as peer:
            try:
                peer.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before the end: the answer is there
            answer = b""
            try:
                while piece := peer.recv(65536):
                    answer += piece
            except ConnectionResetError:
                pass
            return answer


@pytest.fixture
def idle(build, tmp_path):
    """Not started."""
    daemon = Daemon(build, tmp_path)
    yield daemon
    daemon.stop()


@pytest.fixture
def daemon(idle):
    return idle.start()
