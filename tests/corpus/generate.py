# SPDX-License-Identifier: Apache-2.0
"""Writes tests/corpus/packets.txt: packets, and what the fast path must make of them.

Made by scapy, so that nothing of the fast path's own code is in the expectation. One packet a line:

    name reason frame expected

frame: hex; expected: the frame that leaves, "=" for unchanged, "-" where it is dropped, "?" where
only the verdict is compared. The site is that of tests/dataplane/fastpath/site.h. Run from the
root of the tree, with scapy: python3 -m tests.corpus.generate
"""

import pathlib

from scapy.all import (
    Dot1Q, Ether, GRE, ICMP, IP, TCP, UDP, DNS, DNSQR, IPv6, ICMPv6EchoReply, ICMPv6EchoRequest,
    ICMPv6PacketTooBig, ICMPv6DestUnreach, ICMPv6ND_NS, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPOption_NOP, PadN, Raw, ARP, AH, raw,
)

CLIENT, CLIENT6 = "198.18.0.1", "2001:db8:c::1"
L2 = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
BACK = {"src": "02:00:00:00:00:02", "dst": "02:00:00:00:00:01"}
US = "02:00:00:00:00:02"
LINES = []


def add(name, reason, frame, expected="-"):
    out = expected if isinstance(expected, str) else raw(expected).hex()
    LINES.append(f"{name} {reason} {raw(frame).hex()} {out}")


def eth(**kwargs):
    return Ether(**{**L2, **kwargs})


def to(mac_last, vlan=None):
    """The Ethernet header on the way to a backend."""
    header = Ether(src=US, dst=f"02:00:00:00:01:{mac_last:02x}")
    return header / Dot1Q(vlan=vlan) if vlan else header


def tcp4(dst, dport=80, sport=40000, flags="A", data=b"hello", **ip):
    return IP(**{"src": CLIENT, "dst": dst, "id": 7, "flags": "DF", **ip}) / TCP(
        sport=sport, dport=dport, flags=flags, seq=1) / Raw(data)


def tcp6(dst, dport=80, sport=40000, flags="A", data=b"hello", **ip):
    return IPv6(**{"src": CLIENT6, "dst": dst, **ip}) / TCP(
        sport=sport, dport=dport, flags=flags, seq=1) / Raw(data)


def udp4(dst, dport, sport=40000, data=b"hello", **ip):
    return IP(**{"src": CLIENT, "dst": dst, "id": 7, **ip}) / UDP(sport=sport, dport=dport) / Raw(data)


def udp6(dst, dport, sport=40000, data=b"hello", **ip):
    return IPv6(**{"src": CLIENT6, "dst": dst, **ip}) / UDP(sport=sport, dport=dport) / Raw(data)


def outer4(inner, dst="10.0.0.11", src="10.0.0.2", **ip):
    proto = 4 if isinstance(inner, IP) else 41
    return IP(**{"src": src, "dst": dst, "proto": proto, "ttl": 64, "id": 0, "flags": "DF", **ip}) / inner


