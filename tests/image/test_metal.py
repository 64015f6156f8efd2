# SPDX-License-Identifier: Apache-2.0
"""The flavour metal on hardware that the cloud kernel has no driver for: NICs of Intel's, a disk at AHCI."""

import json
import os

import pytest

from tests.image.conftest import FOLDER, make_image
from tests.image.machine import Machine
from tests.image.test_boot import NETWORK, SITE, dig
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def metal():
    make_image("--flavour", "metal")
    return os.path.join(FOLDER, "metal")


@pytest.fixture(scope="module")
def machine(metal, lab, client):
    # That of e1000e has no XDP.
    given = {"culvert.site": SITE.replace("mode: native", "mode: generic"), "network.network.50-lab": NETWORK}
    disk = os.path.join(metal, "culvert.qcow2")
    with Machine(client, disk, os.path.join(lab.directory, "console"), given, ["--metal"]) as machine:
        machine.boot()
        yield machine


def test_serves(machine, client):
    wait_until(lambda: dig(client, "www.example.net") == ["198.51.100.7"], "an answer", timeout=300)
    status = json.loads(machine.check("culvert status -o json"))
    interface = status["planes"][0]["state"]["interfaces"][0]
    assert interface["name"] == "enp0s24" and interface["mode"] == "generic"
    assert machine.check("systemctl --failed --no-legend --plain --no-pager") == ""


def test_drivers(machine):
    assert machine.check("basename $(readlink /sys/class/net/enp0s24/device/driver)").strip() == "e1000e"
    assert machine.check("lsblk -n -d -o TRAN /dev/sda").strip() == "sata"
    assert "VARIANT_ID=metal" in machine.check("cat /usr/lib/os-release")


def test_firmware(metal):
    """A driver's file is there when its package is, and no file is that no driver asks for."""
    with open(f"{metal}/packages", encoding="utf-8") as file:
        packages = file.read()
    if "firmware-bnx2x " not in packages:
        pytest.skip("the mirror has no non-free-firmware")
    files = {name for _, _, names in os.walk(f"{metal}/root/usr/lib/firmware") for name in names}
    assert any(name.startswith("bnx2x-e2-") for name in files)
    assert not any(name.startswith(("iwlwifi", "rtw8")) for name in files)
    with open(f"{metal}/culvert.sbom.json", encoding="utf-8") as file:
        assert "firmware-bnx2x" in {one["name"] for one in json.load(file)["components"]}


def test_size(metal):
    """The slot has room for it, and its download is told."""
    root = os.path.getsize(f"{metal}/root.squashfs")
    print(f"metal: {os.path.getsize(f'{metal}/culvert.qcow2') / 1e6:.0f} MB, root {root / 1e6:.0f} MB of 268")
    assert root <= 240e6
