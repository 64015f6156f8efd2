# SPDX-License-Identifier: Apache-2.0
"""The completion script in a bash that has a terminal: a line, Tab, and what became of the line."""

import os
import pty
import select
import signal
import subprocess

import pytest

from tests.lab.wait import wait_until


class Shell:
    """A bash with the script, whose commands leave their words in a file."""

    def __init__(self, build, folder):
        self.here = folder / "here"
        self.here.mkdir()
        self.words = folder / "words"
        setup = folder / "bashrc"
        culvert = os.path.join(build, "controlplane", "cli", "culvert")
        # The script asks the program that comes first in PATH; what Enter runs is the function.
        setup.write_text(
            "bind 'set bell-style none' 'set enable-bracketed-paste off'\n"
            f'. <("{culvert}" completion bash)\n'
            "culvert() {\n"
            '    [ "$1" != __complete ] || { command culvert "$@"; return; }\n'
            f"    printf '%s\\n' \"$@\" >{self.words}.new && mv {self.words}.new {self.words}\n"
            "}\n"
            "PS1='ready> '\n"
        )
        path = f"{os.path.dirname(culvert)}:{os.environ['PATH']}"
        self.terminal, far = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "--rcfile", str(setup), "-i"],
            stdin=far,
            stdout=far,
            stderr=far,
            cwd=self.here,
            env={"PATH": path, "TERM": "dumb", "HOME": str(folder), "CULVERT_SOCKET": "/nowhere"},
            start_new_session=True,
        )
        os.close(far)
        self.seen = b""
        wait_until(lambda: b"ready> " in self.read(), "the prompt")

    def read(self):
        while select.select([self.terminal], [], [], 0)[0]:
            self.seen += os.read(self.terminal, 4096)
        return self.seen

    def complete(self, line):
        """The words of the line after Tab."""
        self.words.unlink(missing_ok=True)
        os.write(self.terminal, line.encode() + b"\t\r")
        wait_until(lambda: self.read() and self.words.exists(), f"the words of {line!r}")
        return self.words.read_text().splitlines()

    def close(self):
        self.process.send_signal(signal.SIGHUP)
        os.close(self.terminal)  # what it says to nobody it would wait with until it is read
        self.process.wait(timeout=120)


@pytest.fixture
def shell(build, tmp_path):
    made = Shell(build, tmp_path)
    yield made
    made.close()


def test_paths_of_options(shell):
    (shell.here / "pair").mkdir()
    (shell.here / "pair" / "api.sock").touch()
    assert shell.complete("culvert --socket pair/a") == ["--socket", "pair/api.sock"]
    assert shell.complete("culvert --socket=pair/a") == ["--socket=pair/api.sock"]
    assert shell.complete(f"culvert --socket={shell.here}/pa") == [f"--socket={shell.here}/pair/"]
    assert shell.complete("culvert status --socket=pair/") == ["status", "--socket=pair/api.sock"]


def test_nothing_typed_behind_the_equals_sign(shell):
    (shell.here / "only").touch()
    assert shell.complete("culvert --socket=") == ["--socket=only"]


def test_other_values_and_words(shell):
    assert shell.complete("culvert --output=j") == ["--output=json"]
    assert shell.complete("culvert --socket=x sta") == ["--socket=x", "status"]
    assert shell.complete("culvert st") == ["status"]


def test_tokens(shell):
    assert shell.complete("culvert token cr") == ["token", "create"]
    assert shell.complete("culvert token create ci --role=op") == ["token", "create", "ci", "--role=operator"]
    (shell.here / "ci.token").touch()
    assert shell.complete("culvert --token-file=ci") == ["--token-file=ci.token"]