def passes():
    add("arp", "pass-not-ip", eth() / ARP(), "=")
    add("not-ours-4", "pass-not-ours", eth() / tcp4("198.51.100.1"), "=")
    add("not-ours-6", "pass-not-ours", eth() / tcp6("2001:db8:f::1"), "=")
    add("not-ours-gre", "pass-not-ours", eth() / IP(src=CLIENT, dst="198.51.100.1") / GRE(), "=")
    add("not-ours-bad-l4", "pass-not-ours",
        eth() / IP(src=CLIENT, dst="198.51.100.1", proto=6) / Raw(b"\0" * 4), "=")
    add("group", "pass-not-ours", eth(dst="33:33:00:00:00:01") / tcp6("2001:db8::10"), "=")
    add("discovery", "pass-not-ours",
        eth() / IPv6(src="2001:db8:bad::1", dst="2001:db8:f::1", hlim=255) / ICMPv6ND_NS(tgt="2001:db8:f::1"),
        "=")
    add("dns-tcp", "pass-dns-tcp", eth() / tcp4("192.0.2.53", 53), "=")
    add("dns-tcp-6", "pass-dns-tcp", eth() / tcp6("2001:db8::53", 53), "=")
    add("local-ssh", "pass-local", eth() / tcp4("192.0.2.53", 22), "=")
    add("vip-gre", "drop-no-service", eth() / IP(src=CLIENT, dst="192.0.2.10") / GRE())
    add("vip-ah", "drop-no-service", eth() / IPv6(src=CLIENT6, dst="2001:db8::10") / AH(nh=6) / Raw(b"x" * 20))
    add("dns-options", "pass-dns-odd",
        eth() / IP(src=CLIENT, dst="192.0.2.53", options=[IPOption_NOP()] * 4) / UDP(dport=53) / DNS(qd=DNSQR()),
        "=")
    add("dns-first-fragment", "pass-dns-odd", eth() / udp4("192.0.2.53", 53, flags="MF"), "=")
    add("nat-ttl", "pass-ttl", eth() / tcp4("192.0.2.13", ttl=1), "=")


def drops():
    add("runt", "drop-short", Raw(raw(eth() / ARP())[:13]))
    add("ip-cut", "drop-short", Raw(raw(eth() / tcp4("192.0.2.10"))[:33]))
    add("ip6-cut", "drop-short", Raw(raw(eth() / tcp6("2001:db8::10"))[:53]))
    add("tag-cut", "drop-short", Raw(raw(eth() / Dot1Q(vlan=5) / IP())[:17]))
    add("three-tags", "drop-vlan-depth",
        eth() / Dot1Q(vlan=5) / Dot1Q(vlan=6) / Dot1Q(vlan=7) / tcp4("192.0.2.10"))
    add("version", "drop-ip-header", eth(type=0x800) / tcp4("192.0.2.10", version=5))
    add("ihl", "drop-ip-header", eth() / tcp4("192.0.2.10", ihl=4))
    add("length-short", "drop-ip-header", eth() / tcp4("192.0.2.10", len=19))
    add("length-long", "drop-ip-header", eth() / tcp4("192.0.2.10", len=1000))
    add("version-6", "drop-ip-header", eth(type=0x86dd) / tcp6("2001:db8::10", version=4))
    add("length-long-6", "drop-ip-header", eth() / tcp6("2001:db8::10", plen=1000))
    add("mapped-source", "drop-ip-header", eth() / tcp6("2001:db8::10", src="::ffff:198.18.0.1"))
    add("mapped-target", "drop-ip-header", eth() / tcp6("::ffff:192.0.2.10"))
    add("checksum", "drop-ip-checksum", eth() / tcp4("192.0.2.10", chksum=1))
    add("checksum-options", "drop-ip-checksum",
        eth() / tcp4("192.0.2.10", options=[IPOption_NOP()] * 40, chksum=1))
    add("hopopts-second", "drop-ext-headers",
        eth() / IPv6(src=CLIENT6, dst="2001:db8::10") / IPv6ExtHdrDestOpt(nh=0) / IPv6ExtHdrHopByHop() / TCP())
    chain = IPv6(src=CLIENT6, dst="2001:db8::10")
    for _ in range(9):
        chain = chain / IPv6ExtHdrDestOpt()
    add("too-many-headers", "drop-ext-headers", eth() / chain / TCP(dport=80))
    add("header-past-end", "drop-ext-headers",
        eth() / IPv6(src=CLIENT6, dst="2001:db8::10", nh=60) / Raw(b"\x06\x09" + b"\0" * 14))
    add("routing-live", "drop-ext-headers",
        eth() / IPv6(src=CLIENT6, dst="2001:db8::10") / IPv6ExtHdrRouting(segleft=1, addresses=["::2"]) /
        TCP(dport=80))
    add("tcp-cut", "drop-l4-header", eth() / IP(src=CLIENT, dst="192.0.2.10", proto=6) / Raw(b"\0" * 19))
    add("tcp-offset", "drop-l4-header", eth() / IP(src=CLIENT, dst="192.0.2.10") / TCP(dport=80, dataofs=4))
    add("tcp-offset-long", "drop-l4-header", eth() / IP(src=CLIENT, dst="192.0.2.10") / TCP(dport=80, dataofs=15))
    add("udp-length", "drop-l4-header", eth() / IP(src=CLIENT, dst="192.0.2.10") / UDP(dport=80, len=7))
    add("udp-length-long", "drop-l4-header", eth() / IP(src=CLIENT, dst="192.0.2.10") / UDP(dport=80, len=99))
    add("udp6-no-checksum", "drop-l4-header", eth() / IPv6(src=CLIENT6, dst="2001:db8::10") / UDP(dport=443, chksum=0))
    for number, source in enumerate(["0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.10"]):
        add(f"source-{number}", "drop-source", eth() / tcp4("192.0.2.10", src=source))
    for number, source in enumerate(["::", "::1", "ff02::1", "2001:db8::10"]):
        add(f"source6-{number}", "drop-source", eth() / tcp6("2001:db8::10", src=source))
    add("source-not-ours", "pass-not-ours", eth() / tcp4("198.51.100.1", src="127.0.0.1"), "=")
    add("later-fragment", "drop-fragment", eth() / IP(src=CLIENT, dst="192.0.2.12", frag=9, proto=6, id=99) / Raw(b"x" * 64))
    add("no-service", "drop-no-service", eth() / tcp4("192.0.2.10", 81))
    add("no-service-6", "drop-no-service", eth() / udp6("2001:db8::10", 444))
    add("no-backend", "drop-no-backend", eth() / tcp4("192.0.2.14"))
    add("no-neighbour", "drop-no-neighbour", eth() / tcp4("192.0.2.15"))
    add("l2-behind-gateway", "drop-no-neighbour", eth() / tcp4("192.0.2.12", 81))
    add("nat-families", "drop-internal", eth() / tcp6("2001:db8::13", 81))
    add("access", "drop-access", eth() / tcp4("192.0.2.10", src="203.0.113.8"))
    add("access-not-ours", "drop-access", eth() / tcp4("198.51.100.1", src="203.0.113.8"))
    add("access-wide", "drop-access", eth() / tcp4("192.0.2.10", src="203.0.119.255"))
    add("access-6", "drop-access", eth() / tcp6("2001:db8::10", src="2001:db8:bad:2::1"))
    add("access-6-host", "drop-access", eth() / tcp6("2001:db8::10", src="2001:db8:bad:1::bad"))


