# SPDX-License-Identifier: Apache-2.0
"""A disk as it may be after a power cut, of a log of its writes and flushes.

What a drive was told to write is kept for sure once a flush that came after it has returned. Of
writes since the last flush any may be on the disk or not, also a part of one. QEMU killed at a
moment would keep all of them; so the writes are logged (images/boot --log-writes, the format of the
kernel's dm-log-writes) and replayed.
"""

import dataclasses
import os
import struct

SECTOR = 512
FLUSH, DISCARD = 1, 4
MAGIC = 0x6A736677736872
HEADER = struct.Struct("<QQQQ")  # sector, sectors, flags, length (QEMU leaves it 0)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One write, discard or flush: where in the log it begins, where on the disk it goes."""

    place: int
    begin: int
    length: int
    flags: int

    @property
    def data(self):
        return self.place + SECTOR


class WriteLog:
    """The entries of a log, in the order in which they were begun."""

    def __init__(self, path):
        self.path = path
        self.entries = []
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            magic, version = struct.unpack("<QQ", file.read(16))
            assert (magic, version) == (MAGIC, 1), f"{path} is no log of writes"
            place = SECTOR
            while place + SECTOR <= size:
                file.seek(place)
                sector, count, flags, _ = HEADER.unpack(file.read(HEADER.size))
                entry = Entry(place, sector * SECTOR, count * SECTOR, flags)
                place = entry.data + (0 if flags & DISCARD else entry.length)
                if not (count or flags) or place > size:
                    break  # begun when QEMU was killed
                self.entries.append(entry)

    def read(self, file, entry):
        file.seek(entry.data)
        return file.read(entry.length)


class Replay:
    """The disk at moments of the log, each later than the one before.

    Until `close`, `stable` holds the first disk with all that is kept for sure at the last moment.
    """

    def __init__(self, disk, log, stable):
        self.log = log
        self.stable = stable
        self._done = 0
        copy(disk, stable)
        self._disk = open(stable, "r+b", buffering=0)
        self._log = open(log.path, "rb")

    def close(self):
        self._disk.close()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def cut(self, index, random, path):
        """Makes `path` the disk after a cut just before the entry `index` was begun."""
        entries = self.log.entries
        kept = max((i for i in range(self._done, index) if entries[i].flags & FLUSH), default=self._done)
        for entry in entries[self._done : kept]:
            self._write(self._disk, entry)
        self._disk.flush()
        self._done = kept
        copy(self.stable, path)
        share = random.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        with open(path, "r+b", buffering=0) as disk:
            for entry in entries[kept:index]:
                if random.random() < share:
                    self._write(disk, entry)
                elif random.random() < 0.2:
                    self._write(disk, entry, random)

    def _write(self, disk, entry, random=None):
        """Does one entry's write; with `random` some sectors of it only."""
        if entry.flags & DISCARD:
            return  # what is read of it afterwards may be anything
        data = self.log.read(self._log, entry)
        if data.count(0) == len(data) and is_hole(disk, entry):
            return  # else a disk that was zeroed once would be copied in full for each cut
        for begin in range(0, len(data), SECTOR) if random else (0,):
            piece = data[begin : begin + SECTOR] if random else data
            if not random or random.random() < 0.5:
                disk.seek(entry.begin + begin)
                disk.write(piece)


def is_hole(disk, entry):
    """Whether nothing was ever written there, so that zeros are read."""
    try:
        return os.lseek(disk.fileno(), entry.begin, os.SEEK_DATA) >= entry.begin + entry.length
    except OSError:
        return True  # nothing but a hole follows


def copy(source, target):
    """Copies a disk with its holes."""
    size = os.path.getsize(source)
    with open(source, "rb") as old, open(target, "wb") as new:
        new.truncate(size)
        end = 0
        while end < size:
            try:
                begin = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:
                break  # nothing but a hole is left
            end = os.lseek(old.fileno(), begin, os.SEEK_HOLE)
            at = begin
            while at < end:
                at += os.copy_file_range(old.fileno(), new.fileno(), min(end - at, 1 << 24), at, at)
