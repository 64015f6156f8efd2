# SPDX-License-Identifier: Apache-2.0
"""Take-over from a running and from a dead instance, under traffic, losing nothing."""

import os
import signal

from tests.dataplane.plane_rig import DNS4, VIP4
from tests.dataplane.xdp.rig import Pings
from tests.lab.wait import wait_until


def serve(rig):
    rig.serve(f"address {VIP4} 1", "backend 1 10.0.0.2")
    rig.control.wait_state(lambda state: state["nexthops"]["resolved"] == 1, "the next hop")


def wait_taken(rig, pid):
    """Waits until the instance `pid` runs eth0 by a program of its own."""
    wait_until(lambda: rig.status()["pid"] == pid and rig.status()["interfaces"][0]["attached"], "the take-over")


def echoes(rig):
    """How many echo requests the fast path has answered, by its counters."""
    stats = rig.control.ask("stats", "stats")["stats"]
    return sum(packets for kind, number, packets, _ in stats if (kind, number) == (0, 37))


def test_from_a_running_instance(rig):
    serve(rig)
    pings = Pings(rig)
    for _ in range(3):
        older, program = rig.xdp, rig.attached()
        newer = rig.start_xdp()
        wait_until(lambda process=older: not process.alive(), "the older one's leave")
        assert older.popen.returncode == 0, older.log()
        wait_taken(rig, newer.pid)
        assert rig.attached() != program
        assert f"took over from process {older.pid}" in newer.log()
    sent, received = pings.stop()
    assert sent > 100
    assert received == sent


def test_from_a_killed_instance(rig):
    serve(rig)
    pings = Pings(rig)
    for _ in range(3):
        rig.xdp.kill()
        newer = rig.start_xdp()
        wait_taken(rig, newer.pid)
    sent, received = pings.stop()
    assert sent > 100
    assert received == sent


def test_kill_at_any_time_of_the_start(rig):
    """Killed after ever more of its start: the next one always gets through, and traffic goes on."""
    serve(rig)
    pings = Pings(rig)
    for lines in range(1, 4):
        newer = rig.start_xdp("--log-level", "debug")
        wait_until(lambda process=newer, n=lines: process.log().count("\n") >= n, "so much of the start")
        newer.kill()
    final = rig.start_xdp()
    wait_taken(rig, final.pid)
    sent, received = pings.stop()
    assert received == sent


def test_ended_by_sigterm_traffic_goes_on(rig):
    serve(rig)
    rig.control.commit(f"address {DNS4} 2")
    wait_until(lambda: DNS4 in rig.appliance.ip("addr", "show", "lo").stdout, "the address on lo")
    pings = Pings(rig)
    assert rig.xdp.stop() == 0
    assert rig.attached()
    assert os.listdir(f"{rig.pin_dir}/links") == ["eth0"]
    assert DNS4 in rig.appliance.ip("addr", "show", "lo").stdout
    assert rig.peer.run("ping", "-c", "20", "-i", "0.01", VIP4).returncode == 0
    sent, received = pings.stop()
    assert received == sent


def test_tables_and_counters_live_on(rig):
    serve(rig)
    rig.peer.run("ping", "-c", "5", "-i", "0.01", VIP4)
    before = echoes(rig)
    assert before >= 5
    rig.xdp.kill()
    rig.control.wait("closed")
    rig.start_xdp()
    hello = rig.control.wait("hello", 2)
    assert hello["generation"] == 1  # nothing but the difference has to travel
    wait_taken(rig, rig.xdp.pid)
    assert "taken over" in rig.xdp.log()
    assert echoes(rig) >= before
    assert rig.status()["nexthops"]["resolved"] == 1


def test_other_size_is_filled_before_the_links_change(rig):
    serve(rig)
    program = rig.attached()
    rig.control.stop()
    pings = Pings(rig)
    newer = rig.start_xdp("--memory", "128M")
    wait_until(lambda: (rig.status() or {}).get("pid") == newer.pid, "the new instance")
    status = rig.status()
    assert not status["filled"]
    assert any("waiting for culvertd" in error for error in status["errors"])
    assert rig.attached() == program  # by the old tables
    assert sorted(os.listdir(rig.pin_dir)) == ["arena", "arena_next", "links"]
    rig.start_control()
    rig.control.wait("hello")
    rig.control.commit("config", "interface 0 eth0 0", f"address {VIP4} 1", "backend 1 10.0.0.2")
    wait_until(lambda: rig.status()["filled"] and rig.attached() != program, "the change")
    wait_until(lambda: sorted(os.listdir(rig.pin_dir)) == ["arena", "links"], "the old arena to go")
    assert rig.status()["memory"]["region"] == 128 << 20
    sent, received = pings.stop()
    assert received == sent


def test_killed_while_new_tables_wait_to_be_filled(rig):
    serve(rig)
    rig.control.stop()
    waiting = rig.start_xdp("--memory", "128M")
    wait_until(lambda: (rig.status() or {}).get("pid") == waiting.pid, "the new instance")
    waiting.kill()
    final = rig.start_xdp()  # of the old size again: its tables are still there
    wait_taken(rig, final.pid)
    assert rig.status()["memory"]["region"] == 256 << 20
    assert rig.peer.run("ping", "-c", "1", "-W", "1", VIP4).returncode == 0


def test_hung_instance_is_named_and_not_disturbed(rig):
    serve(rig)
    older = rig.xdp
    older.popen.send_signal(signal.SIGSTOP)
    newer = rig.start_xdp()
    wait_until(lambda: not newer.alive(), "the newer one to give up")
    older.popen.send_signal(signal.SIGCONT)
    assert newer.popen.returncode == 1
    assert "does not hand" in newer.log()
    assert rig.peer.run("ping", "-c", "1", "-W", "1", VIP4).returncode == 0


def test_detach_ends_the_running_instance_and_leaves_nothing(rig):
    serve(rig)
    rig.control.commit(f"address {DNS4} 2")
    wait_until(lambda: DNS4 in rig.appliance.ip("addr", "show", "lo").stdout, "the address on lo")
    done = rig.run_xdp("--detach")
    assert done.returncode == 0, done.stderr
    # It lets go of its lock a moment before it is gone.
    wait_until(lambda: not rig.xdp.alive(), "the end of the one that ran")
    assert rig.attached() is None
    assert not os.path.exists(rig.pin_dir)
    assert DNS4 not in rig.appliance.ip("addr", "show", "lo").stdout
    assert "managed" not in rig.appliance.ip("neigh", "show").stdout