def encapsulated():
    packet = tcp4("192.0.2.10", tos=0xb9)
    add("ipip", "lb-ipip", eth() / packet, to(11) / outer4(packet, tos=0xb9))
    padded = eth() / tcp4("192.0.2.10", data=b"") / Raw(b"\0" * 6)
    padded[IP].len = 40
    add("ipip-padded", "lb-ipip", padded, Raw(raw(to(11) / outer4(tcp4("192.0.2.10", data=b""))) + b"\0" * 6))
    packet = udp4("192.0.2.10", 9999)
    add("ipip-udp-all-ports", "lb-ipip", eth() / packet, to(11) / outer4(packet, flags=0, id=7))
    packet = tcp4("192.0.2.10", options=[IPOption_NOP()] * 8)
    add("ipip-options", "lb-ipip", eth() / packet, to(11) / outer4(packet))
    packet = tcp6("2001:db8::10", tc=0x2e)
    add("ip6-in-ip", "lb-ipip", eth() / packet, to(11) / outer4(packet, tos=0x2e))
    packet = udp6("2001:db8::10", 443)
    add("ip6-in-ip-udp", "lb-ipip", eth() / packet, to(11) / outer4(packet))
    packet = IPv6(src=CLIENT6, dst="2001:db8::10") / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]) / \
        IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 12)]) / TCP(sport=40000, dport=80)
    add("ip6-in-ip-headers", "lb-ipip", eth() / packet, to(11) / outer4(packet))
    packet = tcp4("192.0.2.10")
    add("one-tag", "lb-ipip", eth() / Dot1Q(vlan=5) / packet, to(11) / outer4(packet))
    add("two-tags", "lb-ipip", eth(type=0x88a8) / Dot1Q(vlan=5, type=0x8100) / Dot1Q(vlan=6) / packet,
        to(11) / outer4(packet))
    packet = tcp4("192.0.2.16")
    add("to-vlan", "lb-ipip", eth() / packet, to(14, 100) / outer4(packet, "10.0.4.14", "10.0.4.2"))
    add("vlan-to-vlan", "lb-ipip", eth() / Dot1Q(vlan=5) / packet,
        to(14, 100) / outer4(packet, "10.0.4.14", "10.0.4.2"))
    add("allowed", "lb-ipip", eth() / tcp4("192.0.2.10", src="203.0.113.7"),
        to(11) / outer4(tcp4("192.0.2.10", src="203.0.113.7")))
    add("allowed-6", "lb-ipip", eth() / tcp6("2001:db8::10", src="2001:db8:bad:1::1"),
        to(11) / outer4(tcp6("2001:db8::10", src="2001:db8:bad:1::1")))
    packet = tcp4("192.0.2.10", data=b"x" * 1440)
    add("ipip-fits", "lb-ipip", eth() / packet, to(11) / outer4(packet))
    # The flow label of an outer IPv6 header is a hash: compared between host and kernel only.
    add("ip-in-ip6", "lb-ipip", eth() / tcp4("192.0.2.11", tos=0xb9), "?")
    add("ip6-in-ip6", "lb-ipip", eth() / tcp6("2001:db8::11"), "?")
    # A moving bucket: TCP that was not noted, and UDP, stay with the previous backend.
    packet = tcp4("192.0.2.17")
    add("moving-ack", "lb-ipip", eth() / packet, to(14, 100) / outer4(packet, "10.0.4.14", "10.0.4.2"))
    packet = udp4("192.0.2.17", 80)
    add("moving-udp", "lb-ipip", eth() / packet,
        to(14, 100) / outer4(packet, "10.0.4.14", "10.0.4.2", flags=0, id=7))
    packet = tcp4("192.0.2.17", sport=40001, flags="S")
    add("moving-syn", "lb-ipip", eth() / packet, to(11) / outer4(packet))
    packet = tcp4("192.0.2.17", sport=40001)
    add("moving-noted", "lb-ipip", eth() / packet, to(11) / outer4(packet))


