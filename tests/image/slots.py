# SPDX-License-Identifier: Apache-2.0
"""A disk's boot entries and slots as the boot loader finds them, seen from outside.

What the boot loader would start is worked out as systemd-boot does: entries without tries left come
last, else the newest version is first (docs/decisions/0015-updates.md).
"""

import dataclasses
import json
import re
import subprocess
import tarfile

from tests.lab.namespaces import sh

ENTRY = re.compile(r"culvert-(?P<version>[0-9.-]+?)(\+(?P<left>\d+)(-(?P<done>\d+))?)?\.efi")
UUID_OFFSET = 16  # in the superblock of the hash tree
SECTOR = 512
PIECE = 1 << 22


@dataclasses.dataclass(frozen=True)
class System:
    """What an update file brings: its version, and where in the file its parts are."""

    path: str
    version: str
    root_hash: str
    parts: dict  # name: (offset, length)

    @classmethod
    def of(cls, path):
        with tarfile.open(path) as archive:
            manifest = json.load(archive.extractfile("manifest.json"))
            parts = {part.name: (part.offset_data, part.size) for part in archive.getmembers()}
        return cls(path, manifest["version"], manifest["root_hash"], parts)

    def is_at(self, part, path, place=0):
        """Whether the file has all of the part there."""
        begin, length = self.parts[part]
        with open(self.path, "rb") as own, open(path, "rb") as other:
            own.seek(begin)
            other.seek(place)
            for at in range(0, length, PIECE):
                size = min(PIECE, length - at)
                if own.read(size) != other.read(size):
                    return False
        return True


class Disk:
    """A raw disk; `systems` are those that it may have, `work` is a file that may be written."""

    def __init__(self, path, systems, work):
        self.path = path
        self.systems = {system.version: system for system in systems}
        self.work = work
        table = json.loads(sh("sfdisk", "--json", path).stdout)["partitiontable"]["partitions"]
        self.begins = {one.get("name"): one["start"] * SECTOR for one in table}
        self.esp = f"{path}@@{self.begins['esp']}"

    def entries(self):
        """The names of the kernel images, the one that is started first at the front.

        A file that a cut left without its head is no program, which systemd-boot passes over.
        """
        listed = sh("mdir", "-b", "-i", self.esp, "::EFI/Linux").stdout.split()
        names = [name.rsplit("/", 1)[1] for name in listed if name.endswith((".efi", ".EFI"))]
        return sorted((name for name in names if self._is_program(name)), key=order)

    def _is_program(self, name):
        """Of a file that is none a cut may have left less than its entry promises."""
        words = ("mtype", "-i", self.esp, f"::EFI/Linux/{name}")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            head = process.stdout.read(2)
            process.kill()
        return head == b"MZ"

    def _fetch(self, name):
        """Copies an entry's file to `work`."""
        sh("mcopy", "-n", "-o", "-i", self.esp, f"::EFI/Linux/{name}", self.work)

    def whole(self, name):
        """Whether an entry would start: its kernel image is whole, and a slot has its system."""
        found = ENTRY.fullmatch(name)
        system = found and self.systems.get(found["version"])
        if not system:
            return False
        self._fetch(name)
        return system.is_at("kernel", self.work) and self._slot_has(system)

    def _slot_has(self, system):
        letter = next((letter for letter in "ab" if self._tree(letter) == system.root_hash[:32]), None)
        return letter is not None and all(
            system.is_at(part, self.path, self.begins[f"{part}-{letter}"]) for part in ("root", "hash")
        )

    def _tree(self, letter):
        """Which system the slot's hash tree is of, as the initrd sees it."""
        with open(self.path, "rb") as disk:
            disk.seek(self.begins[f"hash-{letter}"] + UUID_OFFSET)
            return disk.read(16).hex()

    def complaints(self):
        """What fsck.fat finds wrong with the EFI system partition, in lines."""
        sh("dd", f"if={self.path}", f"of={self.work}", "bs=1M", f"skip={self.begins['esp'] >> 20}", "count=128")
        said = sh("fsck.fat", "-n", self.work, check=False).stdout
        return [line.strip() for line in said.splitlines()[1:] if line and not line.startswith(self.work)]


def order(name):
    """Sorts the names of entries as systemd-boot does; one that is none of ours must not be first."""
    found = ENTRY.fullmatch(name)
    assert found, f"{name} is no name of an entry"
    version = [int(number) for number in re.split(r"[.-]", found["version"])]
    return (found["left"] is not None and int(found["left"]) == 0, [-number for number in version])


def version_of(name):
    return ENTRY.fullmatch(name)["version"]
