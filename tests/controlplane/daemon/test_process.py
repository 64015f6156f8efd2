# SPDX-License-Identifier: Apache-2.0
"""culvertd as a process: starts, refusals, full disks, kill -9, hostile bytes."""

import contextlib
import ctypes
import hashlib
import os
import random
import shutil
import socket
import stat
import subprocess
import threading

import pytest

from tests.controlplane.daemon.conftest import SITE, ZONE
from tests.lab.wait import wait_until

FIRST_RECORD, RECORD_HEAD = 4096, 40  # of a log's segment (controlplane/core/wal_format.h)


def test_no_server(idle):
    done = idle.culvert("status")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"culvertd is not running (no {idle.path}): start it with" in done.stderr


def test_socket_modes_and_clean_end(daemon):
    for name in ("api.sock", "channel.sock"):
        assert stat.S_IMODE(os.stat(os.path.join(daemon.run_dir, name)).st_mode) == 0o660
    daemon.stop()
    assert os.listdir(daemon.run_dir) == ["dpdk.json"]  # what culvert-dpdk starts by, also without culvertd


def test_alarms_of_the_system(daemon):
    """Each line of a whole file in the folder, by the files' names; also of files that come and go."""
    before = daemon.json("status")["alarms"]
    os.makedirs(daemon.alarms_dir)
    texts = {"b": "second\n\nthird\n", "a": 'first "\x1b\n', ".hidden": "x", "b.tmp": "x", "large": "x" * 5000}
    for name, text in texts.items():
        with open(os.path.join(daemon.alarms_dir, name), "w", encoding="utf-8") as file:
            file.write(text)
    os.mkdir(os.path.join(daemon.alarms_dir, "folder"))
    assert daemon.json("status")["alarms"] == [*before, 'first "\x1b', "second", "third"]
    for name in texts:
        os.unlink(os.path.join(daemon.alarms_dir, name))
    assert daemon.json("status")["alarms"] == before


def test_second_instance_is_told_so(daemon):
    assert "is in use by another culvertd" in daemon.refused()
    assert daemon.culvert("status").returncode == 0


def test_stale_sockets_are_replaced(idle):
    os.makedirs(idle.run_dir)
    for name in ("api.sock", "channel.sock"):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(os.path.join(idle.run_dir, name))
    refused = idle.culvert("status")
    assert "nobody listens" in refused.stderr
    other = idle.culvert("--socket", idle.folder, "status")
    assert other.returncode == 1 and f"{idle.folder} is not a socket: name that of culvertd" in other.stderr
    idle.start()


def test_socket_in_use_or_no_socket(idle):
    os.makedirs(idle.run_dir)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(idle.path)
        other.listen()
        assert "api.sock: somebody listens there already" in idle.refused()
    os.unlink(idle.path)
    with open(idle.path, "w"):
        pass
    assert "is in the way and is not a socket" in idle.refused()


