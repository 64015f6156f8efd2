# SPDX-License-Identifier: Apache-2.0
"""culvert-dpdk's cores and memory from the site file: at its start, and when the site changes while it runs."""

import pytest

from tests.lab.site import DNS4, Site, site_document
from tests.lab.wait import wait_until


def document(**settings):
    return {**site_document("dpdk"), "dpdk": {"hugepages": False, "packet-buffers": 8191, **settings}}


def alarms(site):
    return site.culvert_json("status")["alarms"]


def runs(site):
    return site.culvert_json("status")["planes"][0]["state"]["settings"]["runs"]


@pytest.fixture
def site(build):
    yield from Site(build, "dpdk").shown()


def start(site):
    """With no more than where culvertd is."""
    program = site.binary("dataplane", "dpdk", "culvert-dpdk")
    site.dpdk = site.appliance.start("dpdk", program, "--run-dir", site.run_dir)
    return site.dpdk


def test_from_apply_to_restart(site):
    site.start_culvertd()
    site.apply(document(cores=[1]))
    older = start(site)
    wait_until(site.planes_ready, "the data plane to be ready")
    site._address_appliance()
    assert runs(site).endswith("cores 1") and "packet-buffers 8191" in runs(site)
    site.apply(document(cores=[0, 1], **{"share-main-core": True}))
    told = "dpdk: it runs with share-main-core false, cores 1; the site says share-main-core true, cores 0-1: restart culvert-dpdk"
    wait_until(lambda: told in alarms(site), "the alarm")
    shown = site.culvert("status").stdout
    assert told in shown and "\n  settings: main-core" in shown
    start(site)
    wait_until(lambda: not older.alive(), "the older one's leave")
    wait_until(site.planes_ready, "the newer one to be ready")
    assert runs(site).endswith("cores 0-1")
    wait_until(lambda: told not in alarms(site), "the alarm's end")
    wait_until(lambda: site.client.run("dig", f"@{DNS4}", "www.example.com", "+short", "+tries=1", "+time=1", check=False).stdout == "192.0.2.10\n", "an answer")


def test_restarts_while_culvertd_is_away(site):
    site.start_culvertd()
    site.apply(document(cores=[1]))
    site.culvertd.kill()
    start(site)
    wait_until(lambda: "waiting for it" in site.dpdk.log(), "the start")
    site.start_culvertd()
    wait_until(site.planes_ready, "the data plane to be ready")
    assert "packet-buffers 8191" in runs(site)
