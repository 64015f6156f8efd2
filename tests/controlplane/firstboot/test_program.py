# SPDX-License-Identifier: Apache-2.0
"""culvert-firstboot over folders: what it keeps, what it puts in force, what it says."""

import os
import stat
import subprocess

import pytest

# Nobody's: its other half was thrown away.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrULHTqnKFraropNwev9N5p3ZuCY0Ds9L5jTiT+YQFB nobody"
USER_DATA = f"""#cloud-config
hostname: edge1
ssh_authorized_keys: ["{KEY}"]
ntp: {{ servers: [192.0.2.1] }}
culvert:
  site: |
    site: lab
"""
NETWORK = "version: 2\nethernets: { lo: { addresses: [192.0.2.7/24] } }\n"


class Machine:
    def __init__(self, build, folder):
        self.program = os.path.join(build, "controlplane", "firstboot", "culvert-firstboot")
        self.store, self.run_dir, self.seed = (os.path.join(folder, name) for name in ("store", "run", "seed"))
        self.given = os.path.join(folder, "credentials")
        for name in (self.seed, self.given, os.path.join(self.run_dir, "culvert-system", "alarms")):
            os.makedirs(name)

    def tell(self, **files):
        """The seed's files: user_data=..., and so on."""
        for name, text in files.items():
            with open(os.path.join(self.seed, name.replace("_", "-")), "w", encoding="utf-8") as file:
                file.write(text)

    def start(self, seed=True):
        """As at a start of the machine, in a namespace whose host is named `before`: what the host's
        name is then, and what was said."""
        command = [self.program, "--store", self.store, "--run", self.run_dir]
        command += ["--seed", self.seed] if seed else []
        script = 'hostname before 2>/dev/null || echo before >/proc/sys/kernel/hostname; "$@"; uname -n'
        done = subprocess.run(
            ["unshare", "--uts", "sh", "-c", script, "sh", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": self.given},
        )
        return done.stdout.strip(), done.stderr

    def read(self, *path):
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()

    def kept(self, name):
        return self.read(self.store, name)

    def alarms(self):
        path = os.path.join(self.run_dir, "culvert-system", "alarms", "first-boot")
        return self.read(path).splitlines() if os.path.exists(path) else []


@pytest.fixture
def machine(build, tmp_path):
    return Machine(build, str(tmp_path))


def test_all_of_it(machine):
    machine.tell(meta_data="instance-id: i-1\n", user_data=USER_DATA, network_config=NETWORK)
    name, said = machine.start()
    assert name == "edge1" and "took the data of instance i-1" in said and machine.alarms() == []
    assert machine.kept("authorized_keys") == f"{KEY}\n"
    assert machine.kept("site") == "site: lab\n"
    assert not os.path.exists(os.path.join(machine.store, "join"))
    network = os.path.join(machine.run_dir, "systemd", "network", "75-seed-1.network")
    assert "Address=192.0.2.7/24" in machine.read(network)
    times = os.path.join(machine.run_dir, "systemd", "timesyncd.conf.d", "culvert.conf")
    assert machine.read(times) == "[Time]\nNTP=192.0.2.1\n"
    # systemd's programs are users of their own; what is kept is root's.
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (network, times)] == [0o644] * 2
    assert stat.S_IMODE(os.stat(os.path.join(machine.store, "site")).st_mode) == 0o600


def test_once_per_instance(machine):
    """What was changed by hand since stays, until there is another instance; without a seed, too."""
    machine.tell(meta_data="instance-id: i-1\n", user_data=USER_DATA, network_config=NETWORK)
    machine.start()
    with open(os.path.join(machine.store, "hostname"), "w", encoding="utf-8") as file:
        file.write("by-hand\n")
    by_hand = os.path.join(machine.store, "network", "60-mine.network")
    with open(by_hand, "w", encoding="utf-8") as file:
        file.write("[Match]\nName=enp0s17\n")
    assert machine.start()[0] == "by-hand"
    assert machine.start(seed=False)[0] == "by-hand"
    machine.tell(
        meta_data="instance-id: i-2\n",
        user_data="#cloud-config\nhostname: edge2\n",
        network_config="version: 2\nethernets: { a: { dhcp4: true }, b: { dhcp4: true } }\n",
    )
    assert machine.start()[0] == "edge2"
    assert sorted(os.listdir(os.path.join(machine.store, "network"))) == [
        "60-mine.network",
        "75-seed-1.network",
        "75-seed-2.network",
    ]
    assert machine.kept("authorized_keys") == f"{KEY}\n"  # it didn't say anything of keys


