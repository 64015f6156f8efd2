# SPDX-License-Identifier: Apache-2.0
"""A hundred faults under concurrent clients: nothing acknowledged is lost, and all reads are right."""

import collections
import os
import random
import time

import pytest

from tests.lab.cluster import ETCD, Cluster
from tests.lab.history import WATCHERS
from tests.lab.linear import History
from tests.lab.site import REPO
from tests.lab.wait import wait_until

FAULTS = 100
CLIENTS = 6


class Faults:
    """What happens to a cluster, each to one node at random but for the last."""

    def __init__(self, cluster, seed):
        self.cluster, self.random = cluster, random.Random(seed)

    def pause(self, least, most):
        """Lets the clients work on: a time to wait for, not a condition."""
        until = time.monotonic() + self.random.uniform(least, most)
        wait_until(lambda: time.monotonic() > until, "the next fault", timeout=60)

    def node(self):
        return self.random.choice(self.cluster.nodes)

    def kill(self):
        node = self.node()
        node.kill()
        self.pause(0, 1)
        node.start()

    def kill_leader(self):
        leader = self.cluster.leader()
        leader.kill()
        self.pause(0, 1)
        leader.start()

    def end(self):
        node = self.node()
        assert node.stop() == 0, node.process.log()
        node.start()

    def freeze(self):
        node = self.node()
        node.pause()
        self.pause(0.2, 2)
        node.resume()

    def partition(self):
        node = self.node()
        node.cut()
        self.pause(0.2, 2)
        node.mend()

    def isolate_leader(self):
        leader = self.cluster.leader()
        leader.cut()
        self.pause(0.5, 2)
        leader.mend()

    def power_cut(self):
        for node in self.cluster.nodes:
            node.kill()
        for node in self.cluster.nodes:
            node.start(wait=False)
        for node in self.cluster.nodes:
            wait_until(node.answers, node.name, timeout=60)

    def wipe(self):
        node, *others = self.random.sample(self.cluster.nodes, 3)
        node.kill()
        node.wipe()
        node.start("--joins")  # or clients would find an empty store there
        wait_until(lambda: node.join(others[0], check=False, timeout=60).returncode == 0, "joining", timeout=60)

    def choose(self):
        names = ["kill", "kill_leader", "end", "freeze", "partition", "isolate_leader", "power_cut", "wipe"]
        return self.random.choices(names, weights=[4, 4, 3, 4, 4, 3, 2, 1])[0]


@pytest.mark.parametrize("seed", [1])
def test_a_hundred_faults(build, seed):
    with Cluster(build) as cluster:
        cluster.form()
        try:
            faults_and_clients(cluster, Faults(cluster, seed))
        except BaseException:
            print(cluster.logs())
            raise


def faults_and_clients(cluster, faults):
    path = os.path.join(cluster.directory, "history")
    addresses = [f"{node.address}:{ETCD}" for node in cluster.nodes]
    clients = cluster.client.start("clients", "python3", "-m", "tests.lab.history", path, "3600", CLIENTS, *addresses, cwd=REPO)
    done, began = collections.Counter(), time.monotonic()
    times = []
    for _ in range(FAULTS):
        name = faults.choose()
        times.append((round(time.monotonic(), 2), name))
        getattr(faults, name)()
        faults.pause(0, 0.4)
        done[name] += 1
    cluster.leader()
    length = os.path.getsize(path)
    wait_until(lambda: os.path.getsize(path) > length + 20000, "the clients to work on")
    clients.stop(30)
    judge(path, f"{FAULTS} faults in {time.monotonic() - began:.0f} s: {dict(done)}", times)
    for node in cluster.nodes:
        wait_until(lambda n=node: left(n) == 0, "the keys with leases to be gone")
    hashes = {node.etcdctl("endpoint", "hashkv", "-w", "json").stdout.split('"hash":')[1].split(",")[0] for node in cluster.nodes}
    assert len(hashes) == 1, hashes


def left(node):
    """How many keys with leases there are still."""
    return len(node.etcdctl("get", "l/", "--prefix", "--keys-only").stdout.split())


def judge(path, story, times):
    history = History(path)
    kinds = collections.Counter(op.kind for op in history.operations())
    unknown = sum(op.end is None for op in history.operations())
    events = [len(events) for events in history.watchers.values()]
    gone = sum(not notes[-1].get("there", True) for notes in history.leases.values())
    print(f"{story}; {dict(kinds)}, {unknown} unknown; watchers saw {events}; {gone} leases ended")
    problems = history.problems()
    for problem in problems[:5]:
        print(problem)
        key = problem.split()[0]
        print(*sorted(history.keys.get(key, []), key=lambda op: op.begin), *history.leases.get(key[:-1], []), sep="\n")
    assert not problems, times
    assert sum(kinds.values()) > 2000 and min(kinds[kind] for kind in ("put", "get", "delete", "swap", "miss")) > 50
    assert len(events) == WATCHERS and min(events) > 1000 and gone > 5
