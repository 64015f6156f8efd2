# SPDX-License-Identifier: Apache-2.0
"""First boot by each way of telling a machine who it is, and what stands around it then."""

import contextlib
import json
import os
import re

import pytest

from tests.image.machine import Machine
from tests.image.test_boot import KEY, NETWORK, SITE, dig
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

MAC = "52:54:79:4e:7c:0d"  # of tap0 (images/boot)
USER_DATA = f"""#cloud-config
hostname: edge1
ssh_authorized_keys:
  - {KEY}
ntp: {{ servers: [198.18.0.1] }}
packages: [nano]
culvert:
  site: |
""" + "".join(f"    {line}\n" for line in f"{SITE}api: {{ listen: [198.18.0.2:8443] }}\n".splitlines())
NETWORK_CONFIG = f"""version: 2
ethernets:
  lan:
    match: {{ macaddress: "{MAC}" }}
    addresses: [198.18.0.2/24]
    routes: [{{ to: default, via: 198.18.0.1 }}]
"""
NETWORK_DATA = {
    "links": [{"id": "tap", "type": "phy", "ethernet_mac_address": MAC}],
    "networks": [
        {
            "link": "tap",
            "type": "ipv4",
            "ip_address": "198.18.0.2",
            "netmask": "255.255.255.0",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "198.18.0.1"}],
        }
    ],
}


def write(folder, files):
    for name, text in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return str(folder)


@contextlib.contextmanager
def booted(image, lab, client, name, options=(), qemu=()):
    """A machine at its prompt, its stages logged."""
    log = os.path.join(lab.directory, f"console-{name}")
    with Machine(client, image, log, options=options, qemu=qemu) as machine:
        machine.boot(name)
        print(f"{name}: prompt")
        wait_until(lambda: machine.run("systemctl is-active culvertd")[1].strip() == "active", "culvertd", timeout=300)
        print(machine.check("systemd-analyze time; systemctl show -P MemoryCurrent culvertd; free -m"))
        yield machine


def statuses(machine):
    return json.loads(machine.check("culvert status -o json"))


def is_reachable(machine, client):
    """SSH listens at the address that was given."""
    greeting = client.run("nc", "-w", "10", "198.18.0.2", "22", check=False, input="\n").stdout
    assert greeting.startswith("SSH-2.0"), machine.run("ip addr; ip route; journalctl -b -n 60 --no-pager")[1]


@pytest.fixture(scope="module")
def nocloud(image, lab, client, tmp_path_factory):
    files = {"meta-data": "instance-id: i-1\n", "user-data": USER_DATA, "network-config": NETWORK_CONFIG}
    seed = write(tmp_path_factory.mktemp("seed"), files)
    with booted(image, lab, client, "edge1", ["--seed", seed], ["-device", "i6300esb"]) as machine:
        yield machine


def test_nocloud(nocloud, client):
    wait_until(lambda: dig(client, "www.example.net"), "an answer", timeout=300)
    assert dig(client, "+tcp", "www.example.net") == ["198.51.100.7"]
    is_reachable(nocloud, client)
    status = statuses(nocloud)
    assert status["node"] == "edge1" and status["site"] == "image" and status["alarms"] == []
    assert "198.18.0.1" in nocloud.check("cat /run/systemd/timesyncd.conf.d/culvert.conf")
    assert 'takes no "packages"' in nocloud.check("journalctl -b -u culvert-firstboot --no-pager")
    assert nocloud.check("systemctl --failed --no-legend --plain --no-pager") == ""


def packets(machine, rule):
    """How many packets the firewall's rule has counted."""
    rules = machine.check("nft list chain inet culvert input")
    return int(re.findall(rf"counter packets (\d+) bytes \d+ {rule}", rules)[-1])


def is_open(client, port):
    return client.run("nc", "-z", "-w", "5", "198.18.0.2", str(port), check=False).returncode == 0


def test_firewall(nocloud, client):
    """What culvertd listens on is open, whatever the port, also when either starts again; what another
    listens on isn't."""
    nocloud.check("/usr/sbin/sshd -p 8081")
    before = packets(nocloud, "drop")
    assert not is_open(client, 8081)
    assert packets(nocloud, "drop") > before
    for unit in (None, "culvert-firewall", "culvertd"):
        if unit:
            nocloud.check(f"systemctl restart {unit}")
        assert "culvertd.service" in nocloud.check("nft list set inet culvert controlplane")
        before = packets(nocloud, 'accept comment "culvertd"')
        wait_until(lambda: is_open(client, 8443), "the API's port", timeout=300)
        assert packets(nocloud, 'accept comment "culvertd"') > before
        assert is_open(client, 7480) and not is_open(client, 8081)
    assert client.run("ping", "-c", "1", "-W", "10", "198.18.0.2", check=False).returncode == 0


def test_watchdog(nocloud):
    assert nocloud.check("cat /sys/class/watchdog/watchdog0/state").strip() == "active"


def test_support_bundle(nocloud):
    """It has what helps, and none of the secrets that the machine has."""
    nocloud.check("cd /root && culvert support-bundle b.tar && tar -xf b.tar")
    assert "edge1" in nocloud.check("cat /root/culvert-support/status")
    assert "table inet culvert" in nocloud.check("cat /root/culvert-support/network/nft")
    assert "Linux version" in nocloud.check("cat /root/culvert-support/log/kernel")
    nocloud.check("rm -r /root/culvert-support /root/b.tar")


