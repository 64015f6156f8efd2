# SPDX-License-Identifier: Apache-2.0
"""Network namespaces with unique names, and processes in them, all of which end with the lab."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import tempfile

PREFIX = "cv"
_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def sh(*command, check=True, **kwargs):
    """Runs a command; a failure's message carries what it printed."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True, **kwargs)
    if check and done.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


class Process:
    """A child in a namespace. Its output goes to a file, so that it never blocks and can be read."""

    def __init__(self, name, command, log_path, **kwargs):
        self.name = name
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
                **kwargs,
            )

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def kill(self):
        """SIGKILL, as a crash would be."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, timeout=10):
        """SIGTERM, then SIGKILL after the bound. Returns the exit status."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        return self.popen.returncode


class Namespace:
    """One host of the lab."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.full_name = f"{lab.run_id}-{name}"
        sh("ip", "netns", "add", self.full_name)
        self.ip("link", "set", "lo", "up")

    def command(self, *command):
        # Only the network namespace changes: `ip netns exec` would hide /sys/fs/bpf.
        return ["nsenter", f"--net=/run/netns/{self.full_name}", *map(str, command)]

    def run(self, *command, check=True, **kwargs):
        return sh(*self.command(*command), check=check, **kwargs)

    def ip(self, *words):
        return sh("ip", "-n", self.full_name, *words)

    def start(self, name, *command, **kwargs):
        return self.lab.start(f"{self.name}-{name}", self.command(*command), **kwargs)

    def sysctl(self, **values):
        """sysctl(net__ipv4__ip_forward=1): two underscores stand for a dot."""
        for key, value in values.items():
            self.run("sysctl", "-qw", f"{key.replace('__', '.')}={value}")

    def mac(self, interface):
        text = self.run("cat", f"/sys/class/net/{interface}/address", check=False).stdout
        found = re.search(r"link/ether ([0-9a-f:]+)", self.ip("link", "show", interface).stdout)
        return found.group(1) if found else text.strip()


class Lab(contextlib.AbstractContextManager):
    """Namespaces, cables and processes that end together, also after a failure."""

    def __init__(self):
        sweep()
        self.run_id = f"{PREFIX}{os.getpid()}{os.urandom(2).hex()}"
        self.namespaces = {}
        self.processes = []
        self._links = 0
        self._directory = tempfile.TemporaryDirectory(prefix=f"culvert-{self.run_id}-")
        self.directory = self._directory.name

    def __exit__(self, *exc):
        self.close()

    def namespace(self, name):
        self.namespaces[name] = Namespace(self, name)
        return self.namespaces[name]

    def cable(self, a, a_name, b, b_name):
        """A veth pair between two namespaces, up, without offloads that XDP would trip over."""
        self._links += 1
        left, right = f"{self.run_id[-9:]}l{self._links}"[:15], f"{self.run_id[-9:]}r{self._links}"[:15]
        sh("ip", "link", "add", left, "type", "veth", "peer", "name", right)
        for end, namespace, name in ((left, a, a_name), (right, b, b_name)):
            sh("ip", "link", "set", end, "netns", namespace.full_name)
            namespace.ip("link", "set", end, "name", name)
            # tx off: full checksums on the wire, for those who read frames.
            namespace.run("ethtool", "-K", name, "tx", "off")
            namespace.ip("link", "set", name, "up")

    def start(self, name, command, **kwargs):
        process = Process(name, command, os.path.join(self.directory, f"{name}.log"), **kwargs)
        self.processes.append(process)
        return process

    def close(self):
        """Ends the processes in reverse order, then removes the namespaces."""
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        for namespace in self.namespaces.values():
            sh("ip", "netns", "del", namespace.full_name, check=False)
        self.namespaces.clear()
        self._directory.cleanup()


def sweep():
    """Removes namespaces of labs whose process is gone (it was killed by SIGKILL)."""
    names = sh("ip", "netns", "list", check=False).stdout.split("\n")
    for line in names:
        name = line.split(" ")[0]
        found = re.match(rf"{PREFIX}(\d+)[0-9a-f]{{4}}-", name)
        if found and not os.path.exists(f"/proc/{found.group(1)}"):
            sh("ip", "netns", "del", name, check=False)
