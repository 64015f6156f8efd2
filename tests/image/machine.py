# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that boots the image, seen from its console and over cables."""

import base64
import contextlib
import os
import re
import signal
import tempfile
import time

import pexpect

from tests.conftest import REPO
from tests.lab.wait import wait_until

# Emulation on a busy machine: bounds that end a broken run, far above what is expected.
BOOT = 600
COMMAND = 120


class Machine(contextlib.AbstractContextManager):
    """QEMU by images/boot in a namespace, with TAP devices there: enp0s24 and on in the machine."""

    def __init__(self, namespace, image, log_path, credentials=None, options=(), taps=("tap0",), qemu=()):
        """`credentials`: names and texts, given through SMBIOS; `options`: of images/boot, `qemu`: of QEMU."""
        command = ["--accel", "tcg", "--nics", "0", *options]
        for tap in taps:
            command += ["--tap", tap]
        # By files: a command line would be too short for some.
        self._given = tempfile.TemporaryDirectory()
        for name, text in (credentials or {}).items():
            path = os.path.join(self._given.name, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            command += ["--credential", f"{name}=@{path}"]
        self._pid = os.path.join(self._given.name, "pid")
        self.log = open(log_path, "w", encoding="utf-8", errors="replace")
        self.begin = time.monotonic()
        boot = os.path.join(REPO, "images", "boot")
        words = namespace.command(boot, image, *command, "--", "-pidfile", self._pid, *qemu)
        self.console = pexpect.spawn(
            words[0], words[1:], timeout=BOOT, encoding="utf-8", codec_errors="replace", logfile=self.log
        )
        self.console.delaybeforesend = None

    def __exit__(self, *exc):
        self.console.close(force=True)
        self._given.cleanup()
        self.log.close()

    def kill(self):
        """Takes the power away."""
        with open(self._pid, encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        self.console.expect(pexpect.EOF)

    def expect(self, pattern, timeout=BOOT):
        """Waits for the text on the console; how long after power-on it came, in seconds."""
        self.console.expect(pattern, timeout=timeout)
        return self.seconds()

    def seconds(self):
        """Since power-on."""
        return time.monotonic() - self.begin

    def until(self, condition, what):
        """Waits for a condition while the console is read, which else would stop the machine; when it came."""
        wait_until(lambda: self.console.expect(pexpect.TIMEOUT, timeout=0) == 0 and condition(), what, timeout=BOOT)
        return self.seconds()

    def boot(self, name="culvert"):
        """Waits for the console's prompt, with the host's name, and goes to the system's shell."""
        self.expect(re.escape(f"{name}> "))
        self.system_shell(name)

    def system_shell(self, name="culvert"):
        """From the appliance's shell to the system's, where run() works."""
        self.console.send("bash\r")
        self.shell(name)

    def shell(self, name="culvert"):
        """Waits for the prompt of the system's shell, and makes run() work there."""
        self.expect(re.escape(f"{name}# "))
        self.run("stty cols 200 -echo; PS1=; bind 'set enable-bracketed-paste off'")

    def run(self, command, timeout=COMMAND):
        """Runs a command at the console: its exit status and what it printed."""
        mark = f"done-{os.urandom(4).hex()}"
        self.console.sendline(f"{command}; echo {mark[:6]}''{mark[6:]} $?")
        self.console.expect(rf"{mark} (\d+)\r+\n", timeout=timeout)
        status = int(self.console.match.group(1))
        # What the journal says on the console in between, alarms for instance, is not the command's.
        said = re.sub(r"(?m)^\[ *\d+\.\d+\] [\w-]+\[\d+\]: [^\n]*\n", "", self.console.before)
        text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]\r*|\r+(?=\n)", "", said)
        return status, text.lstrip("\n")

    def check(self, command, timeout=COMMAND):
        """Runs a command that must succeed; what it printed."""
        status, text = self.run(command, timeout)
        assert status == 0, f"{command}: exit status {status}\n{text}"
        return text

    def write(self, path, text):
        """Makes a file of some text."""
        packed = base64.b64encode(text.encode()).decode()
        for begin in range(0, len(packed), 2000):
            way = ">>" if begin else ">"
            self.check(f"printf %s {packed[begin : begin + 2000]} {way}{path}.base64")
        self.check(f"base64 -d <{path}.base64 >{path} && rm {path}.base64")


def make_tap(namespace, name="tap0", address=None, bridge=None):
    """The other end of a machine's cable: with an address, or a port of a bridge, made if need be."""
    namespace.run("ip", "tuntap", "add", "dev", name, "mode", "tap", "multi_queue")
    if bridge:
        make_bridge(namespace, bridge, name)
    if address:
        namespace.ip("address", "add", address, "dev", bridge or name)
    namespace.ip("link", "set", name, "up")


def make_bridge(namespace, bridge, *ports):
    """Makes the devices ports of a bridge, and the bridge, if there is none."""
    if namespace.run("ip", "link", "show", bridge, check=False).returncode:
        namespace.ip("link", "add", bridge, "type", "bridge")
        namespace.ip("link", "set", bridge, "up")
    for port in ports:
        namespace.ip("link", "set", port, "master", bridge)


def network(interface, address, *others):
    """A systemd.network file: a NIC, its address, further lines of [Network]."""
    lines = "".join(f"{line}\n" for line in others)
    return f"[Match]\nName={interface}\n[Network]\nAddress={address}\n{lines}"
