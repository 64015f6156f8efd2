# SPDX-License-Identifier: Apache-2.0
"""How soon a change is in the fast path, and what a zone of a million records takes."""

import re
import socket
import statistics
import struct
import threading
import time

from tests.bench.rig import DNS, Rig, site_document, zone_text
from tests.lab.wait import wait_until

VIPS = 1000
NEW = "10.2.0.9"


class Probe(threading.Thread):
    """Sends a UDP packet to a virtual IP over and over and notes when the outer destination of
    what comes back first is `wanted`. Runs in the generator's network namespace."""

    def __init__(self, rig, target, wanted):
        super().__init__(daemon=True)
        self.wanted = socket.inet_aton(wanted)
        self.seen = None
        self.target = target
        self.netns = f"/run/netns/{rig.client.full_name}"
        self.ready = threading.Event()

    def run(self):
        with open(self.netns) as netns:
            # A thread has a network namespace of its own; sockets stay in the one they were made in.
            import ctypes

            ctypes.CDLL(None).setns(netns.fileno(), 0x40000000)
        back = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        back.bind(("eth0", 0))
        back.settimeout(0.0005)
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ready.set()
        while self.seen is None:
            out.sendto(b"probe", (self.target, 9000))
            try:
                while True:
                    frame = back.recv(2048)
                    if frame[23] == 4 and frame[30:34] == self.wanted:
                        self.seen = time.monotonic()
                        return
                    if frame[23] == 4:
                        break
            except TimeoutError:
                pass


def thousand_vips():
    document = site_document()
    del document["zones"], document["vips"]["limited"]
    document["limits"] = {}
    for n in range(VIPS):
        document["pools"][f"p{n}"] = {
            "drain": "0s",
            "backends": {f"b{k}": {"address": f"10.3.{n >> 6}.{(n & 63) * 4 + k}"} for k in range(4)},
        }
        address = ".".join(str(byte) for byte in struct.pack(">I", 0xC0000300 + n))
        document["vips"][f"v{n}"] = {
            "address": address, "protocol": "udp", "ports": [9000], "mode": "dsr-ipip", "pool": f"p{n}",
        }  # fmt: skip
    return document


def measure_apply(build, sizes, rounds, tell):
    """Milliseconds from the return of `culvert apply` to the first packet that went the new way."""
    delays, takes = [], []
    with Rig(build) as rig:
        rig.take_xdp_frames(rig.client, "eth0")
        rig.start_culvertd()
        rig.start_xdp()
        document = thousand_vips()
        rig.apply(document)
        rig.wait_ready()
        for n in range(max(rounds, 5) * 2):
            # All four backends move, so that whatever bucket the probe is in tells.
            addresses = [f"10.2.{n}.{k}" for k in range(4)]
            pool = document["pools"]["p7"]["backends"]
            for k, address in enumerate(addresses[:1]):
                pool[f"b{k}"]["address"] = address
            document["pools"]["p7"]["backends"] = {"b0": pool["b0"]}
            path = rig.write_site(document)
            probe = Probe(rig, "192.0.3.7", addresses[0])
            probe.start()
            probe.ready.wait()
            begin = time.monotonic()
            rig.culvert("apply", path)
            end = time.monotonic()
            wait_until(lambda p=probe: p.seen, "the change in the fast path")
            takes.append((end - begin) * 1000)
            delays.append(max(0.0, probe.seen - end) * 1000)
    tell(f"apply at {VIPS} virtual IPs: takes {statistics.median(takes):.1f} ms (CLI included), then in the "
         f"fast path after {statistics.median(delays):.2f} ms, at most {max(delays):.2f} ms")  # fmt: skip
    return {
        "apply_ms": round(statistics.median(takes), 1),
        "apply_to_fastpath_ms": round(statistics.median(delays), 2),
        "apply_to_fastpath_max_ms": round(max(delays), 2),
    }


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def measure_zone(build, sizes, rounds, tell):
    """Seconds from `culvert apply` of a zone of a million records to its last name's answer."""
    names = 1_000_000
    with Rig(build) as rig:
        rig.take_xdp_frames(rig.client, "eth0")
        rig.start_culvertd()
        rig.start_xdp()
        path = rig.write_site(site_document(), zone_text(names))
        begin = time.monotonic()
        rig.culvert("apply", path)
        applied = time.monotonic() - begin
        last = f"hx{names - 1:06x}.example.com"
        wait_until(
            lambda: rig.client.run("dig", f"@{DNS}", last, "+short", "+tries=1", "+time=1").stdout.strip(),
            "the last name's answer",
            timeout=120,
        )
        served = time.monotonic() - begin
        (plane,) = rig.culvert_json("status")["planes"]
        maps = plane["state"]["memory"]["used"] / 1048576
        daemon = resident_mb(rig.culvertd.pid)
    tell(f"zone of {names:,} records: applied in {applied:.1f} s, served after {served:.1f} s; "
         f"culvertd {daemon:.0f} MB, tables {maps:.0f} MB")  # fmt: skip
    return {
        "zone_1M_served_s": round(served, 1),
        "zone_1M_culvertd_mb": round(daemon),
        "zone_1M_tables_mb": round(maps),
    }
