# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around the appliance: each is told clearly, and traffic goes on where it can."""

import contextlib
import os
import signal
import time
from collections import Counter

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6

from tests.lab.hostile import hostile_frames, packet_socket
from tests.lab.load import start_generator
from tests.lab.namespaces import Lab, sh
from tests.lab.site import APPLIANCE4, APPLIANCE6, DNS4, DNS6, IPIP4, IPIP6, L2VIP4, L2VIP6, NATVIP4, NATVIP6, ZONE, Site
from tests.lab.site import site_document
from tests.lab.wait import wait_until


def dig(site, name="www.example.com", server=DNS4):
    return site.client.run("dig", f"@{server}", name, "+short", "+tries=1", "+time=2").stdout.strip()


def curl(site, address=IPIP4, *options):
    host = f"[{address}]" if ":" in address else address
    return site.client.run("curl", "-sS", "--max-time", "5", *options, f"http://{host}/").stdout


def serves(site):
    """The data plane's services, all of which go on whatever happens to the processes."""
    assert dig(site) == "192.0.2.10"
    assert dig(site, server=DNS6) == "192.0.2.10"
    assert "backend" in curl(site)
    assert "backend" in curl(site, IPIP6)
    return True


def alarms(site):
    return site.culvert_json("status")["alarms"]


def wait_alarm(site, *words):
    """The first alarm that has all the words."""

    def find():
        return [alarm for alarm in alarms(site) if all(word in alarm for word in words)]

    return wait_until(find, f"an alarm with {words}")[0]


def wait_no_alarm(site):
    wait_until(lambda: not alarms(site), "all alarms to be gone")


def one_line(text):
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def ended(process, status=1):
    wait_until(lambda: not process.alive(), f"the end of {process.name}")
    assert process.popen.returncode == status, process.log()
    return process.log()


def second_xdp(site, name):
    return site.appliance.start(
        name, site.binary("dataplane", "xdp", "culvert-xdp"), "--run-dir", site.run_dir, "--pin-dir", site.pin_dir
    )


# ---- bounds ----


@pytest.fixture
def small_site(build):
    """A data plane with the least memory, serving."""
    site = Site(build)
    try:
        site.start_culvertd()
        site.start_xdp("--memory", "64M")
        site.start_backends()
        site.apply(site_document())
        site.wait_ready()
        yield site
    finally:
        site.close()


def test_full_table(small_site):
    site = small_site
    big = ZONE + "".join(f"host-{i} A 192.0.2.{i % 250}\n" for i in range(700_000))
    site.apply(site_document(), zone=big)
    alarm = wait_alarm(site, "xdp", "refused", "--memory", "64 MiB")
    assert "full" in alarm
    serves(site)
    assert dig(site, "host-1.example.com") == ""
    site.apply(site_document(), zone=ZONE + "small A 192.0.2.77\n")
    wait_until(site.planes_ready, "the smaller site in the data plane", timeout=30)
    assert dig(site, "small.example.com") == "192.0.2.77"
    wait_no_alarm(site)


def test_more_resources_than_the_tables_hold(fresh_site):
    site = fresh_site
    before = site.culvert_json("status")["revision"]
    document = site_document()
    document["limits"] |= {f"limit-{i}": {"per": "vip", "packets": "1/s"} for i in range(1025)}
    done = site.apply(document, check=False)
    assert done.returncode == 1
    assert "limits" in done.stderr and "1024" in done.stderr, done.stderr
    assert site.culvert_json("status")["revision"] == before
    serves(site)


# ---- the disk ----


@contextlib.contextmanager
def small_disk(site):
    """Puts culvertd's state on a file system of 192 MiB; gives the path of a file that fills it."""
    site.culvertd.stop()
    saved = os.path.join(site.directory, "saved")
    sh("cp", "-a", site.state_dir, saved)
    sh("mount", "-t", "tmpfs", "-o", "size=192m", "culvert-test", site.state_dir)
    try:
        sh("cp", "-a", f"{saved}/.", site.state_dir)
        site.start_culvertd()
        site.wait_ready()
        yield os.path.join(site.state_dir, "filler")
        site.culvertd.stop()
    finally:
        sh("umount", "-l", site.state_dir)


def test_full_disk(fresh_site):
    site = fresh_site
    before = site.culvert_json("status")
    more = site_document()
    more["zones"]["example.net"]["records"]["new"] = {"A": "192.0.2.77"}
    with small_disk(site) as filler:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 65536)
        done = site.apply(more, check=False)
        assert done.returncode == 1
        assert "nothing was changed" in done.stderr and "no space left" in done.stderr, done.stderr
        assert site.state_dir in done.stderr
        assert site.culvert_json("status")["revision"] == before["revision"]
        wait_alarm(site, "no space left")
        assert dig(site, "new.example.net") == ""
        serves(site)
        os.unlink(filler)
        site.apply(more)
        wait_until(lambda: dig(site, "new.example.net") == "192.0.2.77", "the change, once there is room")
        wait_no_alarm(site)


