# SPDX-License-Identifier: Apache-2.0
"""The DPDK rig: packets a second of culvert-dpdk on one core, against testpmd that only sends back
(io) what it receives. Both read the same frames over and over, from DPDK's pcap device, whose
frames are in memory; what is sent to it is dropped. Wants hugepages, which it reserves and gives back.
"""

import contextlib
import json
import os
import re
import statistics
import tempfile
from ipaddress import IPv4Address

from tests.bench.frames import denied, write_pcap
from tests.bench.rig import Rig, site_document, zone_text
from tests.lab.site import ZONE
from tests.lab.wait import wait_until

NR_HUGEPAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
GATEWAY_MAC = "02:00:00:00:00:01"
SPARE_MBUFS = 32767  # beside those that the pcap device keeps
TABLES_MIB = 1024
MIB = 1 << 20
START_SECONDS = 60  # a million frames are read in
ROUND_SECONDS = 1
ZONE_NAMES = 10_000  # of a zone as most are
GROWTH_TURNS = 3
REASONS = {"lb": "lb-ipip", "dns": "dns-answer", "drop": "drop-access"}


class Memory:
    """What both programs get: packet buffers, and hugepages or not."""

    def __init__(self, frames, huge):
        self.huge = huge
        self.mbufs = frames + SPARE_MBUFS
        # Of hugepages a buffer takes 2,496 bytes; without them DPDK lays none across two pages.
        self.mib = 128 + self.mbufs * (2560 if huge else 4096) // MIB

    @property
    def pages(self):
        """Hugepages for these and the tables; DPDK rounds up each of a few pieces."""
        return (self.mib + TABLES_MIB) // 2 + 16


def write_huge(pages):
    """Asks for so many; what the kernel makes of it read_huge() tells."""
    with contextlib.suppress(OSError), open(NR_HUGEPAGES, "w", encoding="ascii") as file:
        file.write(str(pages))


def read_huge():
    with contextlib.suppress(OSError), open(NR_HUGEPAGES, encoding="ascii") as file:
        return int(file.read())
    return 0


@contextlib.contextmanager
def memory_for(frames, tell):
    """With hugepages, or without where the machine has none to give."""
    memory = Memory(frames, True)
    before = read_huge()
    wanted = before + memory.pages
    try:
        write_huge(wanted)
        if read_huge() < wanted:
            tell(f"dpdk: no {wanted} hugepages to be had, measuring without")
            write_huge(before)
            memory = Memory(frames, False)
        yield memory
    finally:
        write_huge(before)