def test_command_line(idle):
    done = subprocess.run([idle.program, "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("culvertd ")
    for words in (["--log-level", "loud"], ["--nonsense"], ["word"]):
        assert subprocess.run([idle.program, *words], capture_output=True).returncode == 2


def test_no_permission(idle):
    if os.getuid() != 0:
        pytest.skip("needs root to become somebody else")
    os.makedirs(idle.state_dir, 0o700)
    os.makedirs(idle.run_dir, 0o700)
    line = idle.refused(preexec_fn=lambda: os.setuid(65534))
    assert idle.state_dir in line or idle.run_dir in line


@pytest.fixture
def small_disk(idle):
    """A culvertd whose state is on a file system of its own, and a way to fill that one up."""
    if os.getuid() != 0:
        pytest.skip("needs root for a small file system")
    os.makedirs(idle.state_dir)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", idle.state_dir.encode(), b"tmpfs", 0, b"size=192m"):
        pytest.skip("can't mount here")
    path = os.path.join(idle.state_dir, "filler")

    def fill(left):
        """Until only so many bytes are left; None: nothing, and all is free again."""
        if left is None:
            os.unlink(path)
            return
        with open(path, "ab") as filler:
            while True:
                room = os.statvfs(idle.state_dir)
                more = room.f_bavail * room.f_frsize - left
                if more <= 0:
                    return
                with contextlib.suppress(OSError):  # others write, too
                    os.posix_fallocate(filler.fileno(), os.path.getsize(path), more)

    idle.fill = fill
    try:
        yield idle.start()
        idle.stop()
    finally:
        if idle.process:
            idle.kill()
        assert libc.umount2(idle.state_dir.encode(), 0) == 0


def test_full_disk_changes_nothing(small_disk):
    daemon = small_disk
    daemon.json("apply", daemon.site)
    daemon.fill(1 << 20)
    daemon.write(SITE.replace("weight: 50", "weight: 70"), ZONE + "; changed\n")
    full = daemon.culvert("apply", daemon.site)
    assert full.returncode == 1 and "no space" in full.stderr.lower(), full.stderr
    daemon.write(SITE.replace("weight: 50", "weight: 70"), ZONE)
    full = daemon.culvert("apply", daemon.site)
    assert full.returncode == 1 and "nothing was changed" in full.stderr, full.stderr
    assert daemon.json("status")["revision"] == 1
    assert any("stored" in alarm for alarm in daemon.json("status")["alarms"])
    assert daemon.json("get", "pools.web.backends.b.weight")["value"] == 50
    daemon.fill(None)
    assert daemon.json("apply", daemon.site)["revision"] == 2


def test_disk_that_fills_up_under_way(small_disk):
    """The core finds no place for what it has taken: nothing can be stored until there is room again."""
    daemon = small_disk
    daemon.json("apply", daemon.site)
    chance = random.Random(3)
    answers = []

    def upload(data):
        digest = hashlib.sha256(data).hexdigest()
        head = f"PUT /v1/blobs/{digest} HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        answers.append(daemon.talk(head.encode() + data))

    def stored():
        return sum(
            os.path.getsize(os.path.join(folder, name))
            for folder, _, names in os.walk(os.path.join(daemon.state_dir, "db"))
            for name in names
        )

    before = stored()
    thread = threading.Thread(target=upload, args=(chance.randbytes(30 << 20),))
    thread.start()
    wait_until(lambda: stored() > before + (4 << 20), "the first of it in the store", pause=0.001)
    daemon.fill(0)
    thread.join()
    assert answers[0].startswith(b"HTTP/1.1 50"), answers
    wait_until(lambda: "nothing can be stored" in daemon.text(), "the failure")
    assert daemon.json("get", "pools.web.backends.b.weight", "--stale")["value"] == 50
    refused = daemon.culvert("get", "pools.web.backends.b.weight")
    assert refused.returncode == 1 and "--stale" in refused.stderr
    daemon.fill(None)
    daemon.write(SITE.replace("weight: 50", "weight: 70"))
    wait_until(lambda: daemon.culvert("apply", daemon.site).returncode == 0, "an apply")
    assert "the store is open again" in daemon.text()
    assert daemon.json("history")["revisions"][0]["revision"] == 2
    assert not any("stored" in alarm for alarm in daemon.json("status")["alarms"])


def damage_log(daemon):
    """Overwrites the middle of what was written of its largest file."""
    place = os.path.join(daemon.state_dir, "log")
    path = max(
        (os.path.join(place, name) for name in os.listdir(place)),
        key=lambda path: len(open(path, "rb").read().rstrip(b"\0")),
    )
    with open(path, "r+b") as file:
        used = len(file.read().rstrip(b"\0"))
        file.seek(used // 2)
        file.write(b"\xff" * 64)
    return path


def test_damaged_log_is_refused(daemon):
    for weight in range(60, 80):
        daemon.write(SITE.replace("weight: 50", f"weight: {weight}"))
        daemon.json("apply", daemon.site)
    daemon.stop()
    path = damage_log(daemon)
    line = daemon.refused()
    assert os.path.basename(path) in line and " at byte " in line, line
    assert "culvert node rebuild" in line and "backup" in line, line


def test_damaged_store_is_refused(daemon):
    daemon.json("apply", daemon.site)
    daemon.stop()
    for folder, _, names in os.walk(os.path.join(daemon.state_dir, "db")):
        for name in names:
            if name.startswith("MANIFEST"):
                with open(os.path.join(folder, name), "r+b") as file:
                    file.write(b"\xff" * 64)
    line = daemon.refused()
    assert os.path.join(daemon.state_dir, "db") in line and "backup" in line, line


def test_lost_identity_is_refused(daemon):
    daemon.json("apply", daemon.site)
    daemon.stop()
    path = os.path.join(daemon.state_dir, "identity", "node.pem")
    with open(path) as file:
        text = file.read()
    os.unlink(path)
    assert "identity/node.pem is missing" in daemon.refused()
    with open(path, "w") as file:
        file.write(text[:20])
    assert "identity/node.pem: missing, damaged" in daemon.refused()
    with open(path, "w") as file:
        file.write(text)
    daemon.start()
    assert daemon.json("status")["revision"] == 1


def test_kill_9_amid_applies_keeps_what_was_acknowledged(daemon):
    chance = random.Random(20)
    acknowledged, weight = 0, 0
    for _ in range(8):
        timer = threading.Timer(chance.uniform(0.02, 0.3), daemon.process.kill)
        timer.start()
        while True:
            weight = weight % 900 + 1
            daemon.write(SITE.replace("weight: 50", f"weight: {weight}"))
            done = daemon.culvert("apply", daemon.site)
            if done.returncode:
                break
            acknowledged = weight
        timer.join()
        daemon.process.wait(20)
        daemon.start()
        found = daemon.json("status")["revision"] and daemon.json("get", "pools.web.backends.b.weight")["value"]
        # The one that was under way may have been stored without its answer.
        assert found in (acknowledged, weight)
        acknowledged = found


def test_hostile_bytes(daemon):
    chance = random.Random(1)
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000,
        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/apply HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/apply HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
        b"POST /v1/apply HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        *(chance.randbytes(chance.randrange(1, 4000)) + b"\r\n\r\n" for _ in range(50)),
    ):
        answer = daemon.talk(data)
        assert answer.startswith(b"HTTP/1.1 4") and b'{"errors":[' in answer, (data[:80], answer)
    assert daemon.json("status")["revision"] == 0


def post(path, body, headers=""):
    return f"POST {path} HTTP/1.1\r\nConnection: close\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "path, body, status",
    [
        ("/v1/apply", b"", 400),
        ("/v1/apply", b"{", 400),
        ("/v1/apply", b"[]", 400),
        ("/v1/apply", b"{}", 400),
        ("/v1/apply", b'{"text": 7}', 400),
        ("/v1/apply", b'{"text": "site: x", "files": ["a"]}', 400),
        ("/v1/apply", b'{"text": "site: x", "files": {"a": "00"}}', 400),
        ("/v1/apply", b'{"text": "site: x", "author": 1}', 400),
        ("/v1/apply", b'{"text": "site: x", "if_revision": "1"}', 400),
        ("/v1/apply", b'{"text": "site: x", "dry_run": 1}', 400),
        ("/v1/apply", b'{"text": "nonsense"}', 422),
        ("/v1/apply", b'{"text": ' + b"[" * 100000, 400),
        ("/v1/rollback", b'{"revision": 0}', 400),
        ("/v1/rollback", b'{"revision": 5}', 404),
        ("/v1/explain", b'{"frame": "0g"}', 400),
        ("/v1/explain", b'{"frame": "00"}', 400),
        ("/v1/nowhere", b"{}", 404),
        ("/v1/status", b"{}", 405),
    ],
)
def test_wrong_requests(daemon, path, body, status):
    answer = daemon.talk(post(path, body))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer


def test_blobs(daemon):
    data = random.Random(2).randbytes(3_000_000)
    digest = hashlib.sha256(data).hexdigest()

    def put(name, body):
        head = f"PUT /v1/blobs/{name} HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        return daemon.talk(head.encode() + body)

    def head(name):
        return daemon.talk(f"HEAD /v1/blobs/{name} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())

    assert head(digest).startswith(b"HTTP/1.1 404")
    assert put(digest, data[:-1]).startswith(b"HTTP/1.1 422")
    assert head(digest).startswith(b"HTTP/1.1 404")
    assert put(digest, data).startswith(b"HTTP/1.1 201")
    assert head(digest).startswith(b"HTTP/1.1 200")
    assert put("nonsense", b"x").startswith(b"HTTP/1.1 404")
    empty = hashlib.sha256(b"").hexdigest()
    assert put(empty, b"").startswith(b"HTTP/1.1 201")


def test_body_of_100_mib(daemon):
    body = b"x" * (100 << 20)
    answer = daemon.talk(post("/v1/apply", body))
    assert answer.startswith(b"HTTP/1.1 413")
    with open(f"/proc/{daemon.process.pid}/status") as status:
        (peak,) = (int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 200_000  # KiB: it was not held


def test_slow_client_holds_up_nobody(daemon):
    with daemon.connect() as slow:
        slow.sendall(b"POST /v1/apply HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert daemon.json("apply", daemon.site)["revision"] == 1


def test_ordinary_user(idle):
    if os.getuid() != 0:
        pytest.skip("needs root to become somebody else")
    folder = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip()
    os.chown(folder, 65534, 65534)
    idle.run_dir, idle.state_dir = os.path.join(folder, "run"), os.path.join(folder, "state")
    idle.path = os.path.join(idle.run_dir, "api.sock")
    plain = idle.command
    idle.command = lambda: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *plain()]
    try:
        idle.start()
        assert idle.json("apply", idle.site)["revision"] == 1
        idle.stop()
    finally:
        subprocess.run(["rm", "-r", folder], check=True)


# A disk that takes its time: the log is not synced while the file named by GATE is there.
SLOW_DISK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fdatasync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    char link[64], path[4096] = "";

    snprintf(link, sizeof(link), "/proc/self/fd/%d", descriptor);
    readlink(link, path, sizeof(path) - 1);
    while (strstr(path, "/log/wal-") && access(getenv("GATE"), F_OK) == 0)
        poll(NULL, 0, 10);
    return real(descriptor);
}
"""


def test_founding_that_was_lost(idle, tmp_path):
    """A power cut before the first sync of the log: the site is founded at the next start."""
    gate, source, library = (str(tmp_path / name) for name in ("gate", "slow.c", "slow.so"))
    for path, text in ((gate, ""), (source, SLOW_DISK)):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    # With an address of its own it has something to note of itself.
    command = [*idle.command(), "--listen", "127.0.0.1:7480"]
    alone = 'ip link set lo up && exec "$@"'
    idle.command = lambda: ["unshare", "--net", "sh", "-c", alone, "sh", *command]
    idle.start(LD_PRELOAD=library, GATE=gate)
    done = idle.culvert("apply", idle.site)  # gives up after a while
    assert done.returncode != 0 and "the outcome is not known" in done.stderr, done.stderr
    idle.kill()
    for name in ("log", "db"):
        shutil.rmtree(os.path.join(idle.state_dir, name))
    idle.start()
    wait_until(lambda: idle.culvert("apply", idle.site).returncode == 0, "a leader")


def test_founding_that_was_torn(idle):
    """A power cut may leave the first record of a new log and not the second: it begins again, and leads."""
    idle.start()
    idle.kill()
    shutil.rmtree(os.path.join(idle.state_dir, "db"))
    log = os.path.join(idle.state_dir, "log")
    first, *others = sorted(name for name in os.listdir(log) if name.startswith("wal-"))
    for name in others:
        os.unlink(os.path.join(log, name))
    path = os.path.join(log, first)
    size = os.stat(path).st_size
    os.truncate(path, FIRST_RECORD + RECORD_HEAD)  # the first one has no body
    os.truncate(path, size)
    idle.start()
    wait_until(lambda: idle.culvert("apply", idle.site).returncode == 0, "a leader")
