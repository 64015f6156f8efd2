# SPDX-License-Identifier: Apache-2.0
"""culvert-dpdk between two namespaces: AF_XDP on a veth device as its NIC, a TAP as the kernel's side."""

import json
import os

from tests.dataplane.control import Control
from tests.lab.namespaces import Lab

VIP4, VIP6 = "192.0.2.10", "2001:db8:2::10"
DNS4 = "192.0.2.53"
NIC = "net_af_xdp0,iface=nic0"


class Rig(Lab):
    """`appliance` wan0 (a TAP; the NIC is nic0) 10.0.0.1 and `peer` eth0 10.0.0.2, which routes services here."""

    def __init__(self, build):
        super().__init__()
        self.build = build
        self.run_dir = os.path.join(self.directory, "run")
        self.control = None
        self.dpdk = None
        self.started = 0
        os.makedirs(self.run_dir)
        self.say_settings()
        try:
            self._wire()
        except BaseException:
            self.close()
            raise

    def _wire(self):
        self.appliance = self.namespace("appliance")
        self.peer = self.namespace("peer")
        for namespace in (self.appliance, self.peer):
            namespace.sysctl(net__ipv6__conf__all__accept_dad=0, net__ipv6__conf__default__accept_dad=0)
        self.cable(self.appliance, "nic0", self.peer, "eth0")
        # The kernel must not answer on the NIC itself: it speaks through the TAP.
        self.appliance.sysctl(net__ipv6__conf__nic0__disable_ipv6=1)
        self.peer.ip("addr", "add", "10.0.0.2/24", "dev", "eth0")
        self.peer.ip("addr", "add", "2001:db8:10::2/64", "dev", "eth0", "nodad")
        self.peer.ip("route", "add", "192.0.2.0/24", "via", "10.0.0.1")
        self.peer.ip("-6", "route", "add", "2001:db8:2::/64", "via", "2001:db8:10::1")

    @property
    def program(self):
        return os.path.join(self.build, "dataplane", "dpdk", "culvert-dpdk")

    def say_settings(self, **settings):
        """What culvertd would leave of the site's section `dpdk`."""
        path = os.path.join(self.run_dir, "dpdk.json")
        with open(f"{path}.tmp", "w", encoding="ascii") as file:
            json.dump({key.replace("_", "-"): value for key, value in settings.items()}, file)
        os.rename(f"{path}.tmp", path)

    def start_control(self):
        peer = os.path.join(self.build, "tests", "dataplane", "xdp", "xdp-peer")
        self.control = Control(peer, os.path.join(self.run_dir, "channel.sock"))
        return self.control

    def start_dpdk(self, *options):
        self.started += 1
        self.dpdk = self.appliance.start(
            f"dpdk{self.started}", self.program, "--run-dir", self.run_dir, "--memory", "256M", "--no-huge",
            "--mbufs", "16383", *options,
        )
        return self.dpdk

    def run_dpdk(self, *options):
        """A call that ends by itself; its status is the caller's to check."""
        return self.appliance.run(self.program, "--run-dir", self.run_dir, *options, check=False, timeout=60)

    def serve(self, *lines, device=NIC):
        """Both processes, and a site with wan0 and whatever else; waits until wan0 is attached."""
        self.start_control()
        self.start_dpdk()
        self.control.wait("hello")
        self.control.commit("config", f"dpdk 0 wan0 1 {device}", *lines)
        self.control.wait_interface("wan0", attached=True)
        self.address()

    def address(self):
        """The kernel's addresses, on the TAP."""
        self.appliance.ip("addr", "add", "10.0.0.1/24", "dev", "wan0")
        self.appliance.ip("addr", "add", "2001:db8:10::1/64", "dev", "wan0", "nodad")

    def status(self):
        done = self.run_dpdk("--status")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def close(self):
        if self.control:
            self.control.stop()
        super().close()
