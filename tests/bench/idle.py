# SPDX-License-Identifier: Apache-2.0
"""The lab site on DPDK without traffic: what its polling core costs, and how long the first packet waits."""

import os
import re
import statistics
import time

from tests.lab.site import IPIP4, Site, site_document
from tests.lab.wait import wait_until

SECONDS = 10
QUIET = 2  # between packets that each are the first after a while
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def idle_percent(rig):
    begin, before = time.monotonic(), cpu_seconds(rig.dpdk.pid)
    wait_until(lambda: time.monotonic() >= begin + SECONDS, "the measurement's end", timeout=2 * SECONDS, pause=1)
    return 100 * (cpu_seconds(rig.dpdk.pid) - before) / (time.monotonic() - begin)


def round_trips(rig, count, interval):
    """Of echo requests that the fast path answers, in microseconds."""
    text = rig.client.run("ping", "-c", count, "-i", interval, IPIP4).stdout
    return [1000 * float(time) for time in re.findall(r"time=([\d.]+) ms", text)]


def measure(build, sizes, rounds, tell):
    del sizes
    with Site(build, "dpdk") as rig:
        rig.start_culvertd()
        rig.start_dpdk()
        rig.apply(site_document("dpdk"))
        rig.wait_ready()
        wait_until(lambda: round_trips(rig, 1, 1), "an answer")
        percents = [idle_percent(rig) for _ in range(rounds)]
        first = round_trips(rig, 2 * rounds, QUIET)
        running = round_trips(rig, 50, 0.01)
    results = {
        "idle_percent_of_core": round(statistics.median(percents), 2),
        "first_packet_us": round(statistics.median(first)),
        "first_packet_max_us": round(max(first)),
        "next_packet_us": round(statistics.median(running)),
    }
    tell(f"idle: {results}")
    return results