def fragments():
    whole = IP(src=CLIENT, dst="192.0.2.10", id=77) / UDP(sport=5, dport=9) / Raw(bytes(range(200)) * 2)
    data = raw(whole)[20:]
    first = IP(src=CLIENT, dst="192.0.2.10", id=77, proto=17, flags="MF") / Raw(data[:208])
    later = IP(src=CLIENT, dst="192.0.2.10", id=77, proto=17, frag=26) / Raw(data[208:])
    add("fragment-first", "lb-ipip", eth() / first, to(11) / outer4(first, flags=0, id=77))
    add("fragment-later", "lb-ipip", eth() / later, to(11) / outer4(later, flags=0, id=77))
    base = IPv6(src=CLIENT6, dst="2001:db8::10")
    data = raw(base / UDP(sport=5, dport=443) / Raw(bytes(range(200)) * 2))[40:]
    first = base / IPv6ExtHdrFragment(nh=17, m=1, id=0x12345678) / Raw(data[:208])
    later = base / IPv6ExtHdrFragment(nh=17, offset=26, id=0x12345678) / Raw(data[208:])
    add("fragment6-first", "lb-ipip", eth() / first, to(11) / outer4(first))
    add("fragment6-later", "lb-ipip", eth() / later, to(11) / outer4(later))
    atomic = base / IPv6ExtHdrFragment(nh=6, id=9) / TCP(sport=40000, dport=80)
    add("fragment6-atomic", "lb-ipip", eth() / atomic, to(11) / outer4(atomic))
    whole = IP(src=CLIENT, dst="192.0.2.13", id=78) / UDP(sport=5, dport=443) / Raw(bytes(range(200)) * 2)
    data = raw(whole)[20:]
    good = raw(IP(src=CLIENT, dst="10.0.0.11", id=78) / UDP(sport=5, dport=443) / Raw(bytes(range(200)) * 2))[20:]
    parts = {"proto": 17, "id": 78, "src": CLIENT}
    add("fragment-nat-first", "lb-nat", eth() / IP(dst="192.0.2.13", flags="MF", **parts) / Raw(data[:208]),
        to(11) / IP(dst="10.0.0.11", flags="MF", ttl=63, **parts) / Raw(good[:208]))
    add("fragment-nat-later", "lb-nat", eth() / IP(dst="192.0.2.13", frag=26, **parts) / Raw(data[208:]),
        to(11) / IP(dst="10.0.0.11", frag=26, ttl=63, **parts) / Raw(good[208:]))


