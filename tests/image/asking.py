# SPDX-License-Identifier: Apache-2.0
"""A client that asks one node of a site again and again, and notes what it missed."""

import os
import socket
import threading
import time

import dns.message
import dns.rdatatype

SO_MARK = 36  # of Linux; Python's socket has no name for it
PATIENCE = 15  # seconds that a resolver or a browser waits, at least


class Asker(threading.Thread):
    """Asks a name and a virtual IP by way of one node: what carries the mark is routed there."""

    def __init__(self, namespace, mark, gateway, ask):
        """`ask(asker)` asks once and raises OSError or AssertionError when that is missed."""
        super().__init__(daemon=True)
        table = str(100 + mark)
        namespace.ip("rule", "add", "fwmark", str(mark), "lookup", table)
        namespace.ip("route", "add", "192.0.2.0/24", "via", gateway, "table", table)
        self.misses = []  # when each was given up, and why
        self.answers = 0
        self._namespace = f"/run/netns/{namespace.full_name}"
        self._mark = mark
        self._ask = ask
        self._stop = threading.Event()

    def run(self):
        with open(self._namespace) as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)  # this thread only
        while not self._stop.is_set():
            try:
                self._ask(self)
                self.answers += 1
            except (OSError, AssertionError) as error:
                self.misses.append((time.monotonic(), repr(error)))
            self._stop.wait(0.2)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self.join()

    def _socket(self, kind):
        sock = socket.socket(socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, self._mark)
        sock.settimeout(PATIENCE)
        return sock

    def resolve(self, server, name):
        """The addresses of a name, by one packet."""
        query = dns.message.make_query(name, "A")
        with self._socket(socket.SOCK_DGRAM) as sock:
            sock.sendto(query.to_wire(), (server, 53))
            answer = dns.message.from_wire(sock.recv(4096))
        assert answer.id == query.id
        return [item.address for rrset in answer.answer for item in rrset if item.rdtype == dns.rdatatype.A]

    def fetch(self, address):
        """What a server says, by a connection of its own."""
        with self._socket(socket.SOCK_STREAM) as sock:
            sock.connect((address, 80))
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def missed(self, begin, end):
        """What was given up between two times."""
        return [miss for miss in self.misses if begin <= miss[0] <= end]
