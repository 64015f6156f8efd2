# SPDX-License-Identifier: Apache-2.0
"""culvert-decap over veth: what reaches the stack, what the host is left with."""

import contextlib
import json
import os
import select
import shutil
import signal
import socket

import pytest
from scapy.all import ICMP, IP, TCP, UDP, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, raw

from tests.lab.namespaces import Lab
from tests.lab.wait import wait_until

BACKEND = {4: "10.0.0.11", 6: "2001:db8:10::11"}
APPLIANCE = {4: "10.0.0.2", 6: "2001:db8:10::2"}
STRANGER = {4: "10.0.0.66", 6: "2001:db8:10::66"}
VIP = {4: "192.0.2.10", 6: "2001:db8:2::10"}
CLIENT = {4: "198.18.0.10", 6: "2001:db8:18::10"}
FROM = ("--from", "10.0.0.2/32", "--from", "2001:db8:10::2/128")
LAYER = {4: IP, 6: IPv6}


@contextlib.contextmanager
def inside(namespace):
    """The network namespace of the lab, for what this thread opens."""
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace.full_name}") as there:
        os.setns(there.fileno(), os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(home.fileno(), os.CLONE_NEWNET)


class Rig(Lab):
    """An appliance and a backend on one cable."""

    def __init__(self, build):
        super().__init__()
        self.program = os.path.join(build, "dataplane", "decap", "culvert-decap")
        self.pins = f"/sys/fs/bpf/{self.run_id}"
        self.sockets = []
        try:
            self.appliance = self.namespace("appliance")
            self.backend = self.namespace("backend")
            for namespace in (self.appliance, self.backend):
                namespace.sysctl(net__ipv6__conf__all__accept_dad=0, net__ipv6__conf__default__accept_dad=0)
            self.cable(self.appliance, "eth0", self.backend, "eth0")
            for namespace, host in ((self.appliance, "2"), (self.backend, "11")):
                namespace.ip("addr", "add", f"10.0.0.{host}/24", "dev", "eth0")
                namespace.ip("addr", "add", f"2001:db8:10::{host}/64", "dev", "eth0", "nodad")
                namespace.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0")
            self.backend.ip("route", "add", "default", "via", "10.0.0.2")
            self.backend.ip("-6", "route", "add", "default", "via", "2001:db8:10::2")
            self.macs = (self.appliance.mac("eth0"), self.backend.mac("eth0"))
            self.wire = self._socket(self.appliance)  # sends, and hears what comes back
            self.stack = self._socket(self.backend)  # hears what XDP passes on
        except BaseException:
            self.close()
            raise

    def _socket(self, namespace):
        with inside(namespace):
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            opened.bind(("eth0", 0))
        self.sockets.append(opened)
        return opened

    def close(self):
        for opened in self.sockets:
            opened.close()
        super().close()
        shutil.rmtree(self.pins, ignore_errors=True)

    def decap(self, *options, **kwargs):
        """Starts it and waits for its ready line."""
        process = self.backend.start("decap", self.program, "--interface", "eth0", *options, **kwargs)
        wait_until(lambda: not process.alive() or "ready" in process.log(), "the ready line")
        assert process.alive(), process.log()
        return process

    def run(self, *options, check=True):
        return self.backend.run(self.program, "--interface", "eth0", "--pin-dir", self.pins, *options, check=check)

    def stats(self):
        counts = json.loads(self.run("--stats", "-o", "json").stdout)
        return {name: count["packets"] for name, count in counts.items() if isinstance(count, dict)}

    def frame(self, *layers):
        packet = Ether(src=self.macs[0], dst=self.macs[1])
        for layer in layers:
            packet = packet / layer
        return raw(packet)

    def send(self, *layers):
        self.wire.send(self.frame(*layers))

    def hear(self, wanted, where=None, timeout=10):
        """Waits for a frame that `wanted` says yes to; returns it and those before it."""
        where = where or self.stack
        before = []
        while select.select([where], [], [], timeout)[0]:
            data = where.recv(4096)
            if wanted(data):
                return data, before
            before.append(data)
        raise AssertionError(f"not heard; {len(before)} others were")

    def has_program(self):
        return "xdp" in self.backend.ip("link", "show", "eth0").stdout


@pytest.fixture
def rig(build):
    yield from Rig(build).shown()


def inner(family, mark, layer=None, source=None):
    return LAYER[family](src=source or CLIENT[family], dst=VIP[family]) / (layer or UDP(sport=1234, dport=9)) / mark


def outer(family, source=None):
    return LAYER[family](src=source or APPLIANCE[family], dst=BACKEND[family])


@pytest.mark.parametrize("outer_family", [4, 6])
@pytest.mark.parametrize("inner_family", [4, 6])
def test_the_stack_sees_the_inner_packet(rig, outer_family, inner_family):
    rig.decap(*FROM)
    for layer in (UDP(sport=1234, dport=9), TCP(sport=1234, dport=80, flags="S")):
        packet = inner(inner_family, b"the inner packet", layer)
        rig.send(outer(outer_family), packet)
        heard, _ = rig.hear(lambda data: b"the inner packet" in data)
        assert heard == rig.frame(packet)
    assert rig.stats()["decapsulated"] == 2


def test_what_is_refused_never_arrives(rig):
    rig.decap(*FROM)
    for family in (4, 6):
        rig.send(outer(family, STRANGER[family]), inner(4, b"refused"))
        rig.send(outer(family), LAYER[family](src=APPLIANCE[family], dst=BACKEND[family]), inner(4, b"refused"))
        cut = outer(family)
        setattr(cut, "proto" if family == 4 else "nh", 4)
        rig.send(cut, raw(inner(4, b"refused"))[:24] + b"refused")
    rig.send(outer(4), inner(4, b"the last"))
    _, before = rig.hear(lambda data: b"the last" in data)
    assert not any(b"refused" in data for data in before)
    stats = rig.stats()
    assert (stats["refused-source"], stats["nested"], stats["malformed"]) == (2, 2, 2)
    assert stats["decapsulated"] == 1


def test_other_traffic_passes(rig):
    rig.decap(*FROM)
    for address in (BACKEND[4], BACKEND[6]):
        assert " 0% packet loss" in rig.appliance.run("ping", "-c", "2", "-i", "0.05", "-W", "5", address).stdout
    assert rig.stats()["not-encapsulated"] > 0
    assert rig.stats()["decapsulated"] == 0


def arp(rig, name):
    return rig.backend.run("cat", f"/proc/sys/net/ipv4/conf/eth0/{name}").stdout.strip()


def test_virtual_addresses_are_answered_for(rig):
    process = rig.decap(*FROM, "--vip", VIP[4], "--vip", VIP[6])
    assert "arp_ignore=1" in process.log()
    assert (arp(rig, "arp_ignore"), arp(rig, "arp_announce")) == ("1", "2")
    shown = rig.backend.ip("addr", "show", "lo").stdout
    assert VIP[4] in shown and VIP[6] in shown
    rig.send(outer(4), inner(4, b"echo", ICMP(id=7)))
    heard, _ = rig.hear(lambda data: b"echo" in data and Ether(data).src == rig.macs[1], rig.wire)
    assert (Ether(heard)[IP].src, Ether(heard)[IP].dst) == (VIP[4], CLIENT[4])
    rig.send(outer(4), inner(6, b"", ICMPv6EchoRequest(id=7, data=b"echo6")))
    heard, _ = rig.hear(lambda data: ICMPv6EchoReply in Ether(data), rig.wire)
    assert (Ether(heard)[IPv6].src, Ether(heard)[IPv6].dst) == (VIP[6], CLIENT[6])
    rig.send(outer(4), IP(src=CLIENT[4], dst="192.0.2.99") / UDP(dport=9))
    wait_until(lambda: rig.stats()["refused-vip"] == 1, "the counter")
    process.popen.send_signal(signal.SIGINT)
    assert process.popen.wait(10) == 0
    shown = rig.backend.ip("addr", "show", "lo").stdout
    assert VIP[4] not in shown and VIP[6] not in shown
    assert (arp(rig, "arp_ignore"), arp(rig, "arp_announce")) == ("0", "0")
    assert not rig.has_program()


def test_an_address_that_was_there_stays(rig):
    rig.backend.ip("addr", "add", f"{VIP[4]}/32", "dev", "lo")
    process = rig.decap(*FROM, "--vip", VIP[4])
    process.popen.terminate()
    assert process.popen.wait(10) == 0
    assert VIP[4] in rig.backend.ip("addr", "show", "lo").stdout


def test_later_addresses_are_noticed(rig):
    rig.decap(*FROM)
    packet = LAYER[4](src=APPLIANCE[4], dst="10.0.0.12") / inner(4, b"to the new one")
    rig.send(packet)
    wait_until(lambda: rig.stats()["not-local"] == 1, "the counter")
    rig.backend.ip("addr", "add", "10.0.0.12/24", "dev", "eth0")

    def unwrapped():
        rig.send(packet)
        return rig.stats()["decapsulated"] > 0

    wait_until(unwrapped, "the new address")


def test_pinned_it_outlives_the_loader(rig):
    assert "ready" in rig.run(*FROM, "--vip", VIP[4], "--pin").stdout
    assert os.listdir(rig.pins) == ["eth0"]
    rig.send(outer(6), inner(4, b"pinned"))
    rig.hear(lambda data: data == rig.frame(inner(4, b"pinned")))
    assert rig.run(*FROM, "--pin", check=False).returncode == 1
    rig.run("--detach")
    assert not rig.has_program()
    assert not os.path.exists(rig.pins)
    assert VIP[4] not in rig.backend.ip("addr", "show", "lo").stdout
    done = rig.run("--detach", check=False)
    assert done.returncode == 1 and "no pinned program" in done.stderr


def test_kill_leaves_no_program(rig):
    rig.decap(*FROM).kill()
    wait_until(lambda: not rig.has_program(), "the program's end")


def test_it_tells_systemd(rig):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = os.path.join(rig.directory, "notify")
        listener.bind(path)
        listener.settimeout(10)
        rig.decap(*FROM, env={**os.environ, "NOTIFY_SOCKET": path})
        assert b"READY=1" in listener.recv(100)


def test_the_interface_may_go(rig):
    process = rig.decap(*FROM)
    rig.backend.ip("link", "del", "eth0")
    assert process.popen.wait(10) == 1
    assert "the interface is gone" in process.log()


def test_a_foreign_program_stays(rig):
    other = rig.decap(*FROM)
    done = rig.run(*FROM, check=False)
    assert done.returncode == 1
    assert "eth0" in done.stderr and "already" in done.stderr
    assert other.alive() and rig.has_program()


@pytest.mark.parametrize(
    "options, words",
    [
        ((), ["--from"]),
        (("--from", "10.0.0.1/24"), ["10.0.0.0/24"]),
        (("--from", "10.0.0/24"), ["10.0.0/24"]),
        ((*FROM, "--from-any"), ["exclude"]),
        ((*FROM, "--vip", "web"), ["web"]),
        ((*FROM, "--pin", "--stats"), ["only one"]),
        ((*FROM, "-o", "xml"), ["json"]),
        ((*FROM, "extra"), ["extra"]),
        ((*FROM, "--interface", "eth7"), ["eth7", "no such interface"]),
        (("--stats",), ["no culvert-decap"]),
    ],
)
def test_errors(rig, options, words):
    done = rig.run(*options, check=False)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("culvert-decap: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert not rig.has_program()


def test_without_root(rig):
    done = rig.backend.run("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534", "--clear-groups",
                           rig.program, "--interface", "eth0", *FROM, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "root is needed" in done.stderr


def test_generic_when_the_driver_has_no_xdp(rig):
    rig.backend.ip("link", "add", "br0", "type", "bridge")
    rig.backend.ip("link", "set", "br0", "up")
    process = rig.backend.start("generic", rig.program, "--interface", "br0", *FROM)
    wait_until(lambda: not process.alive() or "ready" in process.log(), "the ready line")
    assert "generic" in process.log()
