# SPDX-License-Identifier: Apache-2.0
"""What comes back is counted by what it is: a real kernel, small servers and XDP programs answer."""

import json
import os

import pytest

from tests.dataplane.pktgen.rig import FAR4, FAR6, NEAR4
from tests.lab.wait import wait_until


def target(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@pytest.mark.parametrize("address, sources", [(FAR4, "198.18.0.64/26"), (FAR6, "2001:db8:18::100/120")])
@pytest.mark.parametrize("profile, size", [("syn", ()), ("tcp", ("--size", "333")), ("udp", ("--size", "1400"))])
def test_the_kernel_takes_every_frame(rig, address, sources, profile, size):
    """Wrong checksums or lengths would be counted by the far kernel as errors."""
    rig.far.sysctl(net__ipv4__icmp_ratelimit=0, net__ipv6__icmp__ratelimit=0, net__ipv4__icmp_msgs_per_sec=100000)
    # The far end must know the way to all sources.
    mac = rig.near.mac("eth0")
    family = "-6" if ":" in address else "-4"
    rig.far.ip(family, "route", "add", sources, "via", "fe80::99" if family == "-6" else "198.18.0.99", "dev", "eth0", "onlink")
    rig.far.ip("neigh", "add", "fe80::99" if family == "-6" else "198.18.0.99", "lladdr", mac, "dev", "eth0")
    report = rig.report(
        "--profile", profile, "--to", target(address, 9), "--sources", sources, "--flows", "600",
        "--count", "3000", "--rate", "10k", *size,
    )  # fmt: skip
    assert report["sent"] == 3000
    assert report["not_sent"] == 0
    assert set(rig.errors().values()) == {0}
    if profile == "udp":
        kind, number = ("icmpv6", "1") if family == "-6" else ("icmp", "3")
        assert report["replies"][kind] == {number: report["received"]}
        assert report["received"] > 0
    else:
        assert report["replies"]["rst"] == report["received"] == 3000
        assert report["rtt_us"]["samples"] == 3000


@pytest.mark.parametrize("address", [FAR4, FAR6])
def test_syn_is_acknowledged(rig, address):
    rig.far_python("answer")
    report = rig.report("--profile", "syn", "--to", target(address, 80), "--count", "100", "--rate", "1k")
    assert report["replies"]["syn_ack"] >= 100
    times = report["rtt_us"]
    assert 0 < times["min"] <= times["p50"] <= times["p99"] <= times["max"] < 5e6


@pytest.mark.parametrize("address", [FAR4, FAR6])
@pytest.mark.parametrize("edns", [(), ("--edns", "1232")])
def test_dns_answers_by_code(rig, address, edns):
    rig.far_python("answer")
    queries = os.path.join(rig.directory, "queries")
    with open(queries, "w") as file:
        file.write("noerror.example A\nnoerror.example AAAA\nservfail.example A\nxdomain.example MX\nrefused.example A\n")
        file.write("truncated.example TXT\n")
    report = rig.report(
        "--profile", "dns", "--queries", queries, "--to", address, "--count", "600", "--rate", "3k", *edns
    )
    assert report["sent"] == report["received"] == 600
    assert report["lost"] == 0
    assert report["replies"]["dns"] == {"NOERROR": 300, "SERVFAIL": 100, "NXDOMAIN": 100, "REFUSED": 100}
    assert report["replies"]["dns_truncated"] == 100
    times = report["rtt_us"]
    assert times["samples"] > 500  # a few lose their place to a later one
    assert 0 < times["min"] <= times["p50"] <= times["p90"] <= times["p99"] <= times["max"] < 5e6


@pytest.mark.parametrize("address", [FAR4, FAR6])
def test_udp_echo_is_timed(rig, address):
    rig.far_python("answer")
    report = rig.report("--profile", "udp", "--to", target(address, 7), "--count", "500", "--rate", "2k", "--size", "200")
    assert report["replies"]["udp"] == report["sent"] == 500
    assert report["rtt_us"]["samples"] == 500
    assert 0 < report["rtt_us"]["mean"] < 5e6


def test_encapsulated_by_backend(rig):
    rig.far_program("encapsulate")
    report = rig.report("--profile", "udp", "--to", f"{FAR4}:80", "--count", "4000", "--flows", "1000", "--rate", "20k")
    backends = report["replies"]["encapsulated"]
    assert set(backends) == {"172.16.0.1", "172.16.0.2"}
    assert [backend["packets"] for backend in backends.values()] == [2000, 2000]
    assert report["received"] == report["sent"] == 4000
    assert report["rtt_us"]["samples"] > 0


def test_mix(rig):
    rig.far_python("answer")
    queries = os.path.join(rig.directory, "queries")
    with open(queries, "w") as file:
        file.write("noerror.example A\n")
    report = rig.report(
        "--profile", "mix=dns:5,udp:3,syn:2", "--queries", queries, "--to", f"{FAR4},{FAR4}:7",
        "--count", "1000", "--rate", "5k",
    )  # fmt: skip
    assert report["sent_by"] == {"dns": 500, "udp": 300, "syn": 200}
    assert report["replies"]["dns"] == {"NOERROR": 500}
    assert report["replies"]["udp"] == 300
    assert report["replies"]["rst"] == 200


def test_count_only_on_the_far_side(xdp):
    """A second instance counts what arrives there, and passes it on."""
    counter = xdp.start_pktgen("--count-only", "-o", "json", namespace=xdp.far, name="counter")
    wait_until(lambda: xdp.has_program(xdp.far), "the counter's program")
    report = xdp.report("--profile", "syn", "--to", f"{FAR4}:9", "--count", "500", "--rate", "5k")
    assert report["replies"]["rst"] == 500  # it passed them
    counter.popen.send_signal(2)
    assert counter.popen.wait(10) == 0
    counted = json.loads(counter.log())
    assert counted["replies"]["tcp_other"] == 500
    assert counted["sent"] == 0


def test_other_traffic_is_left_alone(xdp):
    xdp.far_python("answer")
    xdp.start_pktgen("--profile", "syn", "--to", f"{FAR4}:80", "--rate", "20k")
    wait_until(lambda: xdp.has_program(xdp.near), "the generator")
    assert " 0% packet loss" in xdp.near.run("ping", "-c", "3", "-i", "0.05", "-W", "5", FAR4).stdout
    code = f"import socket; print(socket.create_connection(('{FAR4}', 80), 10).getsockname()[0])"
    assert xdp.near.run("python3", "-c", code).stdout.strip() == NEAR4