# ---- processes that hang or are gone ----


def test_hung_data_plane(fresh_site):
    site = fresh_site
    document = site_document()
    document["zones"]["example.net"]["records"]["new"] = {"A": "192.0.2.77"}
    site.xdp.popen.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        site.apply(document)
        assert time.monotonic() - begin < 5
        begin = time.monotonic()
        alarm = wait_alarm(site, "xdp", f"pid {site.xdp.pid}", "has not answered")
        assert "goes on" in alarm
        assert time.monotonic() - begin < 5
        assert f"pid {site.xdp.pid}" in site.culvert("status").stdout
        serves(site)
        assert dig(site, "new.example.net") == ""
    finally:
        site.xdp.popen.send_signal(signal.SIGCONT)
    wait_until(site.planes_ready, "the data plane to catch up")
    wait_until(lambda: dig(site, "new.example.net") == "192.0.2.77", "the change")
    wait_no_alarm(site)


def test_hung_data_plane_is_named_to_the_next(fresh_site):
    site = fresh_site
    older = site.xdp
    older.popen.send_signal(signal.SIGSTOP)
    try:
        log = ended(second_xdp(site, "next"))
        assert f"pid {older.pid}" in log and f"kill -9 {older.pid}" in log, log
        serves(site)
        older.kill()  # as it said
        site.start_xdp()
        site.wait_ready()
        serves(site)
    finally:
        if older.alive():
            older.popen.send_signal(signal.SIGCONT)


def test_dead_culvertd(fresh_site):
    site = fresh_site
    site.culvertd.kill()
    done = site.culvert("status", check=False)
    assert done.returncode == 1 and done.stdout == ""
    line = one_line(done.stderr)
    assert "culvertd" in line and "api.sock" in line, line
    serves(site)


def test_hung_culvertd(fresh_site):
    site = fresh_site
    site.culvertd.popen.send_signal(signal.SIGSTOP)
    try:
        asked = site.appliance.start(
            "status", site.binary("controlplane", "cli", "culvert"), "status",
            env={**os.environ, "CULVERT_SOCKET": os.path.join(site.run_dir, "api.sock")},
        )  # fmt: skip
        serves(site)
        line = one_line(ended(asked))
        assert f"culvertd (pid {site.culvertd.pid})" in line and "not answered" in line, line
    finally:
        site.culvertd.popen.send_signal(signal.SIGCONT)
    wait_no_alarm(site)


def test_stale_sockets_and_a_second_culvertd(fresh_site):
    site = fresh_site
    site.culvertd.kill()
    for name in ("api.sock", "channel.sock"):
        assert os.path.exists(os.path.join(site.run_dir, name))  # left by the kill
    site.start_culvertd()
    site.wait_ready()
    second = site.appliance.start(
        "second", site.binary("controlplane", "culvertd"), "--run-dir", site.run_dir, "--state-dir", site.state_dir
    )
    line = one_line(ended(second))
    assert site.directory in line and ("in use" in line or "already" in line or "another" in line), line
    assert site.culvertd.alive() and site.planes_ready()
    serves(site)


HOLD_PORT = """
import socket, sys
held = socket.create_server((sys.argv[1], 53))
print("ready", flush=True)
while True:
    held.accept()[0].close()
"""


def test_port_53_in_use(fresh_site):
    site = fresh_site
    site.culvertd.kill()
    holder = site.appliance.start("holder", "python3", "-c", HOLD_PORT, DNS4)
    wait_until(lambda: "ready" in holder.log(), "the port to be held")
    site.start_culvertd()
    site.wait_ready()
    wait_alarm(site, DNS4, "port 53/tcp", "in use")
    serves(site)
    assert "192.0.2.10" in site.client.run("dig", f"@{DNS6}", "www.example.com", "+tcp", "+short").stdout
    holder.kill()
    wait_no_alarm(site)
    assert "192.0.2.10" in site.client.run("dig", f"@{DNS4}", "www.example.com", "+tcp", "+short").stdout


