# SPDX-License-Identifier: Apache-2.0
"""`culvert explain` says what the fast path then does."""

import re

import pytest

from tests.lab.site import CLIENT4, DNS4, IPIP4, L2VIP4, NATVIP4

NO_ENTRY = "access    no entry for the source"
IPIP = [
    "parse     54 bytes",
    NO_ENTRY,
    "vip       virtual IP web, port 80",
    "limit     limit per-client: within",
    "pool      pool web, bucket N of 1024",
    "backend   backend web.webN (10.0.0.N)",
    "way       next hop out of eth0",
    "forward: lb-ipip (balanced: encapsulated to the backend)",
    "leaves: 74 bytes: 10.0.0.2 -> 10.0.0.N, IP in IP",
]
NXDOMAIN = [
    "parse     87 bytes",
    NO_ENTRY,
    "address   port 53: a DNS listener's address",
    "limit     limit queries: within",
    "dns       zone example.com, 2 labels: the closest name above",
    "tx: dns-nxdomain (DNS: no such name)",
    "leaves: N bytes: 192.0.2.53:53 -> 198.18.0.10:40000, DNS, NXDOMAIN, 0 answers",
]

FLOWS = [
    (f"{IPIP4}:80/tcp", "lb-ipip"),
    (f"{IPIP4}:81/tcp", "drop-no-service"),
    (f"{L2VIP4}:80/tcp", "lb-l2"),
    (f"{NATVIP4}:80/tcp", "lb-nat"),
    ("198.18.0.1:80/tcp", "pass-not-ours"),
]


@pytest.mark.parametrize("target, reason", FLOWS)
def test_flow(site, target, reason):
    words = ["explain", "--from", f"{CLIENT4}:40000", "--to", target]
    assert site.culvert_json(*words)["reason"] == reason
    assert reason in site.culvert(*words).stdout


@pytest.mark.parametrize("name, reason", [("www.example.com", "dns-answer"), ("nope.example.com", "dns-nxdomain")])
def test_query(site, name, reason):
    words = ["explain", "--from", f"{CLIENT4}:40000", "--to", f"{DNS4}:53/udp", "--query", name, "A"]
    assert site.culvert_json(*words)["reason"] == reason


def test_explain_counts_nothing(site):
    before = site.reasons()
    site.culvert("explain", "--from", f"{CLIENT4}:40000", "--to", f"{IPIP4}:81/tcp")
    assert site.reasons().get("drop-no-service", 0) == before.get("drop-no-service", 0)


def lines(text):
    """The lines, with N for what the site's random keys decide."""
    text = re.sub(r"bucket \d+", "bucket N", text)
    text = re.sub(r"10\.0\.0\.1[12]\b", "10.0.0.N", re.sub(r"\.web\d", ".webN", text))
    return [line.strip() for line in text.splitlines()]


def test_words_of_a_balanced_flow(site):
    assert lines(site.culvert("explain", "--from", CLIENT4, "--to", f"{IPIP4}:80/tcp").stdout) == IPIP


def test_words_of_a_query(site):
    text = site.culvert("explain", "--from", CLIENT4, "--query", "nope.example.com", "A").stdout
    assert lines(re.sub(r"leaves: \d+", "leaves: N", text)) == NXDOMAIN


def test_steps_keep_their_numbers(site):
    steps = site.culvert_json("explain", "--from", CLIENT4, "--to", f"{IPIP4}:80/tcp")["steps"]
    vip = next(step for step in steps if step["stage"] == "vip")
    assert vip["what"] == "found: vip, port" and vip["b"] == 80 and vip["text"] == "virtual IP web, port 80"
