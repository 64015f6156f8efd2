# SPDX-License-Identifier: Apache-2.0
"""Frames that no service takes, for every service address, with the reason each is counted under."""

import os
import socket
import threading

from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)

from tests.lab.site import DNS4, DNS6, IPIP4, IPIP6, L2VIP4, L2VIP6, NATVIP4, NATVIP6


def packet_socket(namespace, interface):
    """A raw socket in the namespace: only the thread that opens it goes there."""
    opened = []

    def run():
        with open(f"/run/netns/{namespace.full_name}") as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind((interface, 0))
        opened.append(sock)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return opened[0]


def hostile4(address, port, l4):
    """Frames that no service takes, by the reason each is counted under."""

    def ip(**fields):
        return IP(src="198.18.0.10", dst=address, **fields)

    def answer(**fields):
        return IP(src=address, dst="198.18.0.10", **fields) / UDP(sport=port, dport=4444)

    whole = bytes(ip() / l4)
    return {
        "drop-short": [whole[:1], whole[:19], bytes(ip(options=[IPOption_NOP()] * 40) / l4)[:40]],
        "drop-ip-header": [
            b"\x41" + whole[1:],  # a header of 4 bytes
            b"\x65" + whole[1:],  # version 6
            whole[:2] + b"\x00\x13" + whole[4:],  # shorter than its header
            whole[:2] + b"\xff\xff" + whole[4:],  # longer than the frame
            whole[:24],
        ],
        "drop-ip-checksum": [bytes(ip(chksum=0x1234) / l4), bytes(ip(chksum=1, options=[IPOption_NOP()] * 8) / l4)],
        "drop-l4-header": [
            bytes(ip(proto=6) / b"\x12\x34\x56"),
            bytes(ip() / UDP(sport=9, dport=port, len=4)),
            bytes(ip() / UDP(sport=9, dport=port, len=4000) / b"x"),
            bytes(ip() / TCP(sport=9, dport=port, dataofs=2)),
            bytes(ip() / TCP(sport=9, dport=port, dataofs=15)),
            bytes(ip(flags="MF", proto=6) / b"\x00\x09\x00\x50"),  # a tiny first fragment
        ],
        "drop-source": [
            bytes(IP(src=source, dst=address) / l4) for source in (address, "127.0.0.1", "0.0.0.0", "224.0.0.1")
        ],
    }, {
        "drop-l4-header": [
            bytes(ip() / ICMP(type=3, code=4) / b"\x45\x00"),
            bytes(ip() / ICMP(type=3, code=3) / ip() / ICMP(type=3, code=3) / answer()),
            bytes(ip() / ICMP(type=3, code=3) / IP(src="192.0.2.222", dst="198.18.0.10") / UDP()),
        ],
        "drop-fragment": [
            bytes(ip() / ICMP(type=11) / answer(frag=7)),
            bytes(ip(frag=1, id=7, proto=17) / (b"x" * 24)),  # overlaps what a first fragment would hold
            bytes(ip(frag=8191, id=7, proto=6) / b"xxxx"),
        ],
    }


def hostile6(address, port, l4):
    def ip(**fields):
        return IPv6(src="2001:db8:18::10", dst=address, **fields)

    whole = bytes(ip() / l4)
    jumbo = IPv6ExtHdrHopByHop()
    return {
        "drop-short": [whole[:1], whole[:39]],
        "drop-ip-header": [
            b"\x45" + whole[1:],
            whole[:4] + b"\xff\xff" + whole[6:],
            whole[:-1],
            bytes(IPv6(src="::ffff:198.18.0.10", dst=address) / l4),
        ],
        "drop-ext-headers": [
            bytes(ip() / IPv6ExtHdrDestOpt() / jumbo / l4),  # hop-by-hop not first
            bytes(ip() / IPv6ExtHdrRouting(segleft=1, addresses=["2001:db8::1"]) / l4),
            bytes(ip(nh=60) / (b"\x3c\x00\x01\x04\x00\x00\x00\x00" * 60)),  # many
            bytes(ip(nh=60) / b"\x11\xff\x01\x04\x00\x00\x00\x00"),  # longer than the packet
            bytes(ip(nh=0) / b"\x3c\x00"),
        ],
        "drop-l4-header": [
            bytes(ip() / UDP(sport=9, dport=port, chksum=0)),
            bytes(ip() / UDP(sport=9, dport=port, len=7)),
            bytes(ip() / TCP(sport=9, dport=port, dataofs=1)),
            bytes(ip() / IPv6ExtHdrFragment(m=1, nh=6) / b"\x00\x09"),
        ],
        "drop-source": [
            bytes(IPv6(src=source, dst=address) / l4) for source in (address, "::1", "::", "ff02::1")
        ],
    }, {
        "drop-l4-header": [
            bytes(ip() / ICMPv6PacketTooBig(mtu=1280) / b"\x60\x00"),
            bytes(ip() / ICMPv6DestUnreach() / ip() / ICMPv6DestUnreach() / ip()),
        ],
        "drop-fragment": [bytes(ip() / IPv6ExtHdrFragment(offset=1, id=7, nh=17) / (b"x" * 24))],
    }


def hostile_frames(head):
    """[(reason, frame)] for every service address of the site."""
    services = [
        (hostile4, DNS4, UDP(sport=4444, dport=53) / DNS(rd=0, qd=DNSQR(qname="www.example.com")), False),
        (hostile4, IPIP4, TCP(sport=4444, dport=80), True),
        (hostile4, L2VIP4, TCP(sport=4444, dport=80), True),
        (hostile4, NATVIP4, TCP(sport=4444, dport=80), True),
        (hostile6, DNS6, UDP(sport=4444, dport=53) / DNS(rd=0, qd=DNSQR(qname="www.example.com")), False),
        (hostile6, IPIP6, TCP(sport=4444, dport=80), True),
        (hostile6, L2VIP6, TCP(sport=4444, dport=80), True),
        (hostile6, NATVIP6, TCP(sport=4444, dport=80), True),
    ]
    frames = []
    for make, address, l4, is_vip in services:
        ethertype = b"\x08\x00" if make is hostile4 else b"\x86\xdd"
        tables = make(address, l4.dport, l4)
        for table in tables if is_vip else tables[:1]:
            for reason, packets in table.items():
                frames += [(reason, head + ethertype + packet) for packet in packets]
        whole = bytes((IP if make is hostile4 else IPv6)(dst=address) / l4)
        frames.append(("drop-vlan-depth", head + b"\x88\xa8\x00\x01\x81\x00\x00\x02" * 6 + ethertype + whole))
        frames.append(("drop-vlan-depth", head + b"\x81\x00\x00\x01" * 3 + ethertype + whole))
    for bits, reason in (({"qr": 1}, "drop-dns-response"), ({"rd": 0}, "drop-dns-loop")):
        udp = UDP(sport=53 if "qr" in bits else 7, dport=53)
        query = IP(src="198.18.0.10", dst=DNS4) / udp / DNS(qd=DNSQR(qname="x.example.com"), **bits)
        frames.append((reason, head + b"\x08\x00" + bytes(query)))
    short = IP(src="198.18.0.10", dst=DNS4) / UDP(sport=4444, dport=53) / b"\x00\x01\x00"
    frames.append(("drop-dns-short", head + b"\x08\x00" + bytes(short)))
    frames += [("drop-short", head + tag) for tag in (b"\x81\x00\x00", b"\x88\xa8\x00\x01\x81\x00\x00")]
    return frames
