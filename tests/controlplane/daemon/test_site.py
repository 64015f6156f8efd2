# SPDX-License-Identifier: Apache-2.0
"""apply, diff, get, history, rollback, status: the CLI and culvertd, no data plane."""

import json
import os

from tests.controlplane.daemon.conftest import SITE, ZONE


def test_first_apply_then_the_same_again(daemon):
    first = daemon.json("apply", daemon.site, "--comment", "one", "--author", "ann")
    assert (first["revision"], first["changed"]) == (1, True)
    again = daemon.json("apply", daemon.site)
    assert (again["revision"], again["changed"], again["diff"]) == (1, False, [])
    (revision,) = daemon.json("history")["revisions"]
    assert (revision["author"], revision["comment"]) == ("ann", "one")
    status = daemon.json("status")
    assert (status["site"], status["revision"], status["resources"]["vips"]) == ("lab", 1, 1)
    assert status["alarms"] == ["no data plane is connected: start culvert-xdp"]


def test_alarm_names_the_data_planes_that_are_missing(daemon):
    dpdk = "no data plane is connected for driver dpdk: start culvert-dpdk"
    xdp = "no data plane is connected for driver xdp: start culvert-xdp"
    wan0 = 'wan0: { driver: dpdk, device: "03:00.0" }'
    daemon.write(SITE + "interfaces: { eth1: }\n")
    daemon.json("apply", daemon.site)
    assert daemon.json("status")["alarms"] == [xdp]
    daemon.write(SITE + f"interfaces: {{ eth1: , {wan0} }}\n")
    daemon.json("apply", daemon.site)
    assert daemon.json("status")["alarms"] == [xdp, dpdk]
    daemon.write(SITE + f"interfaces: {{ {wan0} }}\n")
    assert [one["path"] for one in daemon.json("apply", daemon.site)["diff"]] == ["interfaces.eth1"]
    assert daemon.json("status")["alarms"] == [dpdk]
    shown = daemon.json("get", "interfaces")["value"]
    assert shown == {"wan0": {"driver": "dpdk", "device": "0000:03:00.0", "queues": 1}}
    daemon.write(daemon.culvert("get").stdout)
    assert daemon.json("apply", daemon.site)["changed"] is False
    refused = daemon.culvert("explain", "--from", "198.51.100.7", "--to", "192.0.2.10:80/tcp")
    assert "no data plane is connected (start culvert-dpdk)" in refused.stderr


def test_diff_dry_run_and_get(daemon):
    daemon.json("apply", daemon.site)
    daemon.write(SITE.replace("weight: 50", "weight: 70"))
    change = [{"path": "pools.web.backends.b.weight", "old": 50, "new": 70}]
    assert daemon.json("diff", daemon.site)["diff"] == change
    assert daemon.json("apply", "--dry-run", daemon.site)["diff"] == change
    assert daemon.json("get", "pools.web.backends.b.weight")["value"] == 50
    assert daemon.json("apply", daemon.site)["revision"] == 2
    assert daemon.json("get", "pools.web.backends.b.weight")["value"] == 70
    assert daemon.culvert("get", "vips.web.ports").stdout == "[80]\n"
    missing = daemon.culvert("get", "vips.none")
    assert missing.returncode == 1 and "vips.none: the site has nothing there" in missing.stderr


def test_get_prints_yaml_that_applies_as_the_same(daemon):
    daemon.json("apply", daemon.site)
    text = daemon.culvert("get").stdout
    daemon.write(text)
    assert daemon.json("apply", daemon.site)["changed"] is False


def test_standard_input(daemon):
    text = SITE[: SITE.index("zones:")]
    done = daemon.culvert("apply", "-", input=text)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("revision 1: ")
    bad = daemon.culvert("apply", "-", input=text + "pols: {}\n")
    assert bad.returncode == 1 and bad.stderr.startswith("<stdin>:6:1: pols: ")


def test_rollback_brings_zone_files_back(daemon):
    daemon.json("apply", daemon.site)
    daemon.write(SITE, ZONE + "new A 192.0.2.99\n")
    changed = daemon.json("apply", daemon.site)
    assert changed["revision"] == 2 and changed["diff"][0]["path"] == "zones.example.com.file"
    names = daemon.json("status")["resources"]["names"]
    back = daemon.json("rollback", "1")
    assert (back["revision"], back["changed"]) == (3, True)
    assert daemon.json("status")["resources"]["names"] == names - 1
    assert daemon.json("history")["revisions"][0]["comment"] == "rollback to revision 1"
    assert daemon.json("history", "2")["diff"] == changed["diff"]
    missing = daemon.culvert("rollback", "99")
    assert missing.returncode == 1 and "there is no revision 99" in missing.stderr


