# SPDX-License-Identifier: Apache-2.0
"""The deterministic simulator over some hundred seeds, and that its checks can fail."""

import os
import re
import subprocess

import pytest

SEEDS = 300
STORE_SEEDS = 1000
BROKEN_SEEDS = 2400  # they end with the first finding
# What is acknowledged before it is on the disk may be an entry, or a vote.
EARLY = "lead in term|another (command|state|revision)|not linearizable|was known|and is at|not well|damaged"


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


def test_store_seeds(build):
    """Every fourth of those is an episode of the key-value store; here are more of them."""
    done = _run(build, "culvert-sim", "--store", "--seeds", STORE_SEEDS, "--jobs", 2)
    assert done.returncode == 0, done.stdout[-8000:]
    assert f"{STORE_SEEDS} seeds" in done.stdout


@pytest.mark.parametrize("episodes", [["--seeds", 60], ["--store", "--seeds", 30]])
def test_seeds_sanitized(asan, episodes):
    """The same code under the sanitizers, which also look for leaks."""
    done = _run(asan, "culvert-sim", *episodes, "--hash")
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
        ("early-sync", EARLY),
        ("stale-read", "not linearizable|was known"),
        ("no-vote", "lead in term"),
        ("early-sync --store", EARLY),
        ("stale-read --store", "was known"),
    ],
)
def test_checks_can_fail(build, bug, expected):
    """A bug that is built in is reported, with the trace and the command that replays it."""
    done = _run(build, "culvert-sim-broken", "--bug", *bug.split(), "--seeds", BROKEN_SEEDS, "--jobs", 2)
    assert done.returncode == 1, done.stdout
    assert re.search(f"FOUND: .*({expected})", done.stdout), done.stdout[-2000:]
    assert "replay: " in done.stdout