def rewritten():
    packet = tcp4("192.0.2.12", ttl=1)
    add("l2", "lb-l2", eth() / packet, to(11) / packet)
    add("l2-tag", "lb-l2", eth() / Dot1Q(vlan=5) / packet, to(11) / packet)
    packet = tcp6("2001:db8::12")
    add("l2-6", "lb-l2", eth() / packet, to(11) / packet)
    add("nat", "lb-nat", eth() / tcp4("192.0.2.13"), to(11) / tcp4("10.0.0.11", 8080, ttl=63))
    add("nat-udp", "lb-nat", eth() / udp4("192.0.2.13", 443), to(11) / udp4("10.0.0.11", 443, ttl=63))
    packet, changed = udp4("192.0.2.13", 443), udp4("10.0.0.11", 443, ttl=63)
    packet[UDP].chksum = changed[UDP].chksum = 0
    add("nat-udp-no-checksum", "lb-nat", eth() / packet, to(11) / changed)
    add("nat-6", "lb-nat", eth() / tcp6("2001:db8::13"), to(12) / tcp6("2001:db8:1::12", 8080, hlim=63))
    add("nat-options", "lb-nat", eth() / tcp4("192.0.2.13", options=[IPOption_NOP()] * 40),
        to(11) / tcp4("10.0.0.11", 8080, ttl=63, options=[IPOption_NOP()] * 40))
    back = {"src": "10.0.0.11", "dst": CLIENT, "id": 9}
    gone = {"src": "192.0.2.13", "dst": CLIENT, "id": 9, "ttl": 63}
    add("nat-back", "lb-nat-back", eth() / IP(**back) / TCP(sport=8080, dport=40000, flags="SA"),
        Ether(**BACK) / IP(**gone) / TCP(sport=80, dport=40000, flags="SA"))
    add("nat-back-udp-any", "lb-nat-back", eth() / IP(**back) / UDP(sport=443, dport=40000),
        Ether(**BACK) / IP(**gone) / UDP(sport=443, dport=40000))
    add("nat-back-6", "lb-nat-back",
        eth() / IPv6(src="2001:db8:1::12", dst=CLIENT6) / TCP(sport=8080, dport=40000, flags="SA"),
        Ether(**BACK) / IPv6(src="2001:db8::13", dst=CLIENT6, hlim=63) / TCP(sport=80, dport=40000, flags="SA"))
    far = {"dst": "198.18.9.1"}
    add("nat-back-kernel", "pass-no-neighbour",
        eth() / IP(**{**back, **far}) / TCP(sport=8080, dport=40000),
        Ether(**L2) / IP(**{**gone, **far}) / TCP(sport=80, dport=40000))
    add("nat-back-to-us", "pass-not-ours", eth() / IP(**{**back, "dst": "10.0.0.2"}) / TCP(sport=8080), "=")
    add("nat-back-ttl", "pass-ttl", eth() / IP(**back, ttl=1) / TCP(sport=8080), "=")
    add("nat-back-other-port", "pass-not-ours", eth() / IP(**back) / TCP(sport=8081), "=")


