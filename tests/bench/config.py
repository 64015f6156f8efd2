# SPDX-License-Identifier: Apache-2.0
"""How soon a change of the site, once it is acknowledged, is in the fast path of every one of three nodes."""

import http.client
import json
import os
import socket
import statistics
import time

from tests.bench.control import VIPS, thousand_vips
from tests.lab.cluster import Cluster
from tests.lab.wait import wait_until

CHANGES = 100  # a round
WARM = 10


class Api(http.client.HTTPConnection):
    """A node's API over its socket, one connection for all requests."""

    def __init__(self, node):
        super().__init__("localhost", timeout=60)
        self.path = os.path.join(node.run_dir, "api.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def apply(self, document):
        """Applies, and returns when it was acknowledged, by the monotonic clock in ns."""
        body = json.dumps({"text": json.dumps(document), "name": "site.json"})
        self.request("POST", "/v1/apply", body, {"Content-Type": "application/json"})
        answer = self.getresponse()
        at = time.monotonic_ns()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"apply: {answer.status} {text.decode()}")
        return at


class Generations:
    """When the tables of a node's data plane took which generation."""

    def __init__(self, node, build):
        self.process = node.namespace.start("generations", os.path.join(build, "tests", "bench", "generations"), node.pin_dir)
        wait_until(lambda: self.seen(), "a generation")

    def seen(self):
        """Pairs of time and generation."""
        lines = self.process.log().split("\n")[:-1]
        return [tuple(int(word) for word in line.split()) for line in lines]


def latencies(cluster, build, document, changes):
    """Milliseconds from each acknowledgement to the last node's data plane; each node takes changes in turn."""
    apis = [Api(node) for node in cluster.nodes]
    watchers = [Generations(node, build) for node in cluster.nodes]
    found = []
    for change in range(WARM + changes):
        pool = document["pools"][f"p{change * 7 % VIPS}"]["backends"]["b0"]
        pool["weight"] = 50 if pool.get("weight") != 50 else 60
        before = [len(watcher.seen()) for watcher in watchers]
        acknowledged = apis[change % len(apis)].apply(document)
        wait_until(lambda b=before: all(len(w.seen()) > n for w, n in zip(watchers, b, strict=True)), "the change", pause=0.005)
        last = max(watcher.seen()[n][0] for watcher, n in zip(watchers, before, strict=True))
        if change >= WARM:
            found.append(max(0, last - acknowledged) / 1e6)
    for watcher in watchers:
        watcher.process.stop()
    return found


def measure(build, _sizes, rounds, tell):
    with Cluster(build) as cluster:
        cluster.form()
        cluster.leader()
        for node in cluster.nodes:
            node.start_xdp()
        document = thousand_vips()
        wait_until(lambda: Api(cluster.nodes[0]).apply(document), "the first revision", timeout=120)
        for node in cluster.nodes:
            wait_until(lambda n=node: [plane["in_sync"] for plane in n.json("status")["planes"]] == [True], f"{node.name} in sync", timeout=60)
        found = sorted(latencies(cluster, build, document, rounds * CHANGES))
    p99 = found[int((len(found) - 1) * 0.99)]
    tell(f"a backend's weight at {VIPS} virtual IPs, from the acknowledgement to every node's fast path: "
         f"{statistics.median(found):.1f} ms, 99 %: {p99:.1f} ms, at most {found[-1]:.1f} ms of {len(found)}")  # fmt: skip
    return {"config_p50_ms": round(statistics.median(found), 1), "config_p99_ms": round(p99, 1)}
