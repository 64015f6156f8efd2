# SPDX-License-Identifier: Apache-2.0
"""`culvert explain` says what the fast path then does."""

import pytest

from tests.lab.site import CLIENT4, DNS4, IPIP4, L2VIP4, NATVIP4

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