def nat_errors():
    """Errors about packets to backends of mode nat, told by them or by a router on the way."""
    def quote(dst, dport, proto=TCP, **ip):
        """The first 28 bytes of a client's packet, with the checksum of the one to the backend."""
        top = IP(src=CLIENT, dst=dst, id=7, ttl=60, proto=6 if proto is TCP else 17, len=60, **ip)
        ports = proto(sport=40000, dport=dport)
        return top / Raw(raw(ports)[:6] + b"\x12\x34" if proto is UDP else raw(ports)[:8])

    refused = {"type": 3, "code": 3}
    for name, teller in (("", "10.0.0.11"), ("-router", "10.0.0.250")):
        add(f"nat-back-error{name}", "lb-nat-back",
            eth() / IP(src=teller, dst=CLIENT, id=9) / ICMP(type=3, code=4, nexthopmtu=1400) / quote("10.0.0.11", 8080),
            Ether(**BACK) / IP(src="192.0.2.13", dst=CLIENT, id=9, ttl=63) /
            ICMP(type=3, code=4, nexthopmtu=1400) / quote("192.0.2.13", 80))
    add("nat-back-error-udp-any", "lb-nat-back",
        eth() / IP(src="10.0.0.11", dst=CLIENT, id=9) / ICMP(**refused) / quote("10.0.0.11", 443, UDP),
        Ether(**BACK) / IP(src="192.0.2.13", dst=CLIENT, id=9, ttl=63) / ICMP(**refused) /
        quote("192.0.2.13", 443, UDP))
    nops = {"options": [IPOption_NOP()] * 8}
    add("nat-back-error-options", "lb-nat-back",
        eth() / IP(src="10.0.0.11", dst=CLIENT, id=9, **nops) / ICMP(**refused) / quote("10.0.0.11", 8080, **nops),
        Ether(**BACK) / IP(src="192.0.2.13", dst=CLIENT, id=9, ttl=63, **nops) / ICMP(**refused) /
        quote("192.0.2.13", 80, **nops))

    def quote6(dst, dport):
        top = IPv6(src=CLIENT6, dst=dst, hlim=60, nh=6, plen=40)
        return top / Raw(raw(TCP(sport=40000, dport=dport))[:8])

    for name, teller in (("", "2001:db8:1::12"), ("-router", "2001:db8:1::fe")):
        add(f"nat-back-error-6{name}", "lb-nat-back",
            eth() / IPv6(src=teller, dst=CLIENT6) / ICMPv6DestUnreach(code=4) / quote6("2001:db8:1::12", 8080),
            Ether(**BACK) / IPv6(src="2001:db8::13", dst=CLIENT6, hlim=63) / ICMPv6DestUnreach(code=4) /
            quote6("2001:db8::13", 80))
    head = IP(src="10.0.0.11", dst=CLIENT, id=9)
    add("nat-back-error-other-port", "pass-not-ours", eth() / head / ICMP(**refused) / quote("10.0.0.11", 8081), "=")
    add("nat-back-error-other-client", "pass-not-ours",
        eth() / IP(src="10.0.0.11", dst="198.18.0.7") / ICMP(**refused) / quote("10.0.0.11", 8080), "=")
    add("nat-back-error-of-fragment", "pass-not-ours",
        eth() / head / ICMP(**refused) / quote("10.0.0.11", 8080, frag=5), "=")
    add("nat-back-error-ttl", "pass-ttl",
        eth() / IP(src="10.0.0.11", dst=CLIENT, ttl=1) / ICMP(**refused) / quote("10.0.0.11", 8080), "=")
    add("nat-back-error-cut", "pass-not-ours",
        eth() / head / ICMP(**refused) / Raw(raw(quote("10.0.0.11", 8080))[:24]), "=")


