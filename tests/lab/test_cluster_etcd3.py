# SPDX-License-Identifier: Apache-2.0
"""python3-etcd3's locks, leases and watches go on while leaders are killed, and nothing of theirs is lost."""

import json
import re

from tests.lab.cluster import Cluster
from tests.lab.site import REPO
from tests.lab.wait import wait_until

KILLS = 4


def done(clients):
    """How far each of them is."""
    lines = [line for line in clients.log().splitlines() if line.startswith("[")]
    assert clients.alive(), clients.log()[-4000:]
    return json.loads(lines[-1]) if lines else []


def go_on(clients, what):
    before = wait_until(lambda: done(clients), "the clients")
    wait_until(
        lambda: all(now >= then + 5 for now, then in zip(done(clients), before, strict=True)),
        f"all clients to go on {what}", timeout=60,
    )  # fmt: skip


def test_leaders_are_killed(build):
    with Cluster(build) as cluster:
        try:
            story(cluster.form())
        except BaseException:
            print(cluster.logs())
            raise


def story(cluster):
    addresses = [node.address for node in cluster.nodes]
    clients = cluster.client.start("etcd3", "python3", "-m", "tests.lab.etcd3_clients", *addresses, cwd=REPO)
    go_on(clients, "from the beginning")
    for number in range(KILLS):
        leader = cluster.leader()
        leader.kill()
        go_on(clients, f"without {leader.name}, the {number + 1}th leader killed")
        leader.start()
    leader = cluster.leader()
    assert leader.stop() == 0
    go_on(clients, "after a leader's own end")
    leader.start()
    status = clients.stop(60)
    last = clients.log().splitlines()[-1]
    print(last)
    assert status == 0, last
    moves = json.loads(re.search(r"moves (\[.*?\])", last).group(1))
    assert sum(moves) >= KILLS, "hardly any client was with the nodes that were killed"