def test_if_revision(daemon):
    daemon.json("apply", daemon.site)
    daemon.write(SITE.replace("weight: 50", "weight: 70"))
    stale = daemon.culvert("apply", daemon.site, "--if-revision", "7")
    assert stale.returncode == 1 and "the current revision is 1, not 7" in stale.stderr
    assert daemon.json("apply", daemon.site, "--if-revision", "1")["revision"] == 2


def test_all_errors_at_once_and_nothing_changed(daemon):
    daemon.json("apply", daemon.site)
    daemon.write(
        "site: lab\npols: {}\nvips: { web: { address: 1.2.3, protocol: tcp, ports: [80],\n"
        "  mode: dsr-ipip, pool: nix } }\n"
    )
    bad = daemon.culvert("apply", daemon.site)
    assert bad.returncode == 1
    assert f"{daemon.site}:2:1: pols: " in bad.stderr and "did you mean" in bad.stderr
    assert ":3:26: vips.web.address: " in bad.stderr or "vips.web.address: " in bad.stderr
    assert "vips.web.pool: " in bad.stderr
    daemon.write("site: [\n")
    syntax = daemon.culvert("apply", daemon.site)
    assert syntax.returncode == 1 and syntax.stderr.startswith(f"{daemon.site}:")
    daemon.write(SITE, "$ORIGIN example.com.\n@ SOA bad\n")
    zone = daemon.culvert("apply", daemon.site)
    assert zone.returncode == 1 and "example.com.zone:2" in zone.stderr
    assert daemon.json("status")["revision"] == 1


def test_files_that_are_not_there(daemon):
    missing = daemon.culvert("apply", os.path.join(daemon.folder, "none.yaml"))
    assert missing.returncode == 1 and missing.stderr.rstrip().endswith("none.yaml: no such file")
    os.unlink(os.path.join(daemon.folder, "example.com.zone"))
    zone = daemon.culvert("apply", daemon.site)
    assert zone.returncode == 1
    told = "zones.example.com.file: zone file example.com.zone: No such file or directory"
    assert told in zone.stderr and zone.stderr.count("\n") == 1
    assert daemon.json("status")["revision"] == 0


def test_no_data_plane_to_ask(daemon):
    done = daemon.culvert("explain", "--from", "198.51.100.7", "--to", "192.0.2.10:80/tcp")
    assert done.returncode == 1 and "no data plane is connected (start culvert-xdp)" in done.stderr
    assert daemon.json("counters")["vips"] == []
    assert daemon.culvert("top", "--once", "--interval", "0.2").returncode == 0


def test_usage(idle):
    for words, told in (
        ((), "culvert help"),
        (("aply", "x"), "did you mean `apply`?"),
        (("status", "x"), "one word too many"),
        (("apply", "--comend", "x", "f"), "did you mean `--comment`?"),
        (("apply",), "usage: culvert apply FILE"),
        (("status", "-o", "xml"), "--output takes text or json"),
        (("rollback", "x"), "a revision is a number"),
        (("explain", "--from", "1.2.3.4", "--to", "1.2.3:80"), "not an IPv4 or IPv6 address"),
    ):
        done = idle.culvert(*words)
        assert done.returncode == 2 and told in done.stderr, (words, done)
        assert done.stderr.count("\n") == 1


def test_completion(daemon):
    daemon.json("apply", daemon.site)

    def words(*typed):
        return daemon.culvert("__complete", *typed).stdout.split()

    assert words("st") == ["status"]
    assert words("apply", "--if") == ["--if-revision"]
    assert words("apply", "--con") == ["--confirm"]
    assert words("con") == ["confirm"] and words("au") == ["audit"]
    assert words("get", "pools.") == ["pools.web."]
    assert words("get", "zones.example.com.") == ["zones.example.com.file", "zones.example.com.ttl"]
    assert words("rollback", "") == ["1"]
    assert words("status", "-o", "j") == ["json"]
    assert "complete -F _culvert culvert" in daemon.culvert("completion", "bash").stdout


def test_json_is_a_site_file_too(daemon):
    daemon.write(json.dumps({"site": "lab", "pools": {"p": {"backends": {"a": {"address": "10.0.0.1"}}}}}))
    assert daemon.json("apply", daemon.site)["revision"] == 1
