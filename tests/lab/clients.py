# SPDX-License-Identifier: Apache-2.0
"""What works on a cluster while something happens to it: clients whose history is checked, and a node's impostor."""

import os
import textwrap

from tests.lab.cluster import ETCD, PORT
from tests.lab.linear import History
from tests.lab.site import REPO
from tests.lab.wait import wait_until

IMPOSTOR = textwrap.dedent("""\
    import socket, ssl, sys
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["culvert-peer/1"])
    if len(sys.argv) > 3:
        context.load_cert_chain(sys.argv[3])
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as plain, context.wrap_socket(plain) as secure:
            secure.settimeout(10)
            print("hello" if secure.recv(1000)[4:5] == b"\\x01" else "closed")
    except OSError as error:
        print("refused", error)
""")


def hello(node, pem=None):
    """What a node says to one that comes to its port as another node, by the file of a key and certificate."""
    words = [pem] if pem else []
    return node.cluster.client.run("python3", "-c", IMPOSTOR, node.address, PORT, *words, timeout=60).stdout


class Clients:
    """Clients that write and read through all nodes from now on, until `finish`."""

    def __init__(self, cluster, count=4):
        self.path = os.path.join(cluster.directory, "history")
        addresses = [f"{node.address}:{ETCD}" for node in cluster.nodes]
        self.process = cluster.client.start(
            "clients", "python3", "-m", "tests.lab.history", self.path, "3600", count, *addresses, cwd=REPO
        )
        self.work_on()

    def work_on(self):
        """Waits until more of them was answered."""
        length = self._length()
        wait_until(lambda: self._length() > length + 5000, "the clients to work on", timeout=60)

    def _length(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def finish(self):
        """Ends them. Nothing acknowledged was lost, and every read was right."""
        self.work_on()
        self.process.stop(30)
        history = History(self.path)
        problems, count = history.problems(), len(history.operations())
        assert not problems, problems
        assert count > 100, count
        return count