def test_culvertd_killed_again_and_again_under_load(fresh_site):
    site = fresh_site
    queries = os.path.join(site.directory, "queries")
    with open(queries, "w") as file:
        file.write("www.example.com A\nftp.example.com AAAA\nnope.example.com A\n")
    serves(site)  # the neighbours know each other
    finish = start_generator(
        site, "--profile", "dns", "--queries", queries, "--to", DNS4, "--rate", "5k", "--duration", "12"
    )
    for _ in range(20):
        site.culvertd.kill()
        assert "backend" in curl(site)
        site.start_culvertd()
        assert "backend" in curl(site, IPIP6)
    assert finish.process.alive(), "the load ended before the kills did"
    finish.process.popen.send_signal(signal.SIGINT)
    report = finish()
    assert report["sent"] == report["received"] > 0, report
    site.wait_ready()
    wait_no_alarm(site)


# ---- where it can't start ----

PACKET_PROGRAMS = {
    "culvert-xdp": ["--run-dir", "/tmp/culvert-nobody", "--pin-dir", "/sys/fs/bpf/culvert-nobody"],
    "culvert-pktgen": ["--interface", "lo", "--profile", "syn", "--to", "192.0.2.1:80", "--duration", "1"],
    "culvert-decap": ["--interface", "lo", "--from", "192.0.2.1/32"],
}


def program(build, name):
    return os.path.join(build, "dataplane", name.removeprefix("culvert-"), name)


@pytest.mark.parametrize("name", PACKET_PROGRAMS)
@pytest.mark.parametrize("who", ["nobody", "few capabilities"])
def test_no_privilege(build, name, who):
    if who == "nobody":
        drop = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]
    else:
        drop = ["--bounding-set", "-all,+net_raw,+net_admin", "--inh-caps", "-all"]
    done = sh("setpriv", *drop, program(build, name), *PACKET_PROGRAMS[name], check=False)
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert name in line and "root" in line, line


