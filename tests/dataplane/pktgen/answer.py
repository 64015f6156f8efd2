# SPDX-License-Identifier: Apache-2.0
"""Answers on the far end: DNS with the code that the name's first letter asks for, UDP echo, TCP."""

import selectors
import socket

CODES = {ord("n"): 0, ord("s"): 2, ord("x"): 3, ord("r"): 5, ord("t"): 0}


def answer(query):
    flags = 0x8400 | CODES[query[13]] | (0x0200 if query[13] == ord("t") else 0)
    return query[:2] + flags.to_bytes(2, "big") + query[4:]


def main():
    selector = selectors.DefaultSelector()
    for port, reply in ((53, answer), (7, bytes)):
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind(("::", port))
        selector.register(server, selectors.EVENT_READ, reply)
    listener = socket.create_server(("::", 80), family=socket.AF_INET6, backlog=4096, dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            data, sender = key.fileobj.recvfrom(4096)
            key.fileobj.sendto(key.data(data), sender)
    listener.close()


main()
