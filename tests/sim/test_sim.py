# SPDX-License-Identifier: Apache-2.0
"""The deterministic simulator over some hundred seeds, and that its checks can fail."""

import os
import re
import subprocess

import pytest

SEEDS = 300
BROKEN_SEEDS = 600


def _run(build, name, *args):
    return subprocess.run(
        [os.path.join(build, "tests", "sim", name), *map(str, args)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
        check=False,
    )


def test_seeds(build):
    """Clusters under all faults: nothing is found."""
    done = _run(build, "culvert-sim", "--seeds", SEEDS, "--jobs", 2)
    assert done.returncode == 0, done.stdout[-8000:]
    assert f"{SEEDS} seeds" in done.stdout


def test_seeds_sanitized(asan):
    """The same code under the sanitizers, which also look for leaks."""
    done = _run(asan, "culvert-sim", "--seeds", 60, "--hash")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_deterministic(build):
    """A seed is a history: run twice, the traces are the same; another seed has another."""
    first, second = (_run(build, "culvert-sim", "--seeds", 30, "--hash") for _ in range(2))
    assert first.returncode == 0, first.stdout
    assert first.stdout == second.stdout
    hashes = [line.split("trace ")[1].split(",")[0] for line in first.stdout.splitlines()]
    assert len(set(hashes)) == 30


@pytest.mark.parametrize(
    "bug, expected",
    [
        ("early-sync", "another (command|state)|not linearizable|not well|damaged"),
        ("stale-read", "not linearizable"),
        ("no-vote", "lead in term"),
    ],
)
def test_checks_can_fail(build, bug, expected):
    """A bug that is built in is reported, with the trace and the command that replays it."""
    done = _run(build, "culvert-sim-broken", "--bug", bug, "--seeds", BROKEN_SEEDS, "--jobs", 2)
    assert done.returncode == 1, done.stdout
    assert re.search(f"FOUND: .*({expected})", done.stdout), done.stdout[-2000:]
    assert "replay: " in done.stdout