def cores(workers):
    """One for everything else, and those that poll: of two the first shares it."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise RuntimeError("two cores are needed")
    return mine[0], mine[-workers:]


class DpdkRig(Rig):
    """The appliance alone, its interface a pcap device; the backends are behind a gateway that nobody hears."""

    def __init__(self, build, memory, workers=1):
        self.memory = memory
        self.workers = workers
        self.frames = tempfile.NamedTemporaryFile(prefix="cv")  # a site file's device is a short text
        super().__init__(build)

    def _build(self):
        self.appliance = self.namespace("appliance")
        self._quiet(self.appliance)

    @property
    def pcap(self):
        return self.frames.name

    @property
    def device(self):
        """A queue for each worker, all with the same frames."""
        return "net_pcap0," + f"rx_pcap={self.pcap}," * self.workers + "infinite_rx=1"

    def start_testpmd(self):
        main, polling = cores(self.workers)
        # The main lcore never polls: it gets a number of its own on the core that it shares.
        lcores = [f"0@{main}"] + [f"{i + 1}@{core}" for i, core in enumerate(polling)]
        return self.appliance.start(
            "testpmd", "dpdk-testpmd", "--lcores", ",".join(lcores), "--main-lcore", "0", "-m", self.memory.mib,
            "--in-memory" if self.memory.huge else "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci",
            "--vdev", self.device, "--", "--forward-mode", "io", "--total-num-mbufs", self.memory.mbufs,
            "--nb-cores", self.workers, "--rxq", self.workers, "--txq", self.workers, "--stats-period", ROUND_SECONDS,
        )  # fmt: skip

    def start_dpdk(self, *options):
        main, polling = cores(self.workers)
        self.dpdk = self.appliance.start(
            "dpdk", self.binary("dataplane", "dpdk", "culvert-dpdk"), "--run-dir", self.run_dir,
            "--memory", f"{TABLES_MIB}M", "--mbufs", self.memory.mbufs, "--buffer-memory", self.memory.mib,
            "--main-core", main, "--cores", ",".join(map(str, polling)), *([] if self.memory.huge else ["--no-huge"]), *options,
        )  # fmt: skip
        wait_until(lambda: self._up(self.dpdk) and self.planes_ready(), "the device", timeout=START_SECONDS)
        self._address(self.appliance, "eth0", "10.9.0.2/24")
        self.appliance.ip("link", "set", "eth0", "up")
        self.appliance.ip("route", "add", "default", "via", "10.9.0.1")
        self.appliance.ip("neigh", "replace", "10.9.0.1", "lladdr", GATEWAY_MAC, "dev", "eth0", "nud", "permanent")
        return self.dpdk

    def apply_kind(self, kind, size):
        """A site with one interface, and with a large zone or access list only where that is measured."""
        document = site_document()
        document["interfaces"] = {"eth0": {"driver": "dpdk", "device": self.device, "queues": self.workers}}
        path = self.write_site(document, zone_text(size) if kind == "dns" else ZONE)
        if kind == "drop":
            with open(path, "a", encoding="ascii") as file:
                file.write("access:\n")
                file.writelines(f"- deny: {IPv4Address(source)}\n" for source in denied(size))
        self.culvert("apply", path)


def testpmd_rates(rig, rounds):
    """Packets a second, as testpmd tells them by its own clock."""
    testpmd = rig.start_testpmd()

    def rates():
        found = [int(rate) for rate in re.findall(r"Rx-pps:\s+(\d+)\s+Rx-bps", testpmd.log())]
        return [rate for rate in found if rate][1:]  # the first holds the start

    wait_until(lambda: rig._up(testpmd) and len(rates()) >= rounds, "testpmd's rates", START_SECONDS + rounds * ROUND_SECONDS)
    testpmd.stop()
    return rates()[:rounds]


def counters(rig):
    answer = rig.culvert_json("counters")
    return answer["time_ns"], {reason["name"]: reason["packets"] for reason in answer["reasons"]}


def wait_round(rig, since):
    """The counters at least a round later than `since`, by the API's clock."""
    latest = []

    def passed():
        latest[:] = counters(rig)
        return latest[0] >= since + ROUND_SECONDS * 1_000_000_000

    wait_until(passed, "the round's end", timeout=ROUND_SECONDS + 10, pause=0.2)
    return latest


def culvert_rates(rig, kind, rounds):
    """Packets a second that ended as they should; others are a mistake of the rig."""
    wanted = REASONS[kind]
    rates = []
    wait_until(lambda: counters(rig)[1][wanted], f"packets that end as {wanted}")
    before = wait_round(rig, counters(rig)[0])
    for _ in range(rounds):
        after = wait_round(rig, before[0])
        gone = {name: packets - before[1].get(name, 0) for name, packets in after[1].items()}
        if gone[wanted] < 0.99 * sum(gone.values()):
            raise RuntimeError(f"{kind}: not all end as {wanted}: {json.dumps({k: v for k, v in gone.items() if v})}")
        rates.append(gone[wanted] * 1e9 / (after[0] - before[0]))
        before = after
    return rates


