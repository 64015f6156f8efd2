# SPDX-License-Identifier: Apache-2.0
"""Two namespaces and a cable: the generator on the near end, something that answers on the far one."""

import json
import os
import re
import shutil

from tests.lab.namespaces import Lab, sh
from tests.lab.wait import wait_until

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

NEAR4, NEAR6 = "198.18.0.10", "2001:db8:18::10"
FAR4, FAR6 = "198.18.0.1", "2001:db8:18::1"


# How the generator gets at the near end's eth0: by XDP, or as a DPDK device over AF_XDP, for which it is its
# own ARP and ND. Cores that poll are few here: the one that answers needs the other.
BACKENDS = {
    "xdp": ("--interface", "eth0"),
    "dpdk": ("--device", "net_af_xdp0,iface=eth0", "--no-huge", "--mbufs", "8191", "--address", f"{NEAR4},{NEAR6}"),
}


class Rig(Lab):
    """`near` and `far`, both on 198.18.0.0/24 and 2001:db8:18::/64 by their eth0."""

    def __init__(self, build, backend="xdp"):
        super().__init__()
        self.build = build
        self.backend = backend
        try:
            self.near = self.namespace("near")
            self.far = self.namespace("far")
            for namespace in (self.near, self.far):
                # No duplicate address detection: addresses work at once.
                namespace.sysctl(net__ipv6__conf__all__accept_dad=0, net__ipv6__conf__default__accept_dad=0)
            self.cable(self.near, "eth0", self.far, "eth0")
            for namespace, address4, address6 in ((self.near, NEAR4, NEAR6), (self.far, FAR4, FAR6)):
                # GRO turned on while both ends are up: what lets XDP send to that end.
                namespace.run("ethtool", "-K", "eth0", "gro", "off")
                namespace.run("ethtool", "-K", "eth0", "gro", "on")
                namespace.ip("addr", "add", f"{address4}/24", "dev", "eth0")
                namespace.ip("addr", "add", f"{address6}/64", "dev", "eth0", "nodad")
        except BaseException:
            self.close()
            raise

    def binary(self, *parts):
        return os.path.join(self.build, *parts)

    def put_program(self, namespace, name):
        """Puts a program of peer.bpf.c on an end."""
        pins = f"/sys/fs/bpf/{self.run_id}"
        sh("bpftool", "prog", "loadall", self.binary("tests", "dataplane", "pktgen", "peer.bpf.o"), pins)
        try:
            namespace.run("bpftool", "net", "attach", "xdpdrv", "pinned", f"{pins}/{name}", "dev", "eth0")
        finally:
            shutil.rmtree(pins)

    def far_program(self, name):
        self.put_program(self.far, name)

    def far_python(self, name, *words):
        """Starts a server of this folder on the far end, and waits for it."""
        module = f"tests.dataplane.pktgen.{name}"
        process = self.far.start(name, "python3", "-m", module, *words, cwd=REPO)
        wait_until(lambda: "ready" in process.log(), f"{name}: {process.log()}")
        return process

    @property
    def program(self):
        return self.binary("dataplane", "pktgen", "culvert-pktgen")

    def pktgen(self, *options, check=True):
        """Runs the generator to its end."""
        return self.near.run(self.program, *BACKENDS[self.backend], *options, check=check)

    def report(self, *options):
        return json.loads(self.pktgen(*options, "-o", "json").stdout)

    def start_pktgen(self, *options, namespace=None, name="pktgen"):
        return (namespace or self.near).start(name, self.program, *BACKENDS[self.backend], *options)

    def has_program(self, namespace):
        return bool(re.search(r"\bxdp", namespace.ip("link", "show", "eth0").stdout))

    def errors(self):
        """The far kernel's counts of packets with wrong checksums or headers."""
        text = self.far.run("nstat", "-az", check=False).stdout
        names = ("IpInHdrErrors", "Ip6InHdrErrors", "TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors")
        return {name: int(re.search(rf"^{name}\s+(\d+)", text, re.M).group(1)) for name in names}
