# SPDX-License-Identifier: Apache-2.0
"""Updates of the appliance: one that comes up, one that returns by itself, ones that are refused."""

import io
import json
import os
import subprocess
import tarfile

import pytest

from tests.conftest import REPO
from tests.image.machine import Machine
from tests.image.test_boot import NETWORK, SITE, dig
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

GOOD, BAD = "90.1-20300101.1200", "90.2-20300101.1200"
SERVER = "198.18.0.1"
UPDATE = 900  # seconds that writing an update may take under emulation

# A control plane that always exits, and a trial that gives up soon.
BROKEN = {
    "culvertd.service.d/broken.conf": "[Service]\nExecStart=\nExecStart=/bin/false\n",
    "culvert-trial.service.d/soon.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/culvert system trial --within 5s\n",
}


def variant(built, folder, version, units):
    """An update by that version, with unit files on top; its path."""
    files = os.path.join(folder, f"files-{version}")
    for name, text in units.items():
        path = os.path.join(files, "usr/lib/systemd/system", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
    os.makedirs(files, exist_ok=True)
    out = os.path.join(folder, version)
    subprocess.run([f"{REPO}/tests/image/variant", built, out, version, files], check=True)
    path = os.path.join(folder, f"{version}.update")
    os.rename(os.path.join(out, f"culvert-{version}.update"), path)
    return path


def pack(path, members):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def sign(keys, data):
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", f"{keys}/update.key"], input=data, check=True, capture_output=True
    )
    return done.stdout


