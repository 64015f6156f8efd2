# SPDX-License-Identifier: Apache-2.0
"""The compiled answers against an independent resolver, over random zones and random questions."""

import os
import random
import struct
import subprocess

import dns.flags
import dns.message
import dns.name
import dns.rdatatype as T
import pytest

from tests.controlplane.dns.random_zones import LABELS, make_zone
from tests.controlplane.dns.resolver import Resolver

QTYPES = [T.A, T.AAAA, T.TXT, T.MX, T.SRV, T.NS, T.SOA, T.CNAME, T.DS, T.PTR, T.CAA, 731, 4711]
SEEDS = int(os.environ.get("CULVERT_DNS_SEEDS", "12"))


class Tool:
    def __init__(self, program, folder, zones):
        args = [program]
        for i, (apex, text) in enumerate(zones.items()):
            path = os.path.join(folder, f"{i}.zone")
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            args += [apex, path]
        self.process = subprocess.Popen(
            args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def ask(self, wire, tcp):
        try:
            self.process.stdin.write(struct.pack("!BH", tcp, len(wire)) + wire)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        head = self.process.stdout.read(4)
        assert len(head) == 4, self.process.stderr.read().decode()
        reason, length = struct.unpack("!HH", head)
        return reason, self.process.stdout.read(length)

    def close(self):
        self.process.stdin.close()
        errors = self.process.stderr.read().decode()
        assert self.process.wait() == 0, errors


def _section(rrsets):
    return {(r.name, r.rdtype, r.ttl, rdata.to_digestable()) for r in rrsets for rdata in r}


def _questions(rng, zones, count):
    names = []
    for apex, text in zones.items():
        names += [line.split()[0] for line in text.splitlines()] + [apex]
    for _ in range(count):
        name = rng.choice(names)
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            name = rng.choice(LABELS + ["zz", "Q"]) + "." + (name if name != "." else "")
        if rng.random() < 0.1 and name.count(".") > 1:
            name = name.split(".", 1)[1]
        if rng.random() < 0.05:
            name = rng.choice(["com.", "example.", "other.net.", ".", "x.y.test."])
        yield "".join(rng.choice([c.upper(), c]) for c in name), rng.choice(QTYPES)


def _check(resolver, tool, name, qtype, tcp, payload):
    query = dns.message.make_query(name, qtype, use_edns=0 if payload else False, payload=payload)
    _, wire = tool.ask(query.to_wire(), tcp)
    reply = dns.message.from_wire(wire)
    expected = resolver.ask(query.question[0].name, qtype)
    assert reply.id == query.id and reply.flags & dns.flags.QR
    assert wire[12 : 12 + len(query.question[0].name.to_wire())] == (
        query.question[0].name.to_wire()
    ), "the question's case changed"
    assert reply.rcode() == expected.rcode
    assert bool(reply.flags & dns.flags.AA) == expected.aa
    assert (reply.edns == 0) == bool(payload)
    if reply.flags & dns.flags.TC:
        assert not tcp and not reply.answer and not reply.authority and not reply.additional
        return True
    assert len(wire) <= (65535 if tcp else max(payload, 512))
    assert _section(reply.answer) == expected.answer
    assert _section(reply.authority) == expected.authority
    additional = _section(reply.additional)
    assert expected.glue <= additional
    assert additional <= expected.glue | expected.extra
    if tcp:
        assert additional == expected.glue | expected.extra
    return False


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_zones(seed, asan, tmp_path):
    rng = random.Random(seed)
    apexes = rng.choice(
        [
            ["example.com."],
            ["example.com.", "a.example.com.", "b.c.example.com.", "other.test."],
            [".", "a.", "b.a."],
            ["com.", "a.b.c.com.", "b.com."],
        ]
    )
    zones = {apex: make_zone(rng, apex, rng.choice([5, 20, 60])) for apex in apexes}
    program = os.environ.get("CULVERT_DNS_TOOL") or os.path.join(
        asan, "tests", "controlplane", "dns", "dns-tool"
    )
    tool = Tool(program, str(tmp_path), zones)
    resolver = Resolver(zones)
    truncated = 0
    for name, qtype in _questions(rng, zones, 400):
        tcp, payload = rng.choice([(1, 0), (1, 1232), (0, 0), (0, 1232), (0, 100)])
        try:
            truncated += _check(resolver, tool, name, qtype, tcp, payload)
        except AssertionError as error:
            error.add_note(f"{name} {T.to_text(qtype)} tcp={tcp} edns={payload}; zones: {tmp_path}")
            raise
    tool.close()
    assert truncated < 200
