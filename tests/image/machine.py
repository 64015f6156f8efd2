# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that boots the image, seen from its console and over a cable."""

import contextlib
import os
import re
import time

import pexpect

from tests.conftest import REPO

# Emulation on a busy machine: bounds that end a broken run, far above what is expected.
BOOT = 600
COMMAND = 120


class Machine(contextlib.AbstractContextManager):
    """QEMU by images/boot in a namespace, with a TAP device `tap0` there."""

    def __init__(self, client, image, log_path, credentials=None, options=()):
        """`credentials`: names and texts, given through SMBIOS."""
        command = ["--accel", "tcg", "--nics", "0", "--tap", "tap0", *options]
        for name, text in (credentials or {}).items():
            command += ["--credential", f"{name}={text}"]
        self.log = open(log_path, "w", encoding="utf-8", errors="replace")
        self.begin = time.monotonic()
        words = client.command(os.path.join(REPO, "images", "boot"), image, *command)
        self.console = pexpect.spawn(
            words[0], words[1:], timeout=BOOT, encoding="utf-8", codec_errors="replace", logfile=self.log
        )
        self.console.delaybeforesend = None

    def __exit__(self, *exc):
        self.console.close(force=True)
        self.log.close()

    def expect(self, pattern, timeout=BOOT):
        """Waits for the text on the console; how long after power-on it came, in seconds."""
        self.console.expect(pattern, timeout=timeout)
        return self.seconds()

    def seconds(self):
        """Since power-on."""
        return time.monotonic() - self.begin

    def boot(self, name="culvert"):
        """Waits for the console's prompt, with the host's name, and goes to the system's shell."""
        self.expect(re.escape(f"{name}> "))
        self.system_shell(name)

    def system_shell(self, name="culvert"):
        """From the appliance's shell to the system's, where run() works."""
        self.console.send("bash\r")
        self.expect(re.escape(f"{name}# "))
        self.run("stty cols 200 -echo; PS1=; bind 'set enable-bracketed-paste off'")

    def run(self, command, timeout=COMMAND):
        """Runs a command at the console: its exit status and what it printed."""
        mark = f"done-{os.urandom(4).hex()}"
        self.console.sendline(f"{command}; echo {mark[:6]}''{mark[6:]} $?")
        self.console.expect(rf"{mark} (\d+)\r+\n", timeout=timeout)
        status = int(self.console.match.group(1))
        text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]\r*|\r+(?=\n)", "", self.console.before)
        return status, text.lstrip("\n")

    def check(self, command):
        """Runs a command that must succeed; what it printed."""
        status, text = self.run(command)
        assert status == 0, f"{command}: exit status {status}\n{text}"
        return text


def make_tap(client, address):
    """The other end of the machine's cable."""
    client.run("ip", "tuntap", "add", "dev", "tap0", "mode", "tap", "multi_queue")
    client.ip("address", "add", address, "dev", "tap0")
    client.ip("link", "set", "tap0", "up")
