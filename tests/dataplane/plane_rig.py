# SPDX-License-Identifier: Apache-2.0
"""A data plane in one namespace and a peer in another, with a small control plane that tests command."""

import json
import os

from tests.dataplane.control import Control
from tests.lab.namespaces import Lab

VIP4, VIP6 = "192.0.2.10", "2001:db8:2::10"
DNS4, DNS6 = "192.0.2.53", "2001:db8:2::53"


class PlaneRig(Lab):
    """`appliance` 10.0.0.1 and `peer` 10.0.0.2, which routes the service addresses there; nothing runs yet.

    A data plane's own rig says its `PROGRAM`, and makes the cable and the addresses on it in `plug`.
    """

    PROGRAM = ()  # in the build's folder

    def __init__(self, build):
        super().__init__()
        self.build = build
        self.run_dir = os.path.join(self.directory, "run")
        self.control = None
        self.plane = None
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
        raise NotImplementedError

    @staticmethod
    def address_end(namespace, interface, host):
        namespace.ip("addr", "add", f"10.0.0.{host}/24", "dev", interface)
        namespace.ip("addr", "add", f"2001:db8:10::{host}/64", "dev", interface, "nodad")

    def binary(self, *parts):
        return os.path.join(self.build, *parts)

    @property
    def program(self):
        return self.binary(*self.PROGRAM)

    def directories(self):
        return ["--run-dir", self.run_dir]

    def start_control(self):
        self.control = Control(
            self.binary("tests", "dataplane", "xdp", "xdp-peer"), os.path.join(self.run_dir, "channel.sock")
        )
        return self.control

    def start_plane(self, *options):
        self.started += 1
        self.plane = self.appliance.start(f"plane{self.started}", self.program, *self.directories(), *options)
        return self.plane

    def run_plane(self, *options):
        """A call that ends by itself; its status is the caller's to check."""
        return self.appliance.run(self.program, *self.directories(), *options, check=False, timeout=60)

    def status(self):
        done = self.run_plane("--status")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def close(self):
        if self.control:
            self.control.stop()
        super().close()