def test_wrong_data_is_told_until_it_is_right(machine):
    """What is right beside it counts; a network that is wrong is left out as a whole."""
    machine.tell(meta_data="instance-id: i-1\n", user_data=USER_DATA, network_config="version: 2\nethernets: { a: { x: 1 } }\n")
    for _ in range(2):
        name, said = machine.start()
        assert name == "edge1"
        assert "seed:network-config:2:19: ethernets.a.x: an appliance takes no" in said
        assert [alarm.split(":")[0] for alarm in machine.alarms()] == ["first boot"] * 2
        assert os.listdir(os.path.join(machine.run_dir, "systemd", "network")) == []
    machine.tell(network_config=NETWORK)
    machine.start()
    assert machine.alarms() == []
    assert os.listdir(os.path.join(machine.run_dir, "systemd", "network")) == ["75-seed-1.network"]


def test_nic_that_is_not_there(machine):
    """It is kept, and told at the start that took it."""
    match = "match: { macaddress: '52:54:00:12:34:56' }, dhcp4: true"
    network = f"version: 2\nethernets: {{ none: {{ dhcp4: true }}, a: {{ {match} }}, e*: {{ dhcp4: true }} }}\n"
    machine.tell(meta_data="instance-id: i-1\n", network_config=network)
    machine.start()
    alarms = machine.alarms()
    assert len(alarms) == 2
    assert "no NIC is named none" in alarms[0] and "no NIC has the MAC address 52:54:00:12:34:56" in alarms[1]
    assert len(os.listdir(os.path.join(machine.store, "network"))) == 3
    machine.start()
    assert machine.alarms() == []


def test_warnings_are_no_alarms(machine):
    machine.tell(meta_data="instance-id: i-1\n", user_data=USER_DATA + "packages: [nano]\n")
    said = machine.start()[1]
    assert 'packages: an appliance takes no "packages"' in said and machine.alarms() == []


def test_config_drive(machine):
    folder = os.path.join(machine.seed, "openstack", "latest")
    os.makedirs(folder)
    files = {
        "meta_data.json": '{"uuid": "u-1", "hostname": "edge3.novalocal"}',
        "user_data": "#culvert-site\nsite: lab\n",
        "network_data.json": '{"links": [{"id": "a", "type": "phy", "ethernet_mac_address": "52:54:00:12:34:56"}],'
        ' "networks": [{"link": "a", "type": "ipv4_dhcp"}]}',
    }
    for name, text in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    assert machine.start()[0] == "edge3"
    assert machine.kept("site").endswith("site: lab\n")
    assert "no NIC has the MAC address 52:54:00:12:34:56" in machine.alarms()[0]
    assert "MACAddress=52:54:00:12:34:56" in machine.kept("network/75-seed-1.network")


def test_credentials_go_before_what_is_kept(machine):
    machine.tell(meta_data="instance-id: i-1\n", user_data=USER_DATA)
    with open(os.path.join(machine.given, "culvert.hostname"), "w", encoding="utf-8") as file:
        file.write("edge4\n")
    with open(os.path.join(machine.given, "culvert.time-servers"), "w", encoding="utf-8") as file:
        file.write("192.0.2.2, ntp.example.net")
    assert machine.start()[0] == "edge4"
    times = os.path.join(machine.run_dir, "systemd", "timesyncd.conf.d", "culvert.conf")
    assert machine.read(times) == "[Time]\nNTP=192.0.2.2 ntp.example.net\n"
    os.unlink(os.path.join(machine.given, "culvert.hostname"))
    assert machine.start()[0] == "edge1"


def test_wrong_credential(machine):
    with open(os.path.join(machine.given, "culvert.hostname"), "w", encoding="utf-8") as file:
        file.write("not a name")
    assert machine.start(seed=False)[0] == "before"
    assert machine.alarms() == ["first boot: culvert.hostname: a host's name is 1 to 63 letters, digits and hyphens"]


def test_seed_without_an_instance(machine):
    """It is known by what it says."""
    machine.tell(user_data=USER_DATA)
    machine.start()
    with open(os.path.join(machine.store, "hostname"), "w", encoding="utf-8") as file:
        file.write("by-hand\n")
    assert machine.start()[0] == "by-hand"
    machine.tell(user_data="#cloud-config\nhostname: edge5\n")
    assert machine.start()[0] == "edge5"
