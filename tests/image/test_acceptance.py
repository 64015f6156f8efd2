# SPDX-License-Identifier: Apache-2.0
"""packer/acceptance and packer/seal on a booted appliance, as Packer runs them, over the console."""

import json
import os

import pexpect
import pytest

from tests.image.machine import Machine, make_tap
from tests.lab.namespaces import sh

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def disk(image, lab):
    disk = os.path.join(lab.directory, "disk.qcow2")
    sh("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk, "4G")
    return disk


def partitions(lab, disk):
    raw = os.path.join(lab.directory, "disk.raw")
    sh("qemu-img", "convert", "-O", "raw", disk, raw)
    names = [one.get("name") for one in json.loads(sh("sfdisk", "--json", raw).stdout)["partitiontable"]["partitions"]]
    return names, raw


def test_accepted_and_sealed(image, lab, repo, disk):
    """Under load nothing fails; afterwards nothing of the site, the keys and the logs is on the disk."""
    make_tap(lab.namespace("alone"))
    console = os.path.join(lab.directory, "console")
    with Machine(lab.namespaces["alone"], image, console, options=("--keep", disk)) as machine:
        machine.boot()
        for name in ("acceptance", "seal"):
            with open(os.path.join(repo, "packer", name), encoding="utf-8") as file:
                machine.write(f"/tmp/{name}", file.read())
        said = machine.check("bash /tmp/acceptance 5", timeout=600)
        print(said)
        assert "answers/s came back" in said and said.rstrip().endswith("acceptance: accepted")
        machine.console.sendline("bash /tmp/seal")
        machine.console.expect(pexpect.EOF)
    names, raw = partitions(lab, disk)
    assert "culvert-data" not in names and len(names) == 5
    with open(raw, "rb") as file:
        file.seek(700 << 20)
        while piece := file.read(1 << 24):
            # The copy of the partition table at the end is all that there is.
            assert piece.count(0) >= len(piece) - 8192
