# SPDX-License-Identifier: Apache-2.0
"""Processes that end, are killed or are replaced under load: what is lost is counted."""

import os
import signal

import pytest

from tests.lab.load import start_generator
from tests.lab.site import DNS4, IPIP4, site_document
from tests.lab.wait import wait_until


@pytest.fixture
def queries(fresh_site):
    path = os.path.join(fresh_site.directory, "queries")
    with open(path, "w") as file:
        file.write("www.example.com A\nftp.example.com AAAA\nnope.example.com A\n")
    return path


def meet(site):
    """The router learns the appliance's neighbour entry: until it has, it queues no more than 10 ms of the load."""
    site.client.run("dig", f"@{DNS4}", "www.example.com", "+short")


def under_load(site, queries, disturb):
    """Runs `disturb` in the middle of a DNS load; returns the generator's report."""
    meet(site)
    before = site.reasons()
    finish = start_generator(
        site, "--profile", "dns", "--queries", queries, "--to", DNS4, "--rate", "10k", "--duration", "5"
    )
    wait_until(lambda: site.reasons().get("dns-answer", 0) > before.get("dns-answer", 0) + 500, "load")
    disturb()
    assert finish.process.alive(), "the load ended before the disturbance did"
    return finish()


def lost(report):
    return report["sent"] - report["received"]


def test_new_instance_takes_over_without_loss(fresh_site, queries):
    site = fresh_site

    def replace():
        older = site.xdp
        site.start_xdp()
        wait_until(lambda: not older.alive(), "the older instance's leave")
        assert older.popen.returncode == 0, older.log()
        site.wait_ready()

    report = under_load(site, queries, replace)
    assert lost(report) == 0, report
    assert site.reasons()["dns-answer"] > 0


def test_killed_data_plane_keeps_answering(fresh_site, queries):
    site = fresh_site

    def kill_and_start():
        site.xdp.kill()
        site.start_xdp()
        site.wait_ready()

    assert lost(under_load(site, queries, kill_and_start)) == 0


def test_killed_control_plane_loses_nothing(fresh_site, queries):
    site = fresh_site

    def kill_and_start():
        site.culvertd.kill()
        site.start_culvertd()
        site.wait_ready()

    assert lost(under_load(site, queries, kill_and_start)) == 0


def test_stopped_data_plane_leaves_traffic_flowing(fresh_site, queries):
    site = fresh_site

    def stop():
        site.xdp.popen.send_signal(signal.SIGTERM)
        wait_until(lambda: not site.xdp.alive(), "the data plane's end")

    meet(site)
    finish = start_generator(
        site, "--profile", "dns", "--queries", queries, "--to", DNS4, "--rate", "5k", "--duration", "3"
    )
    stop()
    report = finish()
    assert lost(report) == 0
    assert site.client.run("curl", "-sS", "--max-time", "5", f"http://{IPIP4}/").returncode == 0


def test_counters_survive_a_take_over(fresh_site):
    site = fresh_site
    meet(site)
    wait_until(lambda: site.reasons().get("dns-answer", 0) >= 1, "the counter")
    site.xdp.kill()
    site.start_xdp()
    site.wait_ready()
    assert site.reasons()["dns-answer"] >= 1


def test_changes_made_while_the_data_plane_was_dead_arrive(fresh_site):
    site = fresh_site
    site.xdp.kill()
    document = site_document()
    document["zones"]["example.net"]["records"]["new"] = {"A": "192.0.2.77"}
    site.apply(document)
    out = site.client.run("dig", f"@{DNS4}", "new.example.net", "+tries=1").stdout
    assert "NXDOMAIN" in out  # the last tables still answer
    site.start_xdp()
    site.wait_ready()
    assert "192.0.2.77" in site.client.run("dig", f"@{DNS4}", "new.example.net", "+short").stdout


def test_culvertd_continues_from_its_disk(fresh_site):
    site = fresh_site
    before = site.culvert_json("status")
    site.culvertd.kill()
    site.start_culvertd()
    site.wait_ready()
    after = site.culvert_json("status")
    assert after["revision"] == before["revision"]
    assert "192.0.2.10" in site.client.run("dig", f"@{DNS4}", "www.example.com", "+tcp", "+short").stdout


def test_detach_leaves_nothing(fresh_site):
    site = fresh_site
    site.xdp.stop()
    site.appliance.run(
        site.binary("dataplane", "xdp", "culvert-xdp"),
        "--detach", "--run-dir", site.run_dir, "--pin-dir", site.pin_dir,
    )  # fmt: skip
    assert "xdp" not in site.appliance.ip("link", "show", "eth0").stdout
    assert not os.path.exists(site.pin_dir) or not os.listdir(site.pin_dir)
    assert DNS4 not in site.appliance.ip("addr", "show", "lo").stdout
