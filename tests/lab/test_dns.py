# SPDX-License-Identifier: Apache-2.0
"""DNS with real clients: what the fast path answers, what culvertd answers, and that they agree."""

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from tests.lab.site import DNS4, DNS6, IPIP4
from tests.lab.wait import wait_until


def dig(site, name, kind="A", *options, server=DNS4):
    return site.client.run("dig", f"@{server}", name, kind, "+tries=1", "+time=5", *options).stdout


def ask(site, name, kind="A", tcp=False, server=DNS4, **options):
    """One query from the client's namespace; the parsed answer."""
    query = dns.message.make_query(name, kind, **options)
    mode = "tcp" if tcp else "udp"
    code = (
        "import sys,dns.message,dns.query;"
        "q=dns.message.from_wire(bytes.fromhex(sys.argv[1]));"
        f"r=dns.query.{mode}(q,sys.argv[2],timeout=5);"
        "print(r.to_wire().hex())"
    )
    done = site.client.run("python3", "-c", code, query.to_wire().hex(), server)
    return dns.message.from_wire(bytes.fromhex(done.stdout.strip()))


CASES = [
    # name, type, rcode, texts in the answer section, reason
    ("www.example.com", "A", "NOERROR", ["192.0.2.10"], "dns-answer"),
    ("WwW.ExAmPle.Com", "AAAA", "NOERROR", ["2001:db8:2::10"], "dns-answer"),
    ("ftp.example.com", "A", "NOERROR", ["CNAME", "192.0.2.10"], "dns-answer"),
    ("ftp.example.com", "MX", "NOERROR", ["CNAME"], "dns-nodata"),  # RFC 2308 section 2.2
    ("example.com", "MX", "NOERROR", ["10 mail.example.com."], "dns-answer"),
    ("example.com", "SOA", "NOERROR", ["hostmaster.example.com."], "dns-answer"),
    ("x.dyn.example.com", "A", "NOERROR", ["192.0.2.99"], "dns-answer"),
    ("x.y.dyn.example.com", "A", "NOERROR", ["192.0.2.99"], "dns-answer"),
    ("x.dyn.example.com", "TXT", "NOERROR", [], "dns-nodata"),
    ("mail.example.com", "AAAA", "NOERROR", [], "dns-nodata"),
    ("b.ent.example.com", "A", "NOERROR", [], "dns-nodata"),
    ("ent.example.com", "A", "NOERROR", [], "dns-nodata"),
    ("nope.example.com", "A", "NXDOMAIN", [], "dns-nxdomain"),
    ("a.b.c.d.e.example.com", "A", "NXDOMAIN", [], "dns-nxdomain"),
    ("example.org", "A", "REFUSED", [], "dns-refused"),
    ("com", "NS", "REFUSED", [], "dns-refused"),
    ("txt.example.net", "TXT", "NOERROR", ['"inline"'], "dns-answer"),
]


@pytest.mark.parametrize("server", [DNS4, DNS6])
@pytest.mark.parametrize("name, kind, rcode, texts, reason", CASES)
def test_answer(site, name, kind, rcode, texts, reason, server):
    before = site.reasons().get(reason, 0)
    answer = ask(site, name, kind, server=server)
    text = "\n".join(rrset.to_text() for rrset in answer.answer)
    assert dns.rcode.to_text(answer.rcode()) == rcode
    assert bool(answer.flags & dns.flags.AA) == (rcode != "REFUSED")
    assert all(part in text for part in texts), text
    if not texts:
        assert not answer.answer
    assert answer.question[0].name.to_text(omit_final_dot=True) == name  # letter case kept
    wait_until(lambda: site.reasons().get(reason, 0) > before, f"the counter {reason}")


@pytest.mark.parametrize("name, kind, rcode, texts, reason", CASES)
def test_tcp_agrees(site, name, kind, rcode, texts, reason):
    over_udp, over_tcp = ask(site, name, kind), ask(site, name, kind, tcp=True)
    over_tcp.id = over_udp.id
    assert over_tcp.to_wire() == over_udp.to_wire()


def test_negative_answers_carry_the_soa(site):
    answer = ask(site, "nope.example.com")
    (soa,) = answer.authority
    assert soa.rdtype == dns.rdatatype.SOA
    assert soa.ttl == 300  # the lesser of the SOA's TTL and its minimum (RFC 2308 section 5)


def test_referral_with_glue(site):
    answer = ask(site, "host.sub.example.com")
    assert not answer.flags & dns.flags.AA
    assert "ns.sub.example.com." in answer.authority[0].to_text()
    assert "198.51.100.53" in answer.additional[0].to_text()


def test_pool_record(site):
    answer = ask(site, "www.example.net")
    assert answer.answer[0].ttl == 30
    assert sorted(item.address for item in answer.answer[0]) == ["10.0.0.11", "10.0.0.12"]


def test_edns(site):
    answer = ask(site, "www.example.com", use_edns=0, payload=4096, want_dnssec=True)
    assert answer.edns == 0
    assert answer.ednsflags & dns.flags.DO
    assert "BADVERS" in dig(site, "www.example.com", "A", "+edns=1", "+noednsneg")


def test_kdig_pipelines_over_tcp(site):
    names = ["www.example.com", "ns1.example.com", "nope.example.com", "ftp.example.com"]
    out = site.client.run("kdig", f"@{DNS4}", "+tcp", "+keepopen", "+timeout=5", *names).stdout
    assert out.count("status: NOERROR") == 3
    assert out.count("status: NXDOMAIN") == 1


def test_many_tcp_clients_at_once(site):
    clients = [
        site.client.start(f"dig{n}", "dig", f"@{DNS4}", "www.example.com", "+tcp", "+short") for n in range(20)
    ]
    for client in clients:
        assert client.popen.wait(20) == 0
        assert IPIP4 in client.log()


SCAPY = """
import sys
from scapy.all import IP, UDP, Raw, send, conf
conf.verb = 0
send(IP(src={source!r}, dst={dst!r}) / UDP(sport={sport}, dport=53) / Raw(bytes.fromhex({payload!r})))
"""

QUERY = "123400000001000000000000" + "03777777076578616d706c6503636f6d00" + "00010001"
HOSTILE = [
    # payload, source port, reason
    ("12340000", 4000, "drop-dns-short"),
    ("1234800000010000000000000000010001", 4000, "drop-dns-response"),
    (QUERY, 7, "drop-dns-loop"),
    (QUERY, 0, "drop-dns-loop"),
    ("123400000001000000000000" + "3f6161", 4000, "dns-formerr"),
    ("123400000001000000000000" + "c00c00010001", 4000, "dns-formerr"),
    ("1234000000020000000000000000010001", 4000, "dns-formerr"),
    ("1234100000010000000000000000010001", 4000, "dns-notimp"),
]


@pytest.mark.parametrize("payload, sport, reason", HOSTILE)
def test_hostile_query(site, payload, sport, reason):
    before = site.reasons().get(reason, 0)
    code = SCAPY.format(source="198.18.0.10", dst=DNS4, sport=sport, payload=payload)
    site.client.run("python3", "-c", code)
    wait_until(lambda: site.reasons().get(reason, 0) > before, f"the counter {reason}")
