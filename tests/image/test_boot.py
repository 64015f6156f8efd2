# SPDX-License-Identifier: Apache-2.0
"""First boot: what was given to the machine becomes a site that serves."""

import json
import os
import re
import subprocess
import tempfile

import dns.message
import pytest

from tests.image.machine import Machine, make_tap, network

SITE = """
site: image
interfaces: { enp0s24: { driver: xdp, mode: native } }
dns: { listen: [192.0.2.53] }
zones:
  example.net:
    ttl: 300
    soa: { mname: ns1.example.net., rname: hostmaster.example.net., serial: 1 }
    records: { "@": { NS: [ns1] }, ns1: { A: 192.0.2.53 }, www: { A: 198.51.100.7 } }
"""
# Nobody's: its other half was thrown away.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrULHTqnKFraropNwev9N5p3ZuCY0Ds9L5jTiT+YQFB nobody"
NETWORK = network("enp0s24", "198.18.0.2/24", "Gateway=198.18.0.1")


def dig(client, *options):
    """The answer's texts; none when no answer came."""
    done = client.run("dig", "+short", "+tries=1", "+time=1", "@192.0.2.53", *options, check=False)
    return [] if done.returncode else done.stdout.split()


# Asks ten times a second until an answer comes.
ASK = """
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.settimeout(0.1)
while True:
    try:
        asked.sendto(bytes.fromhex("%s"), ("192.0.2.53", 53))
        asked.recv(512)
        break
    except OSError:  # nothing came, or nobody is there yet
        pass
""" % dns.message.make_query("www.example.net", "A").to_wire().hex()


@pytest.fixture(scope="module")
def machine(image, lab, client):
    given = {
        "culvert.site": SITE,
        "network.network.50-lab": NETWORK,
        "ssh.authorized_keys.root": KEY,
    }
    with Machine(client, image, os.path.join(lab.directory, "console"), given) as machine:
        stages = {"firmware": machine.expect("BdsDxe: starting")}
        client.sysctl(net__ipv4__neigh__tap0__retrans_time_ms=100)
        asking = client.start("asking", "python3", "-c", ASK)
        stages["answer"] = machine.until(lambda: not asking.alive(), "an answer")
        machine.boot()
        stages["prompt"] = machine.seconds()
        print("from power-on, seconds:", {name: round(at, 1) for name, at in stages.items()})
        yield machine
        print(machine.check("journalctl --no-pager -p warning -n 50"))


def test_dns(machine, client):
    """The kernel's virtio driver runs the fast path; TCP is culvertd's."""
    assert dig(client, "www.example.net") == ["198.51.100.7"]
    assert dig(client, "+tcp", "www.example.net") == ["198.51.100.7"]
    status = json.loads(machine.check("culvert status -o json"))
    interface = status["planes"][0]["state"]["interfaces"][0]
    assert interface["name"] == "enp0s24" and interface["mode"] == "native"
    assert status["alarms"] == []


def test_console_is_the_shell_of_culvert(machine):
    """`exit` comes back to it, `setup` is for an appliance without a site."""
    machine.console.send("exit\r")
    machine.expect("culvert> ")
    machine.console.send("get si\t\r")
    machine.expect("image\r+\n")
    machine.expect("culvert> ")
    machine.console.send("setup\r")
    machine.expect("there is a site already, of revision 1")
    machine.expect("culvert> ")
    machine.system_shell()


def test_all_units_run(machine):
    assert machine.check("systemctl --failed --no-legend --plain --no-pager") == ""


def test_root_is_verified_and_read_only(machine):
    assert "verity" in machine.check("cat /sys/class/block/dm-0/dm/uuid").lower()
    assert machine.run("touch /usr/bin/x")[0] != 0


def test_data_partition_grew(machine):
    """To the end of the disk of 4 GiB; the image is one of 0.7."""
    assert int(machine.check("df --output=size -BM /var | tail -n 1").strip(" M\n")) > 2500


def test_memory(machine):
    """At most 150 MB are used after boot, besides what the kernel would give back at once."""
    lines = machine.check("cat /proc/meminfo").splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if ":" in line}
    cache = kib["Buffers"] + kib["Cached"] + kib["SReclaimable"] - kib["Shmem"]
    used = (kib["MemTotal"] - kib["MemFree"] - cache) / 1000
    print(f"used after boot: {used:.0f} MB")
    assert used <= 150


def test_ssh_runs_only_with_a_key(machine, client):
    greeting = client.run("nc", "-w", "10", "198.18.0.2", "22", check=False, input="\n").stdout
    assert greeting.startswith("SSH-2.0")
    machine.check("systemctl stop ssh && mv /root/.ssh/authorized_keys /root/.ssh/aside")
    machine.check("systemctl start ssh")
    assert machine.run("systemctl is-active ssh")[1].strip() == "inactive"


def test_site_is_given_once(machine):
    """What the operator has changed since is not undone by the next start."""
    machine.check("systemctl restart culvert-first-start")
    assert len(json.loads(machine.check("culvert history -o json"))["revisions"]) == 1


def test_programs_load_on_the_kernel_of_the_image(machine):
    """The packet generator's and the decapsulator's: its verifier is older than the one of a newer host."""
    machine.check("ip link add gen0 type veth peer name gen1 && ip link set gen0 up && ip link set gen1 up")
    machine.check("ip address add 198.18.9.1/24 dev gen0")
    machine.check("ip neighbour add 198.18.9.2 lladdr $(cat /sys/class/net/gen1/address) dev gen0")
    machine.check("culvert-decap --interface gen1 --from-any --pin --pin-dir /sys/fs/bpf/decap")
    machine.check("echo www.example.net A >/tmp/names")
    for profile in ("dns --queries /tmp/names --to 198.18.9.2", "tcp --size 1400 --to 198.18.9.2:80"):
        said = machine.check(f"culvert-pktgen --interface gen0 --count 100 -o json --profile {profile}")
        assert json.loads(said.splitlines()[-1])["sent"] == 100
    assert int(re.search(r"xdp_packets: (\d+)", machine.check("ethtool -S gen1"))[1]) >= 200
    machine.check("culvert-decap --interface gen1 --detach --pin-dir /sys/fs/bpf/decap && ip link del gen0")


def test_console_password(machine):
    """As an EFI variable keeps it: tests/image/test_console_password.py has a file in its place."""
    ask = "/usr/lib/culvert/console-password ask"
    machine.check("echo 'of the console' | culvert system console-password")
    machine.check(f"echo 'of the console' | {ask}")
    assert machine.run(f"printf 'a wrong one\\n%.0s' 1 2 3 | {ask}")[0] == 1
    machine.check("culvert system console-password --remove")
    machine.check(f"{ask} </dev/null")


def test_another_root_is_refused(image, lab, client):
    """The hash tree is not the one that the kernel image names: the console says so."""
    folder = tempfile.mkdtemp(dir=lab.directory)
    disk = os.path.join(folder, "disk.qcow2")
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, f"{folder}/raw"], check=True)
    with open(f"{folder}/raw", "r+b") as raw:
        raw.seek((1 + 128 + 256) * 1024 * 1024 + 4096)  # the first block of slot A's hash tree
        raw.write(b"\0" * 4096)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", f"{folder}/raw", disk], check=True)
    make_tap(lab.namespace("nobody"))
    with Machine(lab.namespaces["nobody"], disk, os.path.join(folder, "console")) as machine:
        machine.expect("its hash differs|can't be mounted")
