# SPDX-License-Identifier: Apache-2.0
"""A small control plane (xdp/peer.c) that tests command, for data planes under test."""

import json
import subprocess
import threading

from tests.lab.wait import wait_until


class Control:
    """The control plane of peer.c: `say` changes its tables, what the data plane says is kept."""

    def __init__(self, binary, socket):
        self.events = []
        self._popen = subprocess.Popen(
            [binary, socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.wait("ready")

    def _read(self):
        for line in self._popen.stdout:
            self.events.append(json.loads(line))

    def say(self, *lines):
        self._popen.stdin.write("".join(f"{line}\n" for line in lines))
        self._popen.stdin.flush()

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def wait(self, kind, count=1):
        return wait_until(lambda: len(self.of(kind)) >= count and self.of(kind)[-1], f"{kind} of the data plane")

    def commit(self, *lines):
        """Sends a transaction and waits until the data plane has it."""
        before = len(self.of("acked"))
        self.say(*lines, "commit")
        return self.wait("acked", before + 1)

    def ask(self, kind, *lines):
        before = len(self.of(kind))
        self.say(*lines)
        return self.wait(kind, before + 1)

    @property
    def state(self):
        states = self.of("state")
        return states[-1]["state"] if states else None

    def wait_state(self, condition, what):
        """Waits until the last state fulfils the condition; returns it."""

        def holds():
            state = self.state
            return state if state and condition(state) else None

        return wait_until(holds, what)

    def interface(self, name):
        for interface in (self.state or {}).get("interfaces", []):
            if interface["name"] == name:
                return interface
        return None

    def wait_interface(self, name, **fields):
        def holds():
            interface = self.interface(name)
            if interface and all(interface[key] == value for key, value in fields.items()):
                return interface
            return None

        return wait_until(holds, f"{name} to be {fields}")

    def stop(self):
        if self._popen.poll() is None:
            self._popen.stdin.close()
            try:
                self._popen.wait(5)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._thread.join(5)
        self._popen.stdout.close()