def icmp():
    ping = ICMP(type=8, id=3, seq=4) / Raw(b"ping" * 8)
    pong = ICMP(type=0, id=3, seq=4) / Raw(b"ping" * 8)
    for name, address in (("vip", "192.0.2.10"), ("dns", "192.0.2.53")):
        add(f"ping-{name}", "icmp-echo", eth() / IP(src=CLIENT, dst=address, ttl=3, id=7) / ping,
            Ether(**BACK) / IP(src=address, dst=CLIENT, ttl=64, id=7) / pong)
    add("ping-tags", "icmp-echo", eth() / Dot1Q(vlan=5) / IP(src=CLIENT, dst="192.0.2.10") / ping,
        Ether(**BACK) / Dot1Q(vlan=5) / IP(src="192.0.2.10", dst=CLIENT) / pong)
    add("ping-6", "icmp-echo", eth() / IPv6(src=CLIENT6, dst="2001:db8::10", hlim=3) / ICMPv6EchoRequest(id=3, seq=4),
        Ether(**BACK) / IPv6(src="2001:db8::10", dst=CLIENT6, hlim=64) / ICMPv6EchoReply(id=3, seq=4))
    add("ping-not-ours", "pass-not-ours", eth() / IP(src=CLIENT, dst="198.51.100.1") / ping, "=")
    router = {"src": "198.51.100.9", "id": 5}
    answer = IP(src="192.0.2.10", dst=CLIENT, id=6) / TCP(sport=80, dport=40000, seq=9)
    error = IP(dst="192.0.2.10", **router) / ICMP(type=3, code=4, nexthopmtu=1400) / answer
    add("error", "lb-icmp", eth() / error, to(11) / outer4(error, flags=0, id=5))
    cut = IP(dst="192.0.2.10", **router) / ICMP(type=11) / Raw(raw(answer)[:28])
    add("error-cut", "lb-icmp", eth() / cut, to(11) / outer4(cut, flags=0, id=5))
    answer6 = IPv6(src="2001:db8::10", dst=CLIENT6) / TCP(sport=80, dport=40000, seq=9)
    error = IPv6(src="2001:db8:9::9", dst="2001:db8::10") / ICMPv6PacketTooBig(mtu=1400) / answer6
    add("error-6", "lb-icmp", eth() / error, to(11) / outer4(error))
    error = IPv6(src="2001:db8:9::9", dst="2001:db8::12") / ICMPv6DestUnreach() / \
        IPv6(src="2001:db8::12", dst=CLIENT6) / TCP(sport=80, dport=40000)
    add("error-l2", "lb-icmp", eth() / error, to(11) / error)
    answer = IP(src="192.0.2.13", dst=CLIENT, id=6) / TCP(sport=80, dport=40000, seq=9)
    sent = IP(src="10.0.0.11", dst=CLIENT, id=6) / Raw(raw(TCP(sport=8080, dport=40000, seq=9))[:8])
    sent[IP].proto = 6
    cut = IP(dst="192.0.2.13", **router) / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(raw(answer)[:28])
    sent[IP].len = 40
    gone = IP(dst="10.0.0.11", ttl=63, **router) / ICMP(type=3, code=4, nexthopmtu=1400) / sent
    add("error-nat", "lb-icmp", eth() / cut, to(11) / gone)
    answer6 = IPv6(src="2001:db8::13", dst=CLIENT6) / Raw(raw(TCP(sport=80, dport=40000, seq=9))[:8])
    sent6 = IPv6(src="2001:db8:1::12", dst=CLIENT6) / Raw(raw(TCP(sport=8080, dport=40000, seq=9))[:8])
    for packet in (answer6, sent6):
        packet[IPv6].nh = 6
    add("error-nat-6", "lb-icmp",
        eth() / IPv6(src="2001:db8:9::9", dst="2001:db8::13") / ICMPv6PacketTooBig(mtu=1400) / answer6,
        to(12) / IPv6(src="2001:db8:9::9", dst="2001:db8:1::12", hlim=63) / ICMPv6PacketTooBig(mtu=1400) / sent6)
    other = IP(src="192.0.2.99", dst=CLIENT) / TCP(sport=80, dport=40000)
    add("error-not-our-answer", "drop-l4-header", eth() / IP(dst="192.0.2.10", **router) / ICMP(type=3) / other)
    later = IP(src="192.0.2.10", dst=CLIENT, frag=5, proto=6) / Raw(b"x" * 20)
    add("error-of-fragment", "drop-fragment", eth() / IP(dst="192.0.2.10", **router) / ICMP(type=3) / later)
    add("error-no-service", "drop-no-service", eth() / IP(dst="192.0.2.10", **router) / ICMP(type=3) /
        IP(src="192.0.2.10", dst=CLIENT) / TCP(sport=81, dport=40000))


