# SPDX-License-Identifier: Apache-2.0
"""The replay of a log of writes: what was flushed is on every copy, what wasn't may be."""

import random

import pytest

from tests.image.power import DISCARD, FLUSH, Replay, WriteLog
from tests.lab.namespaces import sh

SIZE = 1 << 20


@pytest.fixture
def log(tmp_path):
    """QEMU's own log of: 4 KiB of 1 at 0, flush, 4 KiB of 2 at 0 and of 3 at 8192, zeros, a discard, flush."""
    (tmp_path / "disk").write_bytes(b"\xff" * SIZE)
    (tmp_path / "log").touch()
    options = f"driver=blklogwrites,file.driver=file,file.filename={tmp_path}/disk,log.driver=file,log.filename={tmp_path}/log"
    words = ["write -P 1 0 4k", "flush", "write -P 2 0 4k", "write -P 3 8k 4k", "write -z 16k 4k", "discard 32k 4k", "flush"]
    sh("qemu-io", "--image-opts", options, *(part for word in words for part in ("-c", word)))
    (tmp_path / "begin").write_bytes(b"\xff" * SIZE)
    return WriteLog(tmp_path / "log")


def cut(log, tmp_path, index, seed):
    with Replay(tmp_path / "begin", log, tmp_path / "stable") as replay:
        replay.cut(index, random.Random(seed), tmp_path / "cut")
    return (tmp_path / "cut").read_bytes()


def test_entries(log):
    kinds = [(entry.begin, entry.length, entry.flags & (FLUSH | DISCARD)) for entry in log.entries]
    assert kinds[:4] == [(0, 4096, 0), (0, 0, FLUSH), (0, 4096, 0), (8192, 4096, 0)]
    assert (16384, 4096, 0) in kinds and (32768, 4096, DISCARD) in kinds and kinds[-1] == (0, 0, FLUSH)


def test_before_the_first_flush(log, tmp_path):
    """A write may be there, not there, or there in part, by sectors."""
    seen = {cut(log, tmp_path, 1, seed)[:4096] for seed in range(40)}
    assert {b"\xff" * 4096, b"\x01" * 4096} < seen
    assert all(set(data[i : i + 512]) in ({1}, {255}) for data in seen for i in range(0, 4096, 512))


def test_what_was_flushed_stays(log, tmp_path):
    for seed in range(40):
        data = cut(log, tmp_path, 4, seed)
        assert set(data[:4096]) <= {1, 2} and set(data[8192:12288]) <= {3, 255}
        assert data[4096:8192] == b"\xff" * 4096


def test_the_whole_log(log, tmp_path):
    """After the last flush nothing is by chance."""
    data = cut(log, tmp_path, len(log.entries), 1)
    assert data[:4096] == b"\x02" * 4096 and data[8192:12288] == b"\x03" * 4096
    assert data[16384:20480] == bytes(4096) and len(data) == SIZE


def test_a_log_that_was_cut(log, tmp_path):
    """QEMU was killed in the middle of an entry: what is whole counts."""
    whole = (tmp_path / "log").read_bytes()
    (tmp_path / "short").write_bytes(whole[: log.entries[2].place + 1024])
    assert len(WriteLog(tmp_path / "short").entries) == 2
