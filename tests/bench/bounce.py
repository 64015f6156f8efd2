# SPDX-License-Identifier: Apache-2.0
"""The XDP bounce rig: packets a second through a veth pair, generator included, against an XDP
program that only swaps the MAC addresses (bounce) or only drops (drop), in the same run and in turn.
"""

import json
import shutil
import statistics

from tests.bench.rig import Rig, site_document, zone_text
from tests.lab.namespaces import sh

MILLISECONDS = 1000


class Baseline:
    """A plain XDP program on the appliance's port."""

    def __init__(self, rig, program):
        self.rig = rig
        self.directory = f"/sys/fs/bpf/bench-{rig.run_id}"
        self.program = program

    def __enter__(self):
        sh("bpftool", "prog", "loadall", self.rig.binary("tests", "bench", "shim.bpf.o"), self.directory)
        self.rig.appliance.run(
            "bpftool", "net", "attach", "xdpdrv", "pinned", f"{self.directory}/{self.program}", "dev", "eth0"
        )

    def __exit__(self, *_):
        self.rig.appliance.run("bpftool", "net", "detach", "xdpdrv", "dev", "eth0")
        shutil.rmtree(self.directory)


class Culvert:
    """The appliance, attached."""

    def __init__(self, rig):
        self.rig = rig

    def __enter__(self):
        self.rig.start_xdp()
        self.rig.wait_ready()

    def __exit__(self, *_):
        self.rig.detach_xdp()


def rate(rig, kind, size, port, returned):
    """Packets a second: what came back, or for drops what the far end took."""
    run = rig.client.run("taskset", "-c", "0", rig.binary("tests", "bench", "bounce"), kind, size, port, "eth0", MILLISECONDS)
    report = json.loads(run.stdout)
    return (report["received"] if returned else report["sent"]) / report["seconds"]


def compare(rig, key, load, program, rounds, tell, returned=True):
    """Medians of both and of the ratio, round by round."""
    ours, theirs = [], []
    for _ in range(rounds):
        with Baseline(rig, program):
            theirs.append(rate(rig, *load, returned))
        with Culvert(rig):
            ours.append(rate(rig, *load, returned))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    mine, other = statistics.median(ours) / 1e6, statistics.median(theirs) / 1e6
    tell(f"bounce {key}: {mine:.2f} Mpps, {program} {other:.2f} Mpps, ratio {ratio:.2f}")
    return {key: round(ratio, 3), key.replace("_vs_", "_mpps_beside_"): round(mine, 2)}


def measure(build, sizes, rounds, tell):
    results = {}
    for name, size in sizes.items():
        with Rig(build) as rig:
            rig.start_culvertd()
            rig.apply(site_document(), zone_text(size))
            results |= compare(rig, f"lb_vs_bounce@{name}", ("lb", size, 80), "bounce", rounds, tell)
            results |= compare(rig, f"dns_vs_bounce@{name}", ("dns", size, 53), "bounce", rounds, tell)
            drop = ("drop", size, 81)
            results |= compare(rig, f"limit_vs_drop@{name}", drop, "drop", rounds, tell, returned=False)
    return results
