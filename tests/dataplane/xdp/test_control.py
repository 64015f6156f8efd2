# SPDX-License-Identifier: Apache-2.0
"""The channel to the control plane, explain, and what is said when something is missing."""

import os
import socket

from tests.dataplane.plane_rig import VIP4
from tests.lab.wait import wait_until


def frame(destination):
    """An Ethernet frame with a UDP packet to port 80 of `destination`, checksums right."""
    from scapy.all import IP, UDP, Ether, raw

    return raw(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / IP(src="10.0.0.2", dst=destination) / UDP(
        sport=4000, dport=80) / b"x")  # fmt: skip


def test_culvertd_may_be_absent_and_come_later(rig):
    rig.start_xdp()
    wait_until(rig.status, "the status socket")
    assert rig.status()["connected"] is False
    assert "waiting for it" in rig.xdp.log()
    rig.start_control()
    rig.control.wait("hello")
    rig.control.commit("config", "interface 0 eth0 0")
    rig.control.wait_interface("eth0", attached=True)


def test_culvertd_dies_and_comes_back(rig):
    rig.serve(f"address {VIP4} 1")
    rig.control.stop()
    wait_until(lambda: rig.status()["connected"] is False, "the loss to be seen")
    assert "traffic goes on by the last tables" in rig.xdp.log()
    assert rig.peer.run("ping", "-c", "1", "-W", "1", VIP4).returncode == 0
    rig.start_control()
    rig.control.wait("hello")
    rig.control.commit("config", "interface 0 eth0 0")  # no address any more
    wait_until(lambda: rig.peer.run("ping", "-c", "1", "-W", "1", VIP4, check=False).returncode, "the new tables")


def test_stale_sockets(rig):
    for name in ("channel.sock", "xdp.sock"):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(os.path.join(rig.run_dir, name))
    rig.start_xdp()
    wait_until(rig.status, "the status socket")
    assert "Connection refused" in rig.xdp.log()
    rig.start_control()
    rig.control.wait("hello")


def test_peer_that_breaks_the_protocol_is_cut_off(rig):
    path = os.path.join(rig.run_dir, "channel.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        rig.start_xdp()
        for _ in range(2):  # and asked again
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                connection.sendall(b"\xff" * 64)
                while connection.recv(65536):
                    pass
    assert "the peer broke the protocol" in rig.xdp.log()
    assert rig.xdp.alive()


def test_explain_runs_on_the_live_tables(rig):
    rig.serve(
        f"address {VIP4} 1", "backend 1 10.0.0.2", "pool 1 1", f"vip {VIP4} 17 80 1 1 0",
        "address 192.0.2.11 1",
    )  # fmt: skip
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 1, "the next hop")
    answer = rig.control.ask("explained", f"explain {frame(VIP4).hex()}")["answer"]
    assert (answer["verdict"], answer["reason"]) == ("forward", "lb-ipip"), answer
    assert answer["steps"]
    out = bytes.fromhex(answer["frame"])
    assert out[:6].hex(":") == rig.peer.mac("eth0")
    assert out[23] == 4  # IP in IP
    answer = rig.control.ask("explained", f"explain {frame('192.0.2.11').hex()}")["answer"]
    assert (answer["verdict"], answer["reason"]) == ("drop", "drop-no-service")
    assert "frame" not in answer
    assert "error" in rig.control.ask("explained", "explain 00")["answer"]


def test_no_root(rig):
    done = rig.appliance.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                             rig.program, *rig.directories(), check=False)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "culvert-xdp: error: root is needed (or CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON)\n"


def test_no_bpf_file_system(rig):
    done = rig.appliance.run(rig.program, "--run-dir", rig.run_dir, "--pin-dir", f"{rig.directory}/pins", check=False)
    assert done.returncode == 1
    assert "is not on a BPF file system" in done.stderr
    assert done.stderr.count("\n") == 1


def test_pin_dir_of_another_instance(rig):
    rig.serve()
    other = os.path.join(rig.directory, "other")
    done = rig.appliance.run(rig.program, "--run-dir", other, "--pin-dir", rig.pin_dir, check=False)
    assert done.returncode == 1
    assert f"{rig.pin_dir} is held by another process" in done.stderr
    done = rig.appliance.run(rig.program, "--run-dir", rig.run_dir, "--pin-dir", f"{rig.pin_dir}x", check=False)
    assert not os.path.exists(f"{rig.pin_dir}x")
    assert done.returncode == 1
    assert "another culvert-xdp (with another --pin-dir) answers" in done.stderr
    assert rig.xdp.alive()


def test_command_line(rig):
    assert rig.run_xdp("--version").stdout.startswith("culvert-xdp ")
    assert "--detach" in rig.run_xdp("--help").stdout
    for wrong in (["--memory", "5G"], ["--memory", "1"], ["--pin-dir", "x"], ["--log-level", "loud"], ["extra"]):
        done = rig.run_xdp(*wrong)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and wrong[-1] in done.stderr
    assert rig.run_xdp("--status").returncode == 1
