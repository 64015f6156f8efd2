# SPDX-License-Identifier: Apache-2.0
"""culvert-xdp between two namespaces, with a small control plane (peer.c) that tests command."""

import os
import re

from tests.dataplane.plane_rig import VIP4, PlaneRig
from tests.lab.namespaces import sh

KIND_INTERFACE, KIND_BACKEND = 1, 4
AUTO, NATIVE, GENERIC = 0, 1, 2


class Rig(PlaneRig):
    """On the appliance eth0 10.0.0.1, on the peer eth0 10.0.0.2."""

    PROGRAM = ("dataplane", "xdp", "culvert-xdp")

    def _wire(self):
        self.pin_dir = f"/sys/fs/bpf/{self.run_id}"
        self.passing = f"/sys/fs/bpf/{self.run_id}-pass"
        super()._wire()

    def plug(self):
        """The cable with its addresses. The far end's own program lets it take XDP_TX frames."""
        self.cable(self.appliance, "eth0", self.peer, "eth0")
        self.attach_passing(self.peer)
        self.address_end(self.appliance, "eth0", 1)
        self.address_end(self.peer, "eth0", 2)

    def unplug(self):
        self.appliance.ip("link", "del", "eth0")

    def attach_passing(self, namespace):
        """Puts the program that passes everything (pass.bpf.c) on a namespace's eth0."""
        if not os.path.exists(self.passing):
            source = self.binary("tests", "dataplane", "xdp", "pass.bpf.o")
            sh("bpftool", "prog", "load", source, self.passing, "type", "xdp")
        namespace.run("bpftool", "net", "attach", "xdpdrv", "pinned", self.passing, "dev", "eth0")

    def directories(self):
        return [*super().directories(), "--pin-dir", self.pin_dir]

    def start_xdp(self, *options):
        return self.start_plane("--memory", "256M", *options)

    @property
    def xdp(self):
        return self.plane

    def run_xdp(self, *options):
        return self.run_plane(*options)

    def serve(self, *lines, mode=AUTO):
        """Both processes, and a site with eth0 and whatever else; waits until eth0 is attached."""
        self.start_control()
        self.start_xdp()
        self.control.wait("hello")
        self.control.commit("config", f"interface 0 eth0 {mode}", *lines)
        self.control.wait_interface("eth0", attached=True)

    def attached(self, name="eth0"):
        """The id of the XDP program on an interface of the appliance, or None."""
        found = re.search(r"prog/xdp id (\d+)", self.appliance.ip("-d", "link", "show", name).stdout)
        return int(found.group(1)) if found else None

    def close(self):
        for process in self.processes:
            process.stop()
        if os.path.isdir(self.pin_dir):
            self.run_xdp("--detach")
        if os.path.exists(self.passing):
            os.unlink(self.passing)
        super().close()


class Pings:
    """Echo requests at a steady rate in the background; only the fast path answers a virtual IP."""

    def __init__(self, rig, address=VIP4, interval="0.001"):
        self.process = rig.peer.start("ping", "ping", "-q", "-i", interval, address)

    def stop(self):
        """Ends it and returns (sent, received)."""
        self.process.popen.send_signal(2)
        self.process.popen.wait(10)
        log = self.process.log()
        found = re.search(r"(\d+) packets transmitted, (\d+) received", log)
        assert found, log
        return int(found.group(1)), int(found.group(2))
