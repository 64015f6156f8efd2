# SPDX-License-Identifier: Apache-2.0
"""A hundred faults under concurrent clients: nothing acknowledged is lost, and all reads are right."""

import collections
import os
import random
import time

import pytest

from tests.lab.cluster import ETCD, Cluster
from tests.lab.history import check, read
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
    wait_until(lambda: os.path.getsize(path) > length + 10000, "the clients to work on")
    clients.stop(30)
    bad, count = check(path)
    unknown = sum(op.end is None for ops in read(path).values() for op in ops)
    print(f"{FAULTS} faults in {time.monotonic() - began:.0f} s: {dict(done)}; {count} operations, {unknown} unknown")
    if bad:
        print("\n".join(map(str, sorted(read(path)[bad[0]], key=lambda op: op.begin))), times, sep="\n")
    assert not bad
    assert count > 2000
    hashes = {node.etcdctl("endpoint", "hashkv", "-w", "json").stdout.split('"hash":')[1].split(",")[0] for node in cluster.nodes}
    assert len(hashes) == 1, hashes
