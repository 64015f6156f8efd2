# SPDX-License-Identifier: Apache-2.0
"""What only a DPDK device has: ARP and ND of its own, cores, other devices, and what is refused."""

import json
import os
import re
import shutil
import signal

import pytest

from tests.dataplane.pktgen.rig import BACKENDS, FAR4, FAR6, NEAR4, NEAR6, Rig
from tests.lab.wait import wait_until

MAC = "02:00:00:00:00:77"
UDP = ("--profile", "udp", "--to", f"{FAR4}:7")
SMALL = ("--no-huge", "--mbufs", "8191")
GIVEN = (*SMALL, "--profile", "udp", "--to", "192.0.2.1:80", "--sources", "198.18.0.0/16", "--gateway-mac", MAC)


@pytest.fixture
def dpdk(build):
    with Rig(build, "dpdk") as made:
        yield made
        for process in made.processes:
            print(f"--- {process.name}\n{process.log()}")


def run(rig, *options, check=True):
    """The generator on another device than the rig's."""
    return rig.near.run(rig.program, *options, "-o", "json", check=check)


def keys(value, path=""):
    """The names in a report, but for those that stand for what came back."""
    names = {path}
    for name, inner in value.items() if isinstance(value, dict) else ():
        counted = path in ("/sent_by", "/replies/dns", "/replies/icmp", "/replies/icmpv6", "/replies/encapsulated",
                           "/replies/forwarded")  # fmt: skip
        names |= set() if counted else keys(inner, f"{path}/{name}")
    return names


def test_the_report_is_that_of_xdp(dpdk):
    dpdk.far_python("answer")
    ours = dpdk.report(*UDP, "--count", "100", "--rate", "1k")
    dpdk.backend = "xdp"
    theirs = dpdk.report(*UDP, "--count", "100", "--rate", "1k")
    assert keys(ours) == keys(theirs)
    assert list(ours) == list(theirs)
    assert (ours["mode"], ours["interface"]) == ("dpdk", "net_af_xdp0,iface=eth0")


@pytest.mark.parametrize("far, near", [(FAR4, NEAR4), (FAR6, NEAR6)])
def test_source_mac_and_who_asks_for_it(dpdk, far, near):
    """The far end's kernel finds the MAC address that was given, by ARP or ND, and answers to it."""
    dpdk.far_python("answer")
    to = f"[{far}]:7" if ":" in far else f"{far}:7"
    report = dpdk.report("--profile", "udp", "--to", to, "--count", "200", "--rate", "2k", "--source-mac", MAC)
    assert report["replies"]["udp"] == report["sent"] == 200
    assert f"{near} dev eth0 lladdr {MAC}" in dpdk.far.ip("neigh", "show").stdout


def test_by_a_router(dpdk):
    """Targets that are not on the link: the far end's kernel has their addresses on its loopback."""
    dpdk.far.ip("addr", "add", "203.0.113.7/32", "dev", "lo")
    dpdk.far.ip("addr", "add", "2001:db8:77::7/128", "dev", "lo")
    report = dpdk.report("--profile", "syn", "--to", "203.0.113.7:9,[2001:db8:77::7]:9", "--via", f"{FAR4},{FAR6}",
                         "--count", "200", "--rate", "2k")  # fmt: skip
    assert report["replies"]["rst"] == report["sent"] == 200


def test_count_only_answers_who_asks(dpdk):
    """The far end's pings find our MAC address; they are counted, and nobody answers them."""
    counter = dpdk.start_pktgen("--count-only", "-o", "json", name="counter")
    wait_until(lambda: dpdk.has_program(dpdk.near), "the counter")
    dpdk.far.run("ping", "-c", "2", "-i", "0.05", "-W", "1", NEAR4, check=False)
    assert f"{NEAR4} dev eth0 lladdr" in dpdk.far.ip("neigh", "show").stdout
    counter.popen.send_signal(signal.SIGINT)
    assert counter.popen.wait(10) == 0
    assert json.loads(counter.log())["replies"]["icmp"] == {"8": 2}


def test_killed_and_started_again(dpdk):
    dpdk.far_program("bounce")
    process = dpdk.start_pktgen(*UDP, "--rate", "1k")
    wait_until(lambda: dpdk.has_program(dpdk.near), "the generator")
    process.kill()
    report = dpdk.report(*UDP, "--rate", "1k", "--count", "100")
    assert report["received"] == report["sent"] == 100
    assert not dpdk.has_program(dpdk.near)


# ---- other devices ----


@pytest.mark.parametrize("cores", [(), ("--threads", "1"), ("--main-core", "0", "--cores", "0,1")])
def test_a_ring_gives_all_back(dpdk, cores):
    """Every queue of DPDK's ring device is its own other end: what is sent comes back as it was."""
    report = json.loads(run(dpdk, "--device", "net_ring0", *GIVEN, "--count", "100001", *cores).stdout)
    assert report["sent"] == report["received"] == 100001
    assert report["replies"]["forwarded"] == {"192.0.2.1": {"packets": 100001, "bytes": 100001 * 44}}
    assert report["rtt_us"]["samples"] > 500
    assert 0 < report["rtt_us"]["min"] <= report["rtt_us"]["max"] < 5e6