def measure_ours(rig, kind, size, rounds):
    """Mpps of culvert-dpdk."""
    rig.start_culvertd()
    rig.apply_kind(kind, size)
    rig.start_dpdk()
    return statistics.median(culvert_rates(rig, kind, rounds)) / 1e6


def measure_kind(rig, kind, size, rounds):
    write_pcap(rig.pcap, kind, size, size)
    theirs = testpmd_rates(rig, rounds)
    return measure_ours(rig, kind, size, rounds), statistics.median(theirs) / 1e6


def measure_two_cores(build, size, rounds, tell):
    """Mpps of both cores, each with frames of its own, and testpmd's: what the machine has to give."""
    with memory_for(2 * size, tell) as memory, DpdkRig(build, memory, workers=2) as rig:
        return measure_kind(rig, "lb", size, rounds)


def measure_one_core(rig, kind, size, rounds, tell):
    """The kind's figures by name, and testpmd's Mpps."""
    ours, theirs = measure_kind(rig, kind, size, rounds)
    beyond = 1e3 / ours - 1e3 / theirs  # what a frame costs us, the device's work (which both do) not counted
    tell(f"dpdk {kind} {size}: {ours:.2f} Mpps, testpmd {theirs:.2f} Mpps, ratio {ours / theirs:.3f}; {beyond:.1f} ns more")
    return {"mpps": ours, "vs_testpmd": ours / theirs, "ns_beyond_testpmd": beyond}, theirs


def measure_size(build, size, rounds, tell):
    results = {}
    both, both_theirs = measure_two_cores(build, size, rounds, tell)
    with memory_for(size, tell) as memory:
        for kind in REASONS:
            with DpdkRig(build, memory) as rig:
                figures, theirs = measure_one_core(rig, kind, size, rounds, tell)
            results |= {f"{kind}_{name}": value for name, value in figures.items()}
            if kind == "lb":
                results["testpmd_mpps"] = theirs
                results["lb_two_cores_mpps"] = both
                results["lb_two_cores_vs_one"] = both / figures["mpps"]
                results["testpmd_two_cores_vs_one"] = both_theirs / theirs
    return results


def measure_names(build, rounds, tell):
    with memory_for(ZONE_NAMES, tell) as memory, DpdkRig(build, memory) as rig:
        return {"dns_mpps_of_10000": measure_one_core(rig, "dns", ZONE_NAMES, rounds, tell)[0]["mpps"]}


def measure_growth(build, kind, few, many, rounds, tell):
    """How many times the cost of few is that of many flows, names or rules, in as many frames both times, so that
    the device's part is the same: more frames than caches hold come from memory. Both in turn; what else
    the machine does only ever adds, so the best of each counts."""
    best = {few: 0, many: 0}
    with memory_for(many, tell) as memory:
        for distinct in [few, many] * GROWTH_TURNS:
            with DpdkRig(build, memory) as rig:
                write_pcap(rig.pcap, kind, many, distinct)
                best[distinct] = max(best[distinct], measure_ours(rig, kind, distinct, rounds))
    growth = best[few] / best[many]
    tell(f"dpdk {kind}, {many} frames: of {few} {best[few]:.2f} Mpps, of {many} {best[many]:.2f} Mpps, {growth:.2f}")
    return growth


def measure(build, sizes, rounds, tell):
    results = {}
    for name, size in sizes.items():
        results |= {f"{figure}@{name}": value for figure, value in measure_size(build, size, rounds, tell).items()}
    results |= measure_names(build, rounds, tell)
    if {"1k", "1M"} <= set(sizes):
        for kind in [*REASONS, "testpmd"]:
            results[f"{kind}_growth"] = results[f"{kind}_mpps@1k"] / results[f"{kind}_mpps@1M"]
        for kind in REASONS:
            results[f"{kind}_growth_same_frames"] = measure_growth(build, kind, sizes["1k"], sizes["1M"], rounds, tell)
    return {name: round(value, 3 if "vs_testpmd" in name else 2) for name, value in results.items()}
