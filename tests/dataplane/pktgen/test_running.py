# SPDX-License-Identifier: Apache-2.0
"""Rates, ends, what is left behind, and what is refused."""

import json
import os
import signal

import pytest

from tests.dataplane.pktgen.rig import FAR4
from tests.lab.wait import wait_until

UDP = ("--profile", "udp", "--to", f"{FAR4}:80")


@pytest.mark.parametrize("rate", [1000, 20000, 200000])
def test_rate(rig, rate):
    rig.far_program("bounce")
    report = rig.report(*UDP, "--rate", str(rate), "--duration", "1500ms")
    assert report["sent"] == pytest.approx(1.5 * rate, rel=0.02)
    assert report["sent"] / report["seconds"] == pytest.approx(rate, rel=0.02)
    if rig.backend == "xdp" or rate <= 20000:
        assert report["received"] == report["sent"]
    else:  # AF_XDP's ring overflows when a shared machine stops the core for 10 ms
        assert report["received"] > 0.5 * report["sent"]


def test_two_threads_share_the_rate(xdp):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU only")
    xdp.far_program("bounce")
    report = xdp.report(*UDP, "--rate", "10k", "--count", "5001", "--threads", "2")
    assert report["sent"] == report["received"] == 5001
    assert report["sent"] / report["seconds"] == pytest.approx(10000, rel=0.02)


def test_full_speed(rig):
    rig.far_program("drop")
    report = rig.report(*UDP, "--duration", "500ms")
    assert report["sent"] > 50000
    assert report["received"] == 0
    assert report["lost"] == report["sent"]


def test_refused_frames_are_not_called_sent(xdp):
    xdp.far.run("ethtool", "-K", "eth0", "gro", "off")
    report = xdp.report(*UDP, "--count", "100", "--rate", "1k", "--gateway-mac", xdp.far.mac("eth0"))
    assert (report["sent"], report["not_sent"]) == (0, 100)


def test_table(rig):
    rig.far_program("bounce")
    lines = rig.pktgen(*UDP, "--rate", "5k", "--duration", "2500ms").stdout.splitlines()
    assert lines[0].split()[:4] == ["seconds", "sent/s", "received/s", "lost"]
    assert float(lines[1].split()[1]) == pytest.approx(5000, rel=0.1)
    assert any("sent 12500 " in line and "lost 0" in line for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(rig, number):
    """What was on its way is waited for. Not at full speed: AF_XDP's ring overflows as in test_rate."""
    rig.far_program("bounce")
    process = rig.start_pktgen(*UDP, "--rate", "20k", "-o", "json")
    wait_until(lambda: rig.has_program(rig.near), "the generator")
    process.popen.send_signal(number)
    assert process.popen.wait(20) == 0
    report = json.loads(process.log())
    assert report["sent"] == report["received"]
    assert not rig.has_program(rig.near)


def test_kill_leaves_nothing(xdp):
    process = xdp.start_pktgen(*UDP, "--rate", "1k")
    wait_until(lambda: xdp.has_program(xdp.near), "the generator")
    process.kill()
    wait_until(lambda: not xdp.has_program(xdp.near), "the program's end")


def refused(rig, *options, words, code=1):
    done = rig.pktgen(*options, check=False)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("culvert-pktgen: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
    return done


def test_a_foreign_program_stays(xdp):
    xdp.put_program(xdp.near, "drop")
    refused(xdp, *UDP, "--gateway-mac", xdp.far.mac("eth0"), words=["eth0", "already", "drop"])
    assert xdp.has_program(xdp.near)


def test_errors(xdp):
    refused(xdp, "--profile", "nfs", words=["nfs", "dns, udp, tcp, syn"], code=2)
    refused(xdp, *UDP, "--interface", "eth7", words=["eth7", "no such interface"])
    refused(xdp, "--profile", "udp", "--to", "203.0.113.1:80", words=["203.0.113.1", "--gateway-mac"])
    refused(xdp, "--profile", "udp", "--to", "198.18.0.77:80", words=["198.18.0.77", "doesn't answer"])
    refused(xdp, *UDP, "--interface", "lo", words=["lo", "not an Ethernet"])
    refused(xdp, *UDP, "--flows", "1M", words=["--flows", "31744"])
    queries = os.path.join(xdp.directory, "queries")
    with open(queries, "w") as file:
        file.write("good.example A\nbad..example A\n")
    refused(xdp, "--profile", "dns", "--to", FAR4, "--queries", queries, words=[f"{queries}:2:", "bad..example"])
    xdp.near.ip("link", "set", "eth0", "down")
    refused(xdp, *UDP, words=["eth0", "down"])
    assert not xdp.has_program(xdp.near)


def test_without_root(xdp):
    binary = xdp.binary("dataplane", "pktgen", "culvert-pktgen")
    done = xdp.near.run("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534", "--clear-groups",
                        binary, "--interface", "eth0", *UDP, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "root is needed" in done.stderr
