# SPDX-License-Identifier: Apache-2.0
"""What can't be: one line that says what to do."""

import os

import pytest


def failure(rig, device, queues=1):
    rig.start_control()
    rig.start_dpdk()
    rig.control.wait("hello")
    rig.control.commit("config", f"dpdk 0 wan0 {queues} {device}")
    return rig.control.wait_interface("wan0", state="failed", attached=False)["error"]


@pytest.mark.parametrize(
    "device, words",
    [
        ("0000:7f:1f.7", "no PCI device 0000:7f:1f.7: `lspci -D` lists them"),
        ("7f:1f.7", "no PCI device 0000:7f:1f.7"),
        ("net_nothing0", "device net_nothing0 can't be opened"),
        ("net_af_xdp0,iface=eth7", "device net_af_xdp0,iface=eth7 can't be opened"),
        ("net_pcap0,rx_pcap=/nowhere.pcap", "can't be opened"),
    ],
)
def test_unknown_device(rig, device, words):
    assert words in failure(rig, device)


def test_device_that_comes_later(rig):
    rig.appliance.ip("link", "set", "nic0", "name", "nic1")
    assert "can't be opened" in failure(rig, "net_af_xdp0,iface=nic0")
    rig.appliance.ip("link", "set", "nic1", "name", "nic0")
    rig.control.wait_interface("wan0", attached=True, error=None)


@pytest.mark.parametrize(
    "options, words",
    [
        (["--cores", "999"], "core 999 is not one that this process may use"),
        (["--cores", "1-"], "a list such as 1-3,5 is right"),
        (["--cores", "1,x"], "a list such as 1-3,5 is right"),
        (["--memory", "1T"], "64M to 4G is right"),
        (["--mbufs", "12"], "1023 to 8388608 is right"),
        (["--main-core", "x"], "the number of a core is needed"),
        (["--frames"], "unrecognized option"),
        (["more"], "none is expected"),
    ],
)
def test_options(rig, options, words):
    done = rig.run_dpdk("--no-huge", *options)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert done.stdout == ""


def test_no_hugepages(rig):
    with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as free:
        pages = int(free.read())
    done = rig.run_dpdk("--mbufs", str(min(8388608, (pages + 512) * 1024)))
    assert done.returncode == 1
    assert "are free: reserve them" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_run_directory(rig):
    done = rig.appliance.run(rig.program, "--run-dir", os.path.join(rig.directory, "a", "b"), check=False)
    assert done.returncode == 1
    assert "can't make" in done.stderr


def test_status_of_nobody(rig):
    done = rig.run_dpdk("--status")
    assert done.returncode == 1
    assert "no culvert-dpdk runs" in done.stderr