def start_testpmd(rig, socket):
    """Sends back what it gets over shared memory, addresses and ports changed for each other."""
    peer = rig.far.start(
        "testpmd", "dpdk-testpmd", "--lcores", "0@0,1@0", "--main-lcore", "0", "--no-huge", "-m", "256", "--no-shconf",
        "--no-telemetry", "-a", "ffff:ff:1f.7", "--vdev", f"net_memif0,role=server,socket={socket},socket-abstract=no",
        "--", "--forward-mode=5tswap", "--total-num-mbufs=8192", "--stats-period=3600",
    )  # fmt: skip
    wait_until(lambda: os.path.exists(socket) and "Port statistics" in peer.log(), "testpmd", timeout=60)
    return peer


def test_memif_and_testpmd(dpdk):
    socket = os.path.join(dpdk.directory, "m")
    start_testpmd(dpdk, socket)
    device = f"net_memif0,role=client,socket={socket},socket-abstract=no"
    report = json.loads(run(dpdk, "--device", device, *GIVEN, "--count", "1000", "--rate", "5k").stdout)
    assert report["replies"]["udp"] == report["sent"] == 1000
    assert report["rtt_us"]["samples"] == 1000


def test_refused_frames_are_not_called_sent(dpdk):
    """An end that takes nothing any more: the ring is full soon, and the rest is not sent."""
    socket = os.path.join(dpdk.directory, "m")
    peer = start_testpmd(dpdk, socket)
    device = f"net_memif0,role=client,socket={socket},socket-abstract=no"
    process = dpdk.near.start("stuck", dpdk.program, "--device", device, *GIVEN, "--rate", "20k", "--count", "60000")
    wait_until(lambda: "received/s" in process.log(), "the first line of the table")
    os.kill(peer.pid, signal.SIGSTOP)
    try:
        assert process.popen.wait(60) == 0
    finally:
        os.kill(peer.pid, signal.SIGCONT)
    sent = int(re.search(r"sent (\d+) \(", process.log()).group(1))
    refused = int(re.search(r"not sent: (\d+) frames", process.log()).group(1))
    assert sent + refused == 60000
    assert refused > 10000


# ---- what is refused ----


def refused(rig, *options, words, code=1):
    done = run(rig, *options, check=False)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("culvert-pktgen: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    "device, words",
    [
        ("0000:7f:1f.7", ["no PCI device 0000:7f:1f.7", "lspci -D"]),
        ("net_nothing0", ["net_nothing0", "can't be opened", "is it there"]),
        ("net_af_xdp0,iface=eth7", ["can't be opened", "interface: eth7"]),
        ("net_pcap0,rx_pcap=/nowhere.pcap", ["/nowhere.pcap: No such file"]),
        ("net_memif0,role=client,socket=/nowhere/m,socket-abstract=no", ["Invalid socket directory"]),
    ],
)
def test_unknown_device(dpdk, device, words):
    refused(dpdk, "--device", device, *GIVEN, words=words)


def test_the_other_program_is_missing(dpdk):
    alone = shutil.copy(dpdk.program, dpdk.directory)
    done = dpdk.near.run(alone, "--device", "net_null0", *GIVEN, check=False)
    assert done.returncode == 1
    assert done.stderr == "culvert-pktgen: culvert-pktgen-dpdk is needed beside this program: No such file or directory\n"


def test_device_in_use(dpdk):
    dpdk.start_pktgen(*UDP, "--rate", "1k")
    wait_until(lambda: dpdk.has_program(dpdk.near), "the generator")
    refused(dpdk, *BACKENDS["dpdk"], *UDP, words=["iface=eth0 can't be opened", "used by nobody else"])


def test_no_link(dpdk):
    dpdk.far.ip("link", "set", "eth0", "down")
    refused(dpdk, *BACKENDS["dpdk"], *UDP, words=["iface=eth0 has no link", "other end"])


def test_nobody_answers(dpdk):
    refused(dpdk, *BACKENDS["dpdk"], "--profile", "udp", "--to", "198.18.0.77:7",
            words=["198.18.0.77 doesn't answer", "--gateway-mac", "--via"])  # fmt: skip


def test_no_hugepages(dpdk):
    with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as free:
        pages = int(free.read())
    huge = [word for word in GIVEN if word != "--no-huge"]
    refused(dpdk, "--device", "net_null0", *huge, "--mbufs", str(min(8388608, (pages + 512) * 1024)),
            words=["are free: reserve them", "--no-huge"])  # fmt: skip


@pytest.mark.parametrize(
    "options, words",
    [
        (["--cores", "999"], ["core 999 is not one that this process may use"]),
        (["--mbufs", "1023"], ["--mbufs 1023", "at least 3072"]),
        (["--threads", "64", "--mbufs", "8388"], ["64 polling cores are wanted"]),
    ],
)
def test_cores_and_buffers(dpdk, options, words):
    refused(dpdk, "--device", "net_null0", *GIVEN, *options, words=words)


def test_queues_are_too_few(dpdk):
    # One veth queue, two cores.
    refused(dpdk, *BACKENDS["dpdk"], *UDP, "--cores", "0,1", words=["queues for 1 sending core, not for 2"])
