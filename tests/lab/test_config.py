# SPDX-License-Identifier: Apache-2.0
"""What the operator types: a wrong file changes nothing, every step can be looked at and undone."""

from tests.lab.site import DNS4, ZONE, site_document
from tests.lab.wait import wait_until


def dig(site, name):
    return site.client.run("dig", f"@{DNS4}", name, "+short", "+tries=1").stdout.strip()


def test_wrong_site_changes_nothing(fresh_site):
    site = fresh_site
    revision = site.culvert_json("status")["revision"]
    document = site_document()
    document["vips"]["web"]["pool"] = "wbe"
    document["vips"]["web"]["mode"] = "dsr-ipipp"
    document["colour"] = "blue"
    done = site.apply(document, check=False)
    assert done.returncode == 1
    for text in ("site.yaml:", "vips.web.pool", "vips.web.mode", "dsr-ipip", "colour"):
        assert text in done.stderr, done.stderr
    assert site.culvert_json("status")["revision"] == revision
    assert dig(site, "www.example.com") == "192.0.2.10"


def test_wrong_zone_changes_nothing(fresh_site):
    site = fresh_site
    bad = ZONE + "broken A 192.0.2.300\nalso CNAME www\nalso A 192.0.2.1\n"
    done = site.apply(site_document(), zone=bad, check=False)
    assert done.returncode == 1
    first = ZONE.count("\n") + 1
    assert f"example.com.zone:{first}" in done.stderr
    assert "also" in done.stderr
    assert dig(site, "www.example.com") == "192.0.2.10"


def test_zone_change_history_and_rollback(fresh_site):
    site = fresh_site
    first = site.culvert_json("status")["revision"]
    site.apply(site_document(), zone=ZONE.replace("192.0.2.99", "192.0.2.98"))
    wait_until(lambda: dig(site, "x.dyn.example.com") == "192.0.2.98", "the changed zone")
    history = site.culvert_json("history")["revisions"]
    assert [entry["revision"] for entry in history[:2]] == [first + 1, first]
    site.culvert("rollback", str(first))
    wait_until(lambda: dig(site, "x.dyn.example.com") == "192.0.2.99", "the zone rolled back")


def test_same_file_again_is_no_revision(fresh_site):
    site = fresh_site
    first = site.culvert_json("status")["revision"]
    site.apply(site_document())
    assert site.culvert_json("status")["revision"] == first


def test_diff_and_get(fresh_site):
    site = fresh_site
    document = site_document()
    document["pools"]["web"]["backends"]["web1"]["weight"] = 50
    path = site.write_site(document)
    changes = site.culvert_json("diff", path)["diff"]
    assert [change["path"] for change in changes] == ["pools.web.backends.web1.weight"]
    assert changes[0]["new"] == 50
    assert site.culvert_json("get", "vips.web.mode")["value"] == "dsr-ipip"


def test_unknown_interface_is_an_alarm_and_traffic_goes_on(fresh_site):
    site = fresh_site
    document = site_document()
    document["interfaces"]["eth9"] = {"driver": "xdp"}
    site.apply(document)
    wait_until(lambda: any("eth9" in alarm for alarm in site.culvert_json("status")["alarms"]), "the alarm")
    assert dig(site, "www.example.com") == "192.0.2.10"


def test_interface_of_dpdk_is_not_the_xdp_data_planes(fresh_site):
    site = fresh_site
    document = site_document()
    document["interfaces"]["wan0"] = {"driver": "dpdk", "device": "net_null0"}
    site.apply(document)
    status = site.culvert_json("status")
    assert "no data plane is connected for driver dpdk: start culvert-dpdk" in status["alarms"]
    assert status["resources"]["interfaces"] == 2
    (plane,) = status["planes"]
    assert plane["name"] == "xdp" and [one["name"] for one in plane["state"]["interfaces"]] == ["eth0"]
    assert dig(site, "www.example.com") == "192.0.2.10"


def test_generic_mode(fresh_site):
    site = fresh_site
    document = site_document()
    document["interfaces"]["eth0"]["mode"] = "generic"
    site.apply(document)

    def generic():
        (plane,) = site.culvert_json("status")["planes"]
        return plane["state"]["interfaces"][0]["mode"] == "generic"

    wait_until(generic, "generic mode in the status")
    assert dig(site, "www.example.com") == "192.0.2.10"
    assert site.client.run("curl", "-sS", "--max-time", "5", "http://192.0.2.10/").returncode == 0
