# SPDX-License-Identifier: Apache-2.0
"""What `dev image --all` makes: disks for other hypervisors, an image for container hosts, lists of software."""

import datetime
import hashlib
import json
import os
import re
import subprocess
import tarfile
import xml.etree.ElementTree as ET

import pytest

from tests.lab.namespaces import sh

pytestmark = pytest.mark.long

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
PURL = re.compile(r"pkg:(deb/debian|generic)/[a-z0-9.%A-F-]+@[^?]+(\?arch=(amd64|all)&distro=debian-13)?")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize(
    "name, parts",
    [
        ("culvert.sbom.json", {"culvert", "systemd", "linux-image", "libc6", "openssh-server"}),
        ("culvert.oci.sbom.json", {"culvert", "libc6", "librocksdb9.10"}),
    ],
)
def test_bill_of_materials(formats, name, parts):
    document = load(formats, name)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", document["serialNumber"])
    names = {re.sub(r"-[0-9].*", "", one["name"]) for one in document["components"]}
    assert parts <= names, parts - names
    refs = [one["bom-ref"] for one in document["components"]]
    assert len(set(refs)) == len(refs)
    for one in document["components"]:
        assert PURL.fullmatch(one["purl"]) and one["version"], one
        for licence in one.get("licenses", []):
            assert licence["license"].keys() in ({"id"}, {"name"}), one
    with_licence = sum("licenses" in one for one in document["components"])
    assert with_licence > len(document["components"]) / 2


def test_bill_is_in_the_image(formats):
    inside = subprocess.run(
        ["unsquashfs", "-cat", f"{formats}/root.squashfs", "usr/share/culvert/sbom.json"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    with open(f"{formats}/culvert.sbom.json", "rb") as beside:
        assert inside == beside.read()


def test_vmdk(formats):
    """A stream-optimized disk with what the raw one has, and room for data."""
    info = json.loads(sh("qemu-img", "info", "--output=json", f"{formats}/culvert.vmdk").stdout)
    assert info["format-specific"]["data"]["create-type"] == "streamOptimized"
    assert info["virtual-size"] == 4 << 30
    sh("qemu-img", "check", f"{formats}/culvert.vmdk")
    sh("qemu-img", "compare", f"{formats}/culvert.vmdk", f"{formats}/culvert.raw")


def test_ova(formats, tmp_path):
    """The description comes first; sizes and checksums are those of what is with it."""
    with tarfile.open(f"{formats}/culvert.ova") as tar:
        assert tar.getnames() == ["culvert.ovf", "culvert.mf", "culvert.vmdk"]
        assert all((one.uid, one.gid, one.uname) == (0, 0, "root") for one in tar)
        tar.extractall(tmp_path, filter="data")
    for line in (tmp_path / "culvert.mf").read_text().splitlines():
        name, value = re.fullmatch(r"SHA256\((\S+)\)= ([0-9a-f]{64})", line).groups()
        assert digest(tmp_path / name) == value
    root = ET.parse(tmp_path / "culvert.ovf").getroot()
    file = root.find(f"{OVF}References/{OVF}File")
    assert int(file.get(f"{OVF}size")) == (tmp_path / "culvert.vmdk").stat().st_size
    assert root.find(f"{OVF}DiskSection/{OVF}Disk").get(f"{OVF}capacity") == "4"
    assert "@" not in (tmp_path / "culvert.ovf").read_text()


@pytest.fixture(scope="module")
def container(formats, tmp_path_factory):
    """The layout, unpacked, and its one manifest."""
    folder = tmp_path_factory.mktemp("oci")
    with tarfile.open(f"{formats}/culvert.oci.tar") as tar:
        tar.extractall(folder, filter="data")
    assert load(folder, "oci-layout") == {"imageLayoutVersion": "1.0.0"}

    def blob(descriptor):
        path = folder / "blobs" / "sha256" / descriptor["digest"].removeprefix("sha256:")
        assert path.stat().st_size == descriptor["size"]
        assert "sha256:" + digest(path) == descriptor["digest"]
        return path

    index = load(folder, "index.json")
    assert index["schemaVersion"] == 2 and len(index["manifests"]) == 1
    return load(blob(index["manifests"][0])), blob


def test_container(container, tmp_path):
    """Its layer is a tree in which the programs run, as a user of their own."""
    manifest, blob = container
    config = load(blob(manifest["config"]))
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    (layer,) = manifest["layers"]
    content = subprocess.run(["gzip", "-dc", blob(layer)], check=True, capture_output=True).stdout
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(content).hexdigest()]
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", "-"], input=content, check=True)
    user, group = config["config"]["User"].split(":")
    chroot = ["chroot", f"--userspec={user}:{group}", root]
    assert sh(*chroot, "culvert", "version", check=False).stdout.startswith("culvert ")
    for program in (config["config"]["Entrypoint"][0], "culvert-xdp", "culvert-dpdk", "culvert-pktgen"):
        assert sh(*chroot, program, "--version").stdout.startswith(program)
    assert sh("find", root, "-xdev", "-perm", "/6000", "-type", "f").stdout == ""
    assert (root / "var/lib/culvert").stat().st_uid == int(user)


@pytest.mark.parametrize(
    "maker, names", [("ova", ["culvert.vmdk", "culvert.ova"]), ("oci", ["culvert.oci.tar", "culvert.oci.sbom.json"])]
)
def test_same_again(formats, repo, maker, names):
    """Made once more of the same they are the same bytes."""
    before = {name: digest(f"{formats}/{name}") for name in names}
    document = load(formats, "culvert.sbom.json")
    made = datetime.datetime.fromisoformat(document["metadata"]["timestamp"])
    version = document["metadata"]["component"]["version"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(int(made.timestamp()))}
    sh(f"{repo}/images/formats/{maker}", formats, version, env=environment)
    assert {name: digest(f"{formats}/{name}") for name in names} == before
