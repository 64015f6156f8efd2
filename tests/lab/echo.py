# SPDX-License-Identifier: Apache-2.0
"""A backend that says who it is: HTTP on port 80 and 8080, UDP echo on port 9000.

    python3 -m tests.lab.echo NAME

HTTP: `GET /` answers `NAME`, the client's address and the address it asked, as JSON;
`GET /bytes/N` answers N bytes; `GET /slow/N` sends N bytes in a hundred pieces as the client
reads them, so that a flow lives long.
"""

import json
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        kind, _, size = self.path.strip("/").partition("/")
        if kind in ("bytes", "slow") and size.isdigit():
            self._headers(int(size), "application/octet-stream")
            left = int(size)
            while left:
                piece = min(left, 16384)
                self.wfile.write(b"x" * piece)
                left -= piece
            return
        text = json.dumps(
            {
                "backend": self.server.backend,
                "client": self.client_address[0].removeprefix("::ffff:"),
                "asked": self.connection.getsockname()[0].removeprefix("::ffff:"),
            }
        ).encode() + b"\n"
        self._headers(len(text), "application/json")
        self.wfile.write(text)

    def _headers(self, length, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("X-Backend", self.server.backend)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 1024
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's: it asks the resolver for the host's name, and there is none in the lab.
        socketserver.TCPServer.server_bind(self)


def serve_udp(name, port):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # The answer must leave from the address that was asked, so each is noted.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.bind(("::", port))
        while True:
            data, ancillary, _, peer = sock.recvmsg(65535, 256)
            info = [part for part in ancillary if part[1] == socket.IPV6_PKTINFO]
            sock.sendmsg([name.encode() + b" " + data], info, 0, peer)


def main():
    name = sys.argv[1]
    for port in (80, 8080):
        server = Server(("::", port), Handler)
        server.backend = name
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    serve_udp(name, 9000)


if __name__ == "__main__":
    main()
