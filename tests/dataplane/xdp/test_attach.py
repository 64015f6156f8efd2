# SPDX-License-Identifier: Apache-2.0
"""Interfaces: native and generic, someone else's program, gone and back, detach."""

import os

from tests.dataplane.plane_rig import VIP4
from tests.dataplane.xdp.rig import AUTO, GENERIC, KIND_INTERFACE, NATIVE
from tests.lab.wait import wait_until


def answers(rig, address=VIP4):
    return rig.peer.run("ping", "-c", "1", "-W", "1", address, check=False).returncode == 0


def test_native_is_taken_first(rig):
    rig.serve(f"address {VIP4} 1")
    eth0 = rig.control.interface("eth0")
    assert (eth0["mode"], eth0["up"], eth0["error"], eth0["note"]) == ("native", True, None, None)
    assert rig.attached()
    assert answers(rig)
    assert rig.status()["interfaces"] == rig.control.state["interfaces"]


def test_generic_when_asked(rig):
    rig.serve(f"address {VIP4} 1", mode=GENERIC)
    assert rig.control.interface("eth0")["mode"] == "generic"
    assert answers(rig)


def test_mode_changes_at_run_time(rig):
    rig.serve()
    rig.control.commit(f"interface 0 eth0 {GENERIC}")
    rig.control.wait_interface("eth0", mode="generic")
    rig.control.commit(f"interface 0 eth0 {NATIVE}")
    rig.control.wait_interface("eth0", mode="native")


def test_falls_back_to_generic_and_says_why(rig):
    rig.peer.ip("link", "set", "eth0", "xdpdrv", "off")
    rig.peer.ip("link", "set", "eth0", "mtu", "9000")  # veth: more than a page can't be native
    rig.appliance.ip("link", "set", "eth0", "mtu", "9000")
    rig.serve(mode=AUTO)
    eth0 = rig.control.interface("eth0")
    assert eth0["mode"] == "generic"
    assert eth0["note"].startswith("no native mode: ")
    assert "MTU" in eth0["note"] or "mtu" in eth0["note"]


def test_native_only_does_not_fall_back(rig):
    rig.peer.ip("link", "set", "eth0", "xdpdrv", "off")
    rig.peer.ip("link", "set", "eth0", "mtu", "9000")
    rig.appliance.ip("link", "set", "eth0", "mtu", "9000")
    rig.start_control()
    rig.start_xdp()
    rig.control.wait("hello")
    rig.control.commit(f"interface 0 eth0 {NATIVE}")
    eth0 = rig.control.wait_interface("eth0", state="failed")
    assert eth0["error"].startswith("no native mode: ")
    assert rig.attached() is None


def test_foreign_program_is_left_alone_until_it_goes(rig):
    rig.attach_passing(rig.appliance)
    foreign = rig.attached()
    rig.start_control()
    rig.start_xdp()
    rig.control.wait("hello")
    rig.control.commit(f"interface 0 eth0 {AUTO}")
    eth0 = rig.control.wait_interface("eth0", state="foreign")
    assert f"id {foreign}, pass_all" in eth0["error"]
    assert any(error.startswith("eth0: another XDP program") for error in rig.control.state["errors"])
    assert rig.attached() == foreign
    assert answers(rig, "10.0.0.1")
    rig.appliance.ip("link", "set", "eth0", "xdpdrv", "off")
    rig.control.wait_interface("eth0", attached=True, mode="native")


def test_interface_that_comes_later(rig):
    rig.serve("interface 1 late.7 0")
    late = rig.control.wait_interface("late.7", state="absent")
    assert late["error"] == "no such interface"
    assert "late.7: no such interface" in rig.control.state["errors"]
    rig.appliance.ip("link", "add", "late.7", "type", "veth", "peer", "name", "other")
    rig.control.wait_interface("late.7", attached=True, up=False)
    rig.appliance.ip("link", "set", "other", "up")
    rig.appliance.ip("link", "set", "late.7", "up")
    rig.control.wait_interface("late.7", attached=True, up=True)
    assert sorted(os.listdir(f"{rig.pin_dir}/links")) == ["eth0", "late%2e7"]


def test_interface_that_goes_and_comes_back(rig):
    rig.serve(f"address {VIP4} 1", "backend 1 10.0.0.2")
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 1, "the next hop")
    rig.unplug()
    rig.control.wait_interface("eth0", state="absent")
    rig.control.wait_state(lambda state: state["nexthops"]["unresolved"] == ["10.0.0.2"], "its loss")
    assert os.listdir(f"{rig.pin_dir}/links") == []
    rig.plug()
    rig.peer.ip("route", "replace", "192.0.2.0/24", "via", "10.0.0.1")
    rig.control.wait_interface("eth0", attached=True, up=True)
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 1, "the next hop again")
    assert answers(rig)


def test_interface_taken_out_of_the_site_is_detached(rig):
    rig.serve()
    rig.control.commit(f"delete {KIND_INTERFACE} 0")
    wait_until(lambda: rig.attached() is None, "the program to be off")
    rig.control.wait_state(lambda state: state["interfaces"] == [], "no interfaces")
    assert os.listdir(f"{rig.pin_dir}/links") == []


def test_interface_given_to_dpdk_is_detached(rig):
    rig.serve()
    rig.control.commit(f"interface 0 eth0 {AUTO} 1")
    wait_until(lambda: rig.attached() is None, "the program to be off")
    rig.control.wait_state(lambda state: state["interfaces"] == [], "no interfaces")
    assert os.listdir(f"{rig.pin_dir}/links") == []
    rig.control.commit(f"interface 0 eth0 {AUTO} 0")
    rig.control.wait_interface("eth0", attached=True)


def test_interface_down_is_told(rig):
    rig.serve()
    rig.appliance.ip("link", "set", "eth0", "down")
    rig.control.wait_interface("eth0", up=False, error="the interface is down")
    rig.appliance.ip("link", "set", "eth0", "up")
    rig.control.wait_interface("eth0", up=True, error=None)