# The kernel refuses to make a map, as one without arenas does (EINVAL), and says it is 2.6.
OLD_KERNEL = """
import ctypes, os, struct, sys
BPF, MAP_CREATE, EINVAL = 321, 0, 22
code = [(0x20, 0, 0, 0), (0x15, 0, 3, BPF), (0x20, 0, 0, 16), (0x15, 0, 1, MAP_CREATE),
        (0x06, 0, 0, 0x00050000 | EINVAL), (0x06, 0, 0, 0x7FFF0000)]
text = b"".join(struct.pack("HBBI", *line) for line in code)
buffer = ctypes.create_string_buffer(text)
libc = ctypes.CDLL(None)
assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer)), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def wire():
    """A network namespace with a cable to another, which answers for 192.0.2.1."""
    with Lab() as lab:
        near, far = lab.namespace("near"), lab.namespace("far")
        lab.cable(near, "eth0", far, "eth0")
        near.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
        far.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
        yield near


@pytest.mark.parametrize("name", PACKET_PROGRAMS)
def test_old_kernel(build, wire, name):
    options = ["eth0" if word == "lo" else word for word in PACKET_PROGRAMS[name]]
    done = wire.run(
        "setarch", "--uname-2.6", "python3", "-c", OLD_KERNEL, program(build, name), *options, check=False
    )  # fmt: skip
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert name in line and "Linux" in line and "2.6" in line, line


def test_no_bpf_file_system(build, tmp_path):
    done = sh(program(build, "culvert-xdp"), "--run-dir", tmp_path, "--pin-dir", tmp_path, check=False)
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert "mount -t bpf" in line and str(tmp_path) in line, line


# ---- interfaces ----


def test_interface_removed_and_made_again(fresh_site):
    site = fresh_site
    site.appliance.ip("link", "del", "eth0")
    wait_alarm(site, "eth0", "no such interface")
    site._plug(site.appliance, "eth0", f"{APPLIANCE4}/24", f"{APPLIANCE6}/64")
    site._route(site.appliance, "default", "10.0.0.1", "2001:db8:10::1")
    wait_until(site.planes_ready, "the new interface to be attached")
    wait_until(lambda: serves(site), "service by the new interface")
    wait_no_alarm(site)


def test_foreign_program(fresh_site):
    site = fresh_site
    site.cable(site.appliance, "eth1", site.router, "spare")
    site.take_xdp_frames(site.appliance, "eth1")
    document = site_document()
    document["interfaces"]["eth1"] = {"driver": "xdp"}
    site.apply(document)
    wait_alarm(site, "eth1", "another XDP program")
    serves(site)
    assert "xdp" in site.appliance.ip("link", "show", "eth1").stdout  # left alone
    site.appliance.ip("link", "set", "dev", "eth1", "xdp", "off")
    wait_until(site.planes_ready, "eth1 to be attached")
    wait_no_alarm(site)


def test_generic_mode_serves_both_families(fresh_site):
    site = fresh_site
    document = site_document()
    document["interfaces"]["eth0"]["mode"] = "generic"
    site.apply(document)

    def generic():
        (plane,) = site.culvert_json("status")["planes"]
        return plane["state"]["interfaces"][0]["mode"] == "generic"

    wait_until(generic, "generic mode in the status")
    serves(site)


# ---- packets ----


def test_hostile_frames(fresh_site):
    """Each is counted under its reason, none is answered, nothing dies, and service goes on."""
    site = fresh_site
    head = bytes.fromhex((site.appliance.mac("eth0") + site.router.mac("lan")).replace(":", ""))
    frames = hostile_frames(head)
    expected = Counter(reason for reason, _ in frames)
    before = site.reasons()
    with packet_socket(site.switch, "appliance") as sock:  # past the bridge, which checks headers
        for _, frame in frames:
            sock.send(frame)

    def counted():
        after = site.reasons()
        return {reason: after[reason] - before[reason] for reason in expected}

    try:
        wait_until(lambda: counted() == expected, "every frame to be counted", timeout=5)
    except AssertionError:
        seen = counted()
        raise AssertionError({r: (seen[r], n) for r, n in expected.items() if seen[r] != n}) from None
    assert site.xdp.alive() and site.culvertd.alive()
    serves(site)
    wait_no_alarm(site)


@pytest.mark.parametrize("address", [IPIP4, IPIP6])
def test_upload_too_big_for_the_tunnel(fresh_site, address):
    """A TCP sender is told the smaller MTU, and gets through with it."""
    site = fresh_site
    before = site.reasons().get("icmp-too-big", 0)
    assert "backend" in curl(site, address, "-H", f"X-Padding: {'x' * 40_000}")
    wait_until(lambda: site.reasons()["icmp-too-big"] > before, "the ICMP errors to be counted")
    route = site.client.run("ip", "route", "get", address).stdout
    assert f"mtu {1500 - (40 if ':' in address else 20)}" in route, route
    assert site.reasons().get("drop-too-big", 0) == 0


def test_detach_leaves_nothing_in_the_kernel(fresh_site):
    site = fresh_site
    link = site.appliance.ip("-j", "link", "show", "eth0").stdout
    program_id = link.split('"id":')[1].split(",")[0].split("}")[0]
    arena_id = sh("bpftool", "map", "show", "pinned", f"{site.pin_dir}/arena").stdout.split(":")[0]
    assert sh("bpftool", "prog", "show", "id", program_id).returncode == 0
    site.xdp.stop()
    site.appliance.run(
        site.binary("dataplane", "xdp", "culvert-xdp"), "--detach", "--run-dir", site.run_dir, "--pin-dir", site.pin_dir
    )
    assert not os.path.exists(site.pin_dir)
    for kind, number in (("prog", program_id), ("map", arena_id)):
        wait_until(
            lambda k=kind, n=number: sh("bpftool", k, "show", "id", n, check=False).returncode, f"{kind} {number} to go"
        )
    addresses = site.appliance.ip("addr", "show", "lo").stdout
    assert DNS4 not in addresses and DNS6 not in addresses
    assert "extern_learn" not in site.appliance.ip("neigh", "show").stdout
    assert not os.path.exists(os.path.join(site.run_dir, "xdp.sock"))


def test_packets_no_service_takes_do_not_loop(fresh_site):
    """The kernel has no such address: it would route them back to the router, as the router to it."""
    site = fresh_site
    head = bytes.fromhex((site.appliance.mac("eth0") + site.router.mac("lan")).replace(":", ""))
    client4, client6 = {"src": "198.18.0.10", "ttl": 64}, {"src": "2001:db8:18::10", "hlim": 64}
    packets = [
        packet
        for four, six in ((IPIP4, IPIP6), (L2VIP4, L2VIP6), (NATVIP4, NATVIP6))
        for packet in (
            IP(dst=four, proto=47, **client4) / b"GRE",
            IP(dst=four, proto=0, **client4) / b"zero",
            IP(dst=four, **client4) / ICMP(type=13) / (b"\x00" * 12),  # asks for the time
            IP(dst=four, flags="MF", **client4) / ICMP() / (b"x" * 24),  # a ping in parts
            IPv6(dst=six, nh=50, **client6) / b"ESP payload",
            IPv6(dst=six, nh=59, **client6),
            IPv6(dst=six, **client6) / ICMPv6ND_NS(tgt=six),  # from another link
        )
    ]
    before = site.reasons()
    with packet_socket(site.switch, "appliance") as sock:
        for packet in packets:
            sock.send(head + (b"\x08\x00" if IP in packet else b"\x86\xdd") + bytes(packet))
    wait_until(
        lambda: site.reasons()["drop-no-service"] - before["drop-no-service"] == len(packets), "the drops", timeout=5
    )
    assert site.reasons()["pass-local"] == before["pass-local"]
    serves(site)
