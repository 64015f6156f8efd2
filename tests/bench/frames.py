# SPDX-License-Identifier: Apache-2.0
"""Pcap files of as many frames as there are flows or names, varied as the shim does (shim.bpf.c)."""

import socket
import struct

from tests.bench.rig import DNS, VIP

PCAP_HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
ETHERNET = bytes.fromhex("020000000001 020000000002 0800")
CLIENTS, DENIED = 0x0A800000, 0xAC100000  # 10.128.0.0 and 172.16.0.0, and on
ACCESS_MOST = 1_000_000  # rules of a site
CHUNK = 1 << 16


def ipv4(protocol, source, destination, length):
    """A header of 20 bytes; `length` is what follows."""
    words = struct.unpack("!10H", struct.pack("!BBHHHBBHI4s", 0x45, 0, 20 + length, 0, 0, 64, protocol, 0, source, destination))
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!10H", *words[:5], ~total & 0xFFFF, *words[6:])


def tcp_frames(sources, ports_each):
    """By number: 60 bytes, an ACK without data."""
    vip = socket.inet_aton(VIP)
    heads = [ETHERNET + ipv4(6, source, vip, 20) for source in sources]
    tails = [struct.pack("!HHIIBBHHH", 1024 + n, 80, 0, 0, 0x50, 0x10, 0, 0, 0) + bytes(6) for n in range(ports_each)]
    return lambda n: heads[n // ports_each] + tails[n % ports_each]


def lb_frames(size):
    """Flows, 64 of each client."""
    return tcp_frames(range(CLIENTS, CLIENTS + size // 64), 64)


def denied(size):
    """Sources, each with a rule of its own on the access list."""
    return range(DENIED, DENIED + min(size, ACCESS_MOST))


def drop_frames(size):
    """One of each denied source; some have two in a million and a bit."""
    sources = denied(size)
    return tcp_frames([sources[n % len(sources)] for n in range(size)], 1)


def dns_frames(_):
    """Questions for hx000000.example.com. and on."""
    question = b"\x07example\x03com\x00\x00\x01\x00\x01"
    udp = struct.pack("!HHHH", 1024, 53, 8 + 12 + 9 + len(question), 0)
    head = struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + b"\x08"
    before = ETHERNET + ipv4(17, CLIENTS, socket.inet_aton(DNS), len(udp) + len(head) + 8 + len(question)) + udp + head
    return lambda n: before + b"hx%06x" % n + question


FRAMES = {"lb": lb_frames, "dns": dns_frames, "drop": drop_frames}


def write_pcap(path, kind, size, distinct):
    """`size` frames of a kind, of `distinct` flows or names or sources, in an order that no cache foresees."""
    frame = FRAMES[kind](distinct)
    record = struct.pack("<IIII", 0, 0, len(frame(0)), len(frame(0)))
    with open(path, "wb") as file:
        file.write(PCAP_HEAD)
        for first in range(0, size, CHUNK):
            numbers = range(first, min(first + CHUNK, size))
            file.write(b"".join(record + frame(n * 2654435761 % size % distinct) for n in numbers))  # a prime
