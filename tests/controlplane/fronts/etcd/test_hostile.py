# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, silent, too many, or talk nonsense: cut, and the next one is served."""

import pytest

from tests.controlplane.fronts.etcd import rig

# Prints what came until the server closed the connection, in hexadecimal digits.
TALK = """
import socket, sys
peer = socket.create_connection(("127.0.0.1", 2379), timeout=15)
peer.sendall(bytes.fromhex(sys.argv[1]))
got = b""
try:
    while piece := peer.recv(65536):
        got += piece
except ConnectionResetError:
    pass
print(got.hex())
"""


@pytest.fixture
def hasty(asan):
    with rig.lab() as lab:
        server = rig.front(lab, asan, options=["--hasty"])
        yield server
        assert server.text("put", "after", "all") == "OK\n"
        rig.stop(server)


def talk(server, data):
    return bytes.fromhex(server.python(TALK, data.hex()).strip())


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name, value):
    """A header field, neither indexed nor compressed (RFC 7541 section 6.2.2)."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
WATCH = b"".join(
    field(name, value)
    for name, value in [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/etcdserverpb.Watch/Watch"),
        (b":authority", b"a"), (b"content-type", b"application/grpc"),
    ]
)  # fmt: skip


def test_silence(hasty):
    assert talk(hasty, b"") == b""


def test_beginning_without_end(hasty):
    assert talk(hasty, b"PRI * HTTP/2.0\r\n") == b""
    assert talk(hasty, b"POST /v3/kv/range HTTP/1.1\r\nContent-Length: 100\r\n\r\n{") == b""


def test_nonsense(hasty):
    assert talk(hasty, b"\x16\x03\x01\x02\x00\x01 a TLS client").startswith(b"HTTP/1.1 400")
    answer = talk(hasty, PREFACE + frame(0, 0, 0, b"data on no stream"))
    assert frame(7, 0, 0, b"")[3:4] in answer  # GOAWAY


def test_idle(hasty):
    """GOAWAY, then the end."""
    assert frame(7, 0, 0, b"")[3:] in talk(hasty, PREFACE)


def test_dead_under_a_watch(hasty):
    """Who has a watch is asked for a sign of life, and cut without one."""
    request = bytes([0, 0, 0, 0, 5]) + bytes([0x0A, 3, 0x0A, 1, 0x61])
    answer = talk(hasty, PREFACE + frame(1, 4, 1, WATCH) + frame(0, 0, 1, request))
    assert (b"\x00\x00\x08\x06\x00\x00\x00\x00\x00") in answer  # PING


def test_too_many_connections(hasty):
    hasty.python("""
import socket
peers = [socket.create_connection(("127.0.0.1", 2379), timeout=15) for _ in range(3)]
last = socket.create_connection(("127.0.0.1", 2379), timeout=0.9)
assert last.recv(1) == b""  # before the others' time is up
""")  # fmt: skip
