# SPDX-License-Identifier: Apache-2.0
"""culvert-pktgen as the other end of a port: gateway, client and backend at once, over shared memory."""

import json
import os
import signal

from tests.dataplane.dpdk.rig import VIP4
from tests.lab.wait import wait_until


def test_load_over_memif(rig):
    socket = os.path.join(rig.directory, "m")
    program = os.path.join(rig.build, "dataplane", "pktgen", "culvert-pktgen")
    rig.serve(f"address {VIP4} 1", "backend 1 10.0.0.2", "pool 1 1", f"vip {VIP4} 6 80 1 1 0",
              device=f"net_memif0,role=server,socket={socket},socket-abstract=no")  # fmt: skip
    load = (
        program, "--device", f"net_memif0,role=client,socket={socket},socket-abstract=no", "--no-huge", "--main-core", "1",
        "--cores", "0", "--address", "10.0.0.2", "--via", "10.0.0.1", "--profile", "syn", "--to", f"{VIP4}:80",
        "--sources", "198.18.0.0/24", "--rate", "2k",
    )  # fmt: skip
    generator = rig.peer.start("pktgen", *load)
    wait_until(lambda: "encapsulated" in generator.log(), f"a packet for the backend: {generator.log()}")
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 1, "the next hop, which the generator answers for")
    generator.popen.send_signal(signal.SIGINT)
    assert generator.popen.wait(20) == 0
    assert "encapsulated to 10.0.0.2: " in generator.log()
    report = json.loads(rig.peer.run(*load, "--count", "500", "-o", "json").stdout)
    assert report["sent"] == report["received"] == 500
    assert report["replies"]["encapsulated"] == {"10.0.0.2": {"packets": 500, "bytes": 500 * 60}}
    assert report["rtt_us"]["samples"] == 500
