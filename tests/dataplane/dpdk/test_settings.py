# SPDX-License-Identifier: Apache-2.0
"""How culvert-dpdk starts: by the site, the command line over it; and what it says when the site has changed."""

import os
import pathlib

from tests.dataplane.dpdk.rig import NIC
from tests.lab.wait import wait_until


def runs(rig):
    return rig.status()["settings"]["runs"]


def wait_error(rig, *words):
    def find(state):
        error = state["settings"]["error"]
        return error and all(word in error for word in words)

    return rig.control.wait_state(find, f"settings that say {words}")["settings"]["error"]


def wait_no_error(rig):
    rig.control.wait_state(lambda state: state["settings"]["error"] is None, "settings as the site says")


def start(rig, *options):
    """Without the options that the rig gives otherwise."""
    rig.start_plane(*options)
    wait_until(rig.status, "culvert-dpdk's status")


def test_the_site_says_it(rig):
    rig.say_settings(cores=[0, 1], main_core=1, share_main_core=True, hugepages=False, packet_buffers=4095,
                     buffer_memory=100, table_memory=64)  # fmt: skip
    start(rig)
    assert runs(rig) == (
        "main-core 1, share-main-core true, hugepages false, packet-buffers 4095, buffer-memory 100, "
        "table-memory 64, cores 0-1"
    )
    assert rig.status()["memory"]["region"] == 64 << 20


def test_the_command_line_says_it_over_the_site(rig):
    rig.say_settings(cores=[9], main_core=9, hugepages=True, packet_buffers=8388608, table_memory=4096)
    start(rig, "--cores", "1", "--main-core", "0", "--no-huge", "--mbufs", "2047", "--memory", "64M")
    assert "main-core 0, share-main-core true, hugepages false, packet-buffers 2047" in runs(rig)
    assert runs(rig).endswith("table-memory 64, cores 1")


def test_a_change_is_told_until_it_is_applied(rig):
    rig.say_settings(cores=[1])
    rig.serve()
    wait_no_error(rig)
    rig.say_settings(cores=[0, 1], share_main_core=True)
    told = wait_error(rig, "cores")
    assert told == (
        "it runs with share-main-core false, cores 1; the site says share-main-core true, cores 0-1: "
        "restart culvert-dpdk"
    )
    assert f"settings: {told}" in rig.status()["errors"]
    rig.say_settings(cores=[1])
    wait_no_error(rig)
    rig.say_settings(cores=[0, 1], share_main_core=True)
    wait_error(rig, "cores")
    older = rig.dpdk
    rig.start_dpdk()
    wait_until(lambda: not older.alive(), "the older one's leave")
    rig.control.wait_interface("wan0", attached=True)
    wait_no_error(rig)
    assert runs(rig).endswith("cores 0-1")


def test_what_the_command_line_says_is_no_difference(rig):
    rig.serve()
    rig.say_settings(packet_buffers=65536, table_memory=1024, hugepages=True, main_core=1, cores=[0])
    told = wait_error(rig, "main-core")
    assert "packet-buffers" not in told and "table-memory" not in told and "hugepages" not in told


def test_cores_that_are_not_there(rig):
    """Told at the start by one line, without disturbing the one that runs; and while running."""
    rig.serve()
    rig.say_settings(cores=[1, 777])
    told = wait_error(rig, "777")
    assert told.startswith("the site's settings can't be used here: core 777 is not one that this process may use")
    done = rig.run_dpdk("--no-huge")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "core 777 is not one that this process may use" in done.stderr
    assert rig.dpdk.alive() and rig.status()["pid"] == rig.dpdk.pid
    rig.say_settings(cores=[0, 1])
    done = rig.run_dpdk("--no-huge")
    assert done.returncode == 1 and "no core is left for everything else" in done.stderr
    rig.say_settings(cores=[0], main_core=0)
    done = rig.run_dpdk("--no-huge")
    assert done.returncode == 1 and "core 0 is to poll and to be the main one" in done.stderr


def test_a_file_that_is_none(rig):
    path = os.path.join(rig.run_dir, "dpdk.json")
    for text, words in (
        ("{", "no object of JSON"),
        ('{"cores": [1, 1]}', 'its "cores" can\'t be'),
        ('{"packet-buffers": 12}', 'its "packet-buffers" can\'t be'),
        ('{"share-main-core": 1}', 'its "share-main-core" can\'t be'),
        (" " * 5000, "a bound was reached"),
    ):
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        done = rig.run_dpdk("--no-huge")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and f"{path}: " in done.stderr and words in done.stderr, done.stderr


def test_starts_without_culvertd_and_waits_for_its_first_time(rig):
    """The file alone is enough. Before it ever was, the start waits for it, but not for ever (settings.c)."""
    os.unlink(os.path.join(rig.run_dir, "dpdk.json"))
    rig.start_plane()
    wait_until(lambda: "waiting for the site's settings" in rig.dpdk.log(), "the wait")
    rig.say_settings(hugepages=False, packet_buffers=2047, table_memory=64)
    wait_until(rig.status, "culvert-dpdk's status")
    assert "packet-buffers 2047" in runs(rig)
    assert rig.status()["connected"] is False


def test_never_any_culvertd(rig):
    os.unlink(os.path.join(rig.run_dir, "dpdk.json"))
    rig.start_dpdk()
    wait_until(rig.status, "culvert-dpdk's status")
    assert "starting without the site's settings" in rig.dpdk.log()
    rig.start_control()
    rig.control.wait("hello")
    rig.control.commit("config", f"dpdk 0 wan0 1 {NIC}")
    rig.control.wait_interface("wan0", attached=True)


def test_hugepages_that_are_missing_are_made(rig):
    """As many as the buffers need, for a machine whose boot knew nothing of the site."""
    folder = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    number = pathlib.Path(folder, "nr_hugepages")
    before, free = number.read_text("ascii"), int(pathlib.Path(folder, "free_hugepages").read_text("ascii"))
    rig.say_settings(cores=[1], main_core=0, hugepages=True, packet_buffers=2047, table_memory=64,
                     buffer_memory=2 * free + 64)  # fmt: skip
    try:
        start(rig, "--reserve-hugepages")
        assert int(number.read_text("ascii")) == int(before) + 32
        assert "hugepages true" in runs(rig)
    finally:
        rig.dpdk.stop()
        number.write_text(before, "ascii")