def too_big():
    packet = tcp4("192.0.2.10", data=b"x" * 1445)
    add("toobig", "icmp-too-big", eth() / packet,
        Ether(**BACK) / IP(src="192.0.2.10", dst=CLIENT, ttl=64, id=0, flags="DF") /
        ICMP(type=3, code=4, nexthopmtu=1480) / Raw(raw(packet)[:548]))
    add("toobig-tags", "icmp-too-big", eth() / Dot1Q(vlan=5) / Dot1Q(vlan=6) / packet,
        Ether(**BACK) / Dot1Q(vlan=5) / Dot1Q(vlan=6) /
        IP(src="192.0.2.10", dst=CLIENT, ttl=64, id=0, flags="DF") /
        ICMP(type=3, code=4, nexthopmtu=1480) / Raw(raw(packet)[:548]))
    packet = tcp4("192.0.2.10", data=b"x" * 1445)
    packet[IP].flags = 0
    add("toobig-fragmentable", "drop-too-big", eth() / packet)
    packet = tcp4("192.0.2.19", data=b"xyz" * 181 + b"x")
    add("toobig-short-quote", "icmp-too-big", eth() / packet,
        Ether(**BACK) / IP(src="192.0.2.19", dst=CLIENT, ttl=64, id=0, flags="DF") /
        ICMP(type=3, code=4, nexthopmtu=580) / Raw(raw(packet)[:548]))
    packet = udp4("192.0.2.19", 80, data=b"x" * 573, flags="DF")
    add("toobig-nat", "icmp-too-big", eth() / packet,
        Ether(**BACK) / IP(src="192.0.2.19", dst=CLIENT, ttl=64, id=0, flags="DF") /
        ICMP(type=3, code=4, nexthopmtu=600) / Raw(raw(packet)[:548]))
    for name, size in (("toobig-6", 1421), ("toobig-6-odd", 1431), ("toobig-6-short-quote", 600)):
        vip, mtu = ("2001:db8::19", 580) if size == 600 else ("2001:db8::10", 1480)
        packet = tcp6(vip, data=b"x" * size)
        add(name, "icmp-too-big", eth() / packet,
            Ether(**BACK) / IPv6(src=vip, dst=CLIENT6, hlim=64) /
            ICMPv6PacketTooBig(mtu=mtu) / Raw(raw(packet)[:1232]))


def dns():
    query = DNS(id=0x1234, qd=DNSQR(qname="www.example.com"))
    add("dns-refused", "dns-refused", eth() / IP(src=CLIENT, dst="192.0.2.53") / UDP(sport=40000) / query, "?")
    add("dns-refused-6", "dns-refused", eth() / IPv6(src=CLIENT6, dst="2001:db8::53") / UDP(sport=40000) / query, "?")
    add("dns-loop", "drop-dns-loop", eth() / IP(src=CLIENT, dst="192.0.2.53") / UDP(sport=7) / query)
    add("dns-response", "drop-dns-response",
        eth() / IP(src=CLIENT, dst="192.0.2.53") / UDP(sport=40000) / DNS(qr=1, qd=DNSQR()))
    add("dns-short", "drop-dns-short", eth() / udp4("192.0.2.53", 53, data=b"x" * 11))


def main():
    for part in (passes, drops, encapsulated, fragments, rewritten, nat_errors, icmp, too_big, dns):
        part()
    text = "# Made by generate.py: name reason frame expected\n" + "\n".join(LINES) + "\n"
    pathlib.Path(__file__).with_name("packets.txt").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
