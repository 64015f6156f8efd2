# SPDX-License-Identifier: Apache-2.0
"""culvert-dpdk between two namespaces: AF_XDP on a veth device as its NIC, a TAP as the kernel's side."""

import json
import os

from tests.dataplane.plane_rig import PlaneRig

NIC = "net_af_xdp0,iface=nic0"


class Rig(PlaneRig):
    """On the appliance wan0 (a TAP; the NIC is nic0) 10.0.0.1, on the peer eth0 10.0.0.2."""

    PROGRAM = ("dataplane", "dpdk", "culvert-dpdk")

    def _wire(self):
        self.say_settings()
        super()._wire()

    def plug(self):
        self.cable(self.appliance, "nic0", self.peer, "eth0")
        # The kernel must not answer on the NIC itself: it speaks through the TAP.
        self.appliance.sysctl(net__ipv6__conf__nic0__disable_ipv6=1)
        self.address_end(self.peer, "eth0", 2)

    def say_settings(self, **settings):
        """What culvertd would leave of the site's section `dpdk`."""
        path = os.path.join(self.run_dir, "dpdk.json")
        with open(f"{path}.tmp", "w", encoding="ascii") as file:
            json.dump({key.replace("_", "-"): value for key, value in settings.items()}, file)
        os.rename(f"{path}.tmp", path)

    def start_dpdk(self, *options):
        return self.start_plane("--memory", "256M", "--no-huge", "--mbufs", "16383", *options)

    @property
    def dpdk(self):
        return self.plane

    def run_dpdk(self, *options):
        return self.run_plane(*options)

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
        self.address_end(self.appliance, "wan0", 1)