# What docs/OPERATIONS.md has for an appliance that runs, in this order.
COMMANDS = (
    "culvert status",
    "culvert nic list",
    "nft list ruleset",
    "journalctl --no-pager -u culvert-firstboot",
    "journalctl --no-pager -u culvert-trial",
    "systemctl restart culvert-firstboot systemd-networkd",
    "culvert system status",
    "culvert node token",
    "culvert node list",
    "culvert backup backup",
    "culvert get >site.yaml",
    "sed -i 's/ttl: 300/ttl: 400/' site.yaml",
    "culvert diff site.yaml",
    "culvert apply site.yaml --comment why",
    "culvert set zones.example.net.ttl 500",
    "culvert apply site.yaml --confirm 5m",
    "culvert confirm",
    "culvert rollback 1",
    "culvert history",
    "culvert audit --stale",
    "culvert token create ci --role operator --expires 90d >ci.token",
    "culvert token list",
    "culvert --server https://198.18.0.2:8443 --token-file ci.token diff site.yaml",
    "culvert token revoke ci",
    "culvert top --once",
    "culvert explain --from 198.51.100.7:4000 --to 192.0.2.10:80/tcp",
    "culvert counters",
    "culvert node rotate-ca",
    "ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519 && cp .ssh/id_ed25519.pub .ssh/authorized_keys",
    "ssh -o StrictHostKeyChecking=accept-new root@198.18.0.2 culvert support-bundle - | gzip >node.tar.gz",
    "gunzip -t node.tar.gz && [ $(stat -c %s node.tar.gz) -gt 10000 ]",
)


def test_commands_of_the_manual(nocloud):
    nocloud.check("set -o pipefail && mkdir -p /root/.ssh && cd /root")
    for command in COMMANDS:
        nocloud.check(command, timeout=300)
    nocloud.check("set +o pipefail")
    # After a quarter of an hour there is one of the clock, for no time server answers here.
    wait_until(lambda: all("clock" in one for one in statuses(nocloud)["alarms"]), "no alarm", timeout=300, pause=1)


def test_config_drive(image, lab, client, tmp_path):
    files = {
        "openstack/latest/meta_data.json": '{"uuid": "u-1", "hostname": "edge2.novalocal"}',
        "openstack/latest/user_data": "#culvert-site\n" + SITE,
        "openstack/latest/network_data.json": json.dumps(NETWORK_DATA),
    }
    with booted(image, lab, client, "edge2", ["--seed", write(tmp_path, files)]) as machine:
        wait_until(lambda: dig(client, "www.example.net"), "an answer", timeout=300)
        status = statuses(machine)
        assert status["node"] == "edge2" and status["site"] == "image" and status["alarms"] == []
        assert machine.run("systemctl is-active ssh")[1].strip() == "inactive"  # no key was given


def test_firmware_credentials(image, lab, client, tmp_path):
    given = {"culvert.hostname": "edge3\n", "culvert.site": SITE, "network.network.50-lab": NETWORK}
    folder, qemu = write(tmp_path, given), []
    for name in given:
        qemu += ["-fw_cfg", f"name=opt/io.systemd.credentials/{name},file={folder}/{name}"]
    with booted(image, lab, client, "edge3", qemu=qemu) as machine:
        wait_until(lambda: dig(client, "www.example.net"), "an answer", timeout=300)
        status = statuses(machine)
        assert status["node"] == "edge3" and status["site"] == "image" and status["alarms"] == []


def test_wrong_data(image, lab, client, tmp_path):
    """It is told on the console and in status, and the machine comes up: by what the kernel's command
    line says, and by DHCP on the NIC that it doesn't name."""
    files = {
        "meta-data": "instance-id: i-1\n",
        "user-data": USER_DATA.replace(KEY, "ssh-rsa AAAA").replace("www: {", "www: [").replace("edge1", "-x"),
        "network-config": NETWORK_CONFIG.replace("addresses", "adresses"),
    }
    extra = "systemd.hostname=edge4 ip=198.18.0.2::198.18.0.1:24::enp0s24:none"
    options = ["--seed", write(tmp_path, files), "--nics", "1", "--append", extra]
    log = os.path.join(lab.directory, "console-edge4")
    with Machine(client, image, log, options=options) as machine:
        machine.boot("edge4")
        wait_until(lambda: machine.run("culvert status")[0] == 0, "culvertd", timeout=300)
        wait_until(lambda: any("first start" in alarm for alarm in statuses(machine)["alarms"]), "the site's error")
        alarms = "\n".join(statuses(machine)["alarms"])
        assert "first boot: CIDATA:user-data:4:5: ssh_authorized_keys[0]: not an SSH public key" in alarms
        assert "first boot: CIDATA:user-data:2:11: hostname: a host's name is" in alarms
        assert 'CIDATA:network-config:5:5: ethernets.lan.adresses: an appliance takes no "adresses"' in alarms
        wait_until(lambda: "10.0.2.15" in machine.check("ip -4 addr show enp0s16"), "an address by DHCP", timeout=120)
        assert client.run("ping", "-c", "1", "-W", "10", "198.18.0.2", check=False).returncode == 0
    with open(log, encoding="utf-8", errors="replace") as file:
        console = file.read()
    assert "not an SSH public key" in console and "first start: " in console