def make_refused(good, keys, folder):
    """Updates that are not taken: their names, and what is said."""
    with tarfile.open(good) as archive:
        manifest = archive.extractfile("manifest.json").read()
        signature = archive.extractfile("manifest.sig").read()
    older = json.dumps({**json.loads(manifest), "version": "0.0.1"}).encode()
    huge = json.loads(manifest)
    huge["root"]["size"] = 300 << 20
    huge = json.dumps(huge).encode()
    unsigned = {"manifest.json": manifest, "kernel": b"x"}
    changed = {"manifest.json": manifest.replace(b"90.1", b"99.1"), "manifest.sig": signature}
    pack(f"{folder}/unsigned", unsigned)
    pack(f"{folder}/changed", changed)
    pack(f"{folder}/older", {"manifest.json": older, "manifest.sig": sign(keys, older)})
    pack(f"{folder}/huge", {"manifest.json": huge, "manifest.sig": sign(keys, huge)})
    with open(f"{folder}/text", "w") as file:
        file.write("no update\n" * 1000)
    with open(good, "rb") as whole:
        data = whole.read()
    with open(f"{folder}/truncated", "wb") as file:
        file.write(data[: len(data) // 2])
    with open(f"{folder}/damaged", "wb") as file:
        at = len(data) // 2  # in the root
        file.write(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    return {
        "unsigned": "the update is not signed",
        "changed": "not by a key of this system",
        "older": "0.0.1 is older than",
        "huge": "too large for this appliance: its root has 314572800 bytes, the slot 268435456",
        "text": "this is no update, or a damaged one",
        "truncated": "the update is truncated",
        "damaged": "the update is damaged: the SHA-256 of its root differs",
        "absent": "can't be fetched",
    }


@pytest.fixture(scope="module")
def served(image, lab, client):
    """A folder that the appliance sees as http://SERVER:8000/, with the updates."""
    built = os.path.dirname(image)
    folder = os.path.join(lab.directory, "updates")
    os.makedirs(folder)
    variant(built, folder, GOOD, {})
    variant(built, folder, BAD, BROKEN)
    client.start("updates", "python3", "-m", "http.server", "-d", folder, "8000")
    return folder


@pytest.fixture(scope="module")
def machine(image, lab, client, served):
    given = {"culvert.site": SITE, "network.network.50-lab": NETWORK}
    with Machine(client, image, os.path.join(lab.directory, "console"), given) as machine:
        machine.boot()
        wait_until(lambda: dig(client, "www.example.net"), "an answer", timeout=300)
        yield machine


def status(machine):
    return json.loads(machine.check("culvert system status -o json"))


def update(machine, name, *options):
    return machine.run(f"culvert system update {' '.join(options)} http://{SERVER}:8000/{name}", timeout=UPDATE)


@pytest.fixture(scope="module")
def first(machine):
    """The version that the image was made with."""
    running = status(machine)["running"]
    assert running["slot"] == "a" and running["state"] == "good"
    return running["version"]


def test_refused(machine, first, image, served):
    keys = os.path.join(os.path.dirname(image), "keys")
    for name, text in make_refused(f"{served}/{GOOD}.update", keys, served).items():
        code, said = update(machine, name)
        assert code == 1 and text in said, f"{name}: {said}"
    assert status(machine)["other"]["state"] == "none"
    assert machine.check("ls /efi/EFI/Linux").split() == [f"culvert-{first}.efi"]


def test_clusters_are_lost(machine):
    """What a power cut may leave: space that no file has, and more of it than an update can do without."""
    machine.check("head -c 90M /dev/zero >/efi/FILL && sync /efi/FILL && systemctl stop efi.mount")
    machine.check("at=$(grep -abo -m 1 'FILL       ' /dev/disk/by-partlabel/esp | cut -d : -f 1) && [ -n \"$at\" ]")
    machine.check("printf '\\345' | dd of=/dev/disk/by-partlabel/esp bs=1 seek=$at conv=notrunc status=none && sync")
    assert int(machine.check("df --output=avail -BM /efi | tail -n 1").strip(" M\n")) < 30


def test_update(machine, client, first):
    """One restart; the stages' times are told. What was lost has come back by it."""
    begin = machine.seconds()
    code, said = update(machine, f"{GOOD}.update")
    assert code == 0 and f"{GOOD} is in slot b, and is tried at the next start" in said, said
    assert status(machine)["other"]["state"] == "new"
    stages = {"written": machine.seconds()}
    machine.console.sendline("reboot")
    stages["firmware"] = machine.expect("BdsDxe: starting")
    machine.boot()
    stages["prompt"] = machine.seconds()
    wait_until(lambda: dig(client, "www.example.net"), "an answer", timeout=300)
    stages["answer"] = machine.seconds()
    running = wait_until(
        lambda: (now := status(machine)["running"])["state"] == "good" and now, "its trial's end", timeout=300, pause=1
    )
    stages["settled"] = machine.seconds()
    print("update, seconds:", {name: round(at - begin, 1) for name, at in stages.items()})
    assert running == {"slot": "b", "version": GOOD, "state": "good", "tries_left": None, "tries_done": None}
    other = status(machine)["other"]
    assert other["version"] == first and other["state"] == "good"
    assert int(machine.check("df --output=avail -BM /efi | tail -n 1").strip(" M\n")) > 80
    assert json.loads(machine.check("culvert status -o json"))["system"]["running"] == running
    assert update(machine, f"{GOOD}.update")[1].count(f"{GOOD} is what runs already") == 1


def test_rollback(machine, first):
    machine.console.sendline("culvert system rollback")
    machine.boot()
    now = status(machine)
    assert now["running"]["version"] == first and now["running"]["slot"] == "a"
    assert now["other"]["version"] == GOOD and now["other"]["state"] == "aside"


def test_bad_update_returns_by_itself(machine, client, first):
    # The update asks it whether the site can spare this node.
    wait_until(lambda: machine.run("culvert status")[0] == 0, "culvertd", timeout=300)
    machine.console.sendline(f"culvert system update --restart http://{SERVER}:8000/{BAD}.update")
    for left in (2, 1):
        machine.expect(f"{BAD} did not come healthy: culvertd doesn't answer")
        machine.expect(f"restarting, {left} more")
    machine.expect("restarting into the other slot")
    machine.boot()
    now = status(machine)
    assert now["running"]["version"] == first and now["running"]["state"] == "good"
    assert now["other"]["version"] == BAD and now["other"]["state"] == "bad"
    assert f"the update to {BAD} did not come healthy in 3 tries" in now["alarm"]
    wait_until(lambda: dig(client, "www.example.net"), "an answer", timeout=300)
    assert now["alarm"] in json.loads(machine.check("culvert status -o json"))["alarms"]


def test_factory_reset(machine):
    machine.check("touch /var/root/mine")
    assert machine.run("culvert system factory-reset </dev/null")[0] != 0
    machine.console.sendline("culvert system factory-reset --yes --force")
    machine.boot()
    assert machine.run("ls /var/root/mine")[0] != 0
    assert machine.run("ls /sys/firmware/efi/efivars/CulvertFactoryReset*")[0] != 0
    assert machine.check("systemctl --failed --no-legend --plain --no-pager") == ""
