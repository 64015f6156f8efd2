# SPDX-License-Identifier: Apache-2.0
"""Three culvertd against three etcd, in turn: the same machine, client and disk, every write synced by both."""

import contextlib
import json
import os
import threading
import time
import urllib.request

from tests.bench import config
from tests.lab.cluster import ETCD, Cluster
from tests.lab.wait import wait_until

CLIENTS, SECONDS, KEYS, MANY_KEYS = 64, 4, 10_000, 1_000_000
PEER = 2380
IDLE_SECONDS = 10


def processor(pids):
    """Seconds of processor time that processes have taken so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(cluster, build, mode, clients=CLIENTS, seconds=SECONDS, keys=KEYS, servers=()):
    """One line of etcd_load's figures; `cpu_us`: of the servers and the client, for a request."""
    endpoints = [f"{node.address}:{ETCD}" for node in cluster.nodes]
    command = [os.path.join(build, "tests", "bench", "etcd_load"), mode, clients, seconds, keys, *endpoints]
    before = processor(servers)
    line = json.loads(cluster.client.run(*command, timeout=seconds + 600).stdout)
    took = processor(servers) - before + line["processor_s"]
    return {**line, "cpu_us": 1e6 * took / max(line["requests"], 1)}


def best(cluster, build, mode, rounds, **options):
    """The round with the highest rate: others share the machine."""
    return max((load(cluster, build, mode, **options) for _ in range(rounds)), key=lambda line: line["rate"])


@contextlib.contextmanager
def three_etcd(cluster):
    """etcd on every node of the cluster, as Debian has it; the processes' ids."""
    members = ",".join(f"{node.name}=http://{node.address}:{PEER}" for node in cluster.nodes)
    running = []
    for node in cluster.nodes:
        running.append(node.namespace.start(
            "etcd", "etcd", "--name", node.name, "--data-dir", os.path.join(node.folder, "etcd"),
            "--listen-client-urls", f"http://{node.address}:{ETCD}",
            "--advertise-client-urls", f"http://{node.address}:{ETCD}",
            "--listen-peer-urls", f"http://{node.address}:{PEER}",
            "--initial-advertise-peer-urls", f"http://{node.address}:{PEER}",
            "--initial-cluster", members, "--log-level", "error",
        ))  # fmt: skip
    wait_until(lambda: all(node.etcdctl("endpoint", "health", check=False).returncode == 0 for node in cluster.nodes), "etcd", timeout=60)
    try:
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.stop(20)


def rates(cluster, build, rounds, who, servers, tell):
    """Writes, reads and watches of what runs on the nodes now."""
    lines = {mode: best(cluster, build, mode, rounds, servers=servers) for mode in ("put", "get")}
    lines["watch"] = min((load(cluster, build, "watch", clients=16) for _ in range(rounds)), key=lambda line: line["p99_us"])
    for mode, line in lines.items():
        spent = f", {line['cpu_us']:.0f} us of a processor each" if mode != "watch" else ""
        tell(f"store {who} {mode}: {line['rate']:.0f}/s, {line['p50_us']:.0f} us, 99 %: {line['p99_us']:.0f} us{spent}")
    return lines


def usage(node):
    """Resident MB, and seconds of processor time so far, of a node's culvertd."""
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return resident / 1024, processor([node.process.pid])


def idle(cluster):
    """The most that a node takes while nothing is asked of it."""
    before = [usage(node) for node in cluster.nodes]
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began >= IDLE_SECONDS, "the idle time", timeout=IDLE_SECONDS + 10, pause=1)
    took = time.monotonic() - began
    after = [usage(node) for node in cluster.nodes]
    return max(now[0] for now in after), max((now[1] - then[1]) / took for then, now in zip(before, after, strict=True))


def failover(cluster):
    """Seconds from the leader's death to the next write."""
    leader = cluster.leader()
    others = [node for node in cluster.nodes if node is not leader]
    leader.kill()
    seconds = cluster.writes_again(others)
    leader.start()
    return seconds


class Reader(threading.Thread):
    """Reads a key over and over, by etcd's JSON and linearizably, until it is answered: a client started anew each time is slow."""

    def __init__(self, cluster, node):
        super().__init__(daemon=True)
        self.netns = f"/run/netns/{cluster.client.full_name}"
        self.url = f"http://{node.address}:{ETCD}/v3/kv/range"
        self.answered = None  # when, by the monotonic clock

    def reads(self):
        body = b'{"key": "YmVuY2gvMDAwMDAwMDE="}'  # bench/00000001
        with urllib.request.urlopen(self.url, body, timeout=5) as answer:
            return json.load(answer).get("count") == "1"

    def run(self):
        with open(self.netns, encoding="ascii") as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)
        wait_until(self.reads, "a read", timeout=60, pause=0.005)
        self.answered = time.monotonic()


def restart(cluster, build, tell):
    """Seconds until a node with a million keys that was killed answers a linearizable read again."""
    filled = load(cluster, build, "fill", clients=64, keys=MANY_KEYS)
    tell(f"store fill: {100 * filled['rate']:.0f} keys/s in transactions of 100")
    node = cluster.nodes[-1]
    node.kill()
    reader = Reader(cluster, node)
    began = time.monotonic()
    node.start(wait=False)
    reader.start()
    return wait_until(lambda: reader.answered, "a read", timeout=60) - began


def measure(build, sizes, rounds, tell):
    changes = config.measure(build, sizes, rounds, tell)
    with Cluster(build) as cluster:
        with three_etcd(cluster) as servers:
            theirs = rates(cluster, build, rounds, "etcd", servers, tell)
        cluster.form()
        cluster.leader()
        memory, processor = idle(cluster)
        tell(f"store idle: {memory:.0f} MB, {100 * processor:.1f} % of a core")
        ours = rates(cluster, build, rounds, "culvert", [node.process.pid for node in cluster.nodes], tell)
        dead = failover(cluster)
        tell(f"store failover: {dead:.2f} s")
        again = restart(cluster, build, tell)
        filled = usage(cluster.nodes[-1])[0]
        tell(f"store restart with {MANY_KEYS} keys: {again:.2f} s, {filled:.0f} MB")
    return changes | {
        "writes_per_s": ours["put"]["rate"],
        "writes_vs_etcd": round(ours["put"]["rate"] / theirs["put"]["rate"], 2),
        "write_p99_us": ours["put"]["p99_us"],
        "write_p99_vs_etcd": round(ours["put"]["p99_us"] / theirs["put"]["p99_us"], 2),
        "write_cpu_us": round(ours["put"]["cpu_us"], 1),
        "write_cpu_vs_etcd": round(ours["put"]["cpu_us"] / theirs["put"]["cpu_us"], 2),
        "reads_per_s": ours["get"]["rate"],
        "read_cpu_us": round(ours["get"]["cpu_us"], 1),
        "read_cpu_vs_etcd": round(ours["get"]["cpu_us"] / theirs["get"]["cpu_us"], 2),
        "reads_vs_etcd": round(ours["get"]["rate"] / theirs["get"]["rate"], 2),
        "watch_p99_us": ours["watch"]["p99_us"],
        "failover_s": round(dead, 2),
        "idle_mb": round(memory, 1),
        "idle_core": round(processor, 3),
        "restart_1M_s": round(again, 2),
        "restart_1M_mb": round(filled),
    }
