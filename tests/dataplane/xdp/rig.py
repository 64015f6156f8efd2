# SPDX-License-Identifier: Apache-2.0
"""culvert-xdp between two namespaces, with a small control plane (peer.c) that tests command."""

import json
import os
import re

from tests.dataplane.control import Control
from tests.lab.namespaces import Lab, sh

VIP4, VIP6 = "192.0.2.10", "2001:db8:2::10"
DNS4, DNS6 = "192.0.2.53", "2001:db8:2::53"
KIND_INTERFACE, KIND_BACKEND = 1, 4
AUTO, NATIVE, GENERIC = 0, 1, 2


class Rig(Lab):
    """`appliance` eth0 10.0.0.1 and `peer` eth0 10.0.0.2, which routes the service addresses here."""

    def __init__(self, build):
        super().__init__()
        self.build = build
        self.run_dir = os.path.join(self.directory, "run")
        self.pin_dir = f"/sys/fs/bpf/{self.run_id}"
        self.passing = f"/sys/fs/bpf/{self.run_id}-pass"
        self.control = None
        self.xdp = None
        self.started = 0
        os.makedirs(self.run_dir)
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
        self.plug()
        self.peer.ip("route", "add", "192.0.2.0/24", "via", "10.0.0.1")
        self.peer.ip("-6", "route", "add", "2001:db8:2::/64", "via", "2001:db8:10::1")

    def plug(self):
        """The cable with its addresses. The far end's own program lets it take XDP_TX frames."""
        self.cable(self.appliance, "eth0", self.peer, "eth0")
        self.attach_passing(self.peer)
        self.appliance.ip("addr", "add", "10.0.0.1/24", "dev", "eth0")
        self.appliance.ip("addr", "add", "2001:db8:10::1/64", "dev", "eth0", "nodad")
        self.peer.ip("addr", "add", "10.0.0.2/24", "dev", "eth0")
        self.peer.ip("addr", "add", "2001:db8:10::2/64", "dev", "eth0", "nodad")
    def unplug(self):
        self.appliance.ip("link", "del", "eth0")

    def binary(self, *parts):
        return os.path.join(self.build, *parts)

    @property
    def program(self):
        return self.binary("dataplane", "xdp", "culvert-xdp")

    def attach_passing(self, namespace):
        """Puts the program that passes everything (pass.bpf.c) on a namespace's eth0."""
        if not os.path.exists(self.passing):
            source = self.binary("tests", "dataplane", "xdp", "pass.bpf.o")
            sh("bpftool", "prog", "load", source, self.passing, "type", "xdp")
        namespace.run("bpftool", "net", "attach", "xdpdrv", "pinned", self.passing, "dev", "eth0")

    def directories(self):
        return ["--run-dir", self.run_dir, "--pin-dir", self.pin_dir]

    def start_control(self):
        self.control = Control(
            self.binary("tests", "dataplane", "xdp", "xdp-peer"), os.path.join(self.run_dir, "channel.sock")
        )
        return self.control

    def start_xdp(self, *options):
        self.started += 1
        self.xdp = self.appliance.start(
            f"xdp{self.started}", self.program, *self.directories(), "--memory", "256M", *options
        )
        return self.xdp

    def run_xdp(self, *options):
        """A call that ends by itself; its status is the caller's to check."""
        return self.appliance.run(self.program, *self.directories(), *options, check=False)

    def serve(self, *lines, mode=AUTO):
        """Both processes, and a site with eth0 and whatever else; waits until eth0 is attached."""
        self.start_control()
        self.start_xdp()
        self.control.wait("hello")
        self.control.commit("config", f"interface 0 eth0 {mode}", *lines)
        self.control.wait_interface("eth0", attached=True)

    def status(self):
        done = self.run_xdp("--status")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def attached(self, name="eth0"):
        """The id of the XDP program on an interface of the appliance, or None."""
        found = re.search(r"prog/xdp id (\d+)", self.appliance.ip("-d", "link", "show", name).stdout)
        return int(found.group(1)) if found else None

    def close(self):
        if self.control:
            self.control.stop()
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
