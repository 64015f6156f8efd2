# SPDX-License-Identifier: Apache-2.0
"""apply --confirm, confirm, audit: the CLI and culvertd, no data plane."""

import json
import threading

from tests.controlplane.daemon.conftest import SITE
from tests.lab.wait import wait_until

WEIGHT = "pools.web.backends.b.weight"


def weigh(daemon, weight, *words):
    daemon.write(SITE.replace("weight: 50", f"weight: {weight}"))
    return daemon.json("apply", daemon.site, *words)


def taken_back(daemon, weight):
    wait_until(lambda: daemon.json("get", WEIGHT)["value"] == weight, "the content of before")


def test_not_confirmed_is_taken_back(daemon):
    weigh(daemon, 50)
    assert weigh(daemon, 60, "--confirm", "500ms")["confirm_until"] > 0
    assert daemon.json("get", WEIGHT)["value"] == 60
    taken_back(daemon, 50)
    newest = daemon.json("history")["revisions"][0]
    assert (newest["revision"], newest["author"]) == (3, "culvertd")
    assert newest["comment"] == "revision 2 was not confirmed: back to 1"
    assert not any("confirm" in alarm for alarm in daemon.json("status")["alarms"])
    assert weigh(daemon, 70)["revision"] == 4


def test_confirmed_stays(daemon):
    weigh(daemon, 50)
    weigh(daemon, 60, "--confirm", "1h")
    assert any("waits for `culvert confirm`" in alarm for alarm in daemon.json("status")["alarms"])
    daemon.write(SITE)
    refused = daemon.culvert("apply", daemon.site)
    assert refused.returncode == 1 and "revision 2 waits to be confirmed" in refused.stderr
    assert "revision 2 stays" in daemon.culvert("confirm", "-m", "good").stdout
    again = daemon.culvert("confirm")
    assert again.returncode == 1 and "no revision waits to be confirmed" in again.stderr
    assert daemon.json("apply", daemon.site)["revision"] == 3


def test_rollback_settles_it(daemon):
    weigh(daemon, 50)
    weigh(daemon, 60, "--confirm", "1h")
    assert daemon.json("rollback", "1")["revision"] == 3
    assert daemon.culvert("confirm").returncode == 1
    assert weigh(daemon, 70)["revision"] == 4


def test_killed_meanwhile(daemon):
    """The deadline is in the store: culvertd that is started after it takes the revision back."""
    weigh(daemon, 50)
    weigh(daemon, 60, "--confirm", "1h")
    daemon.kill()
    daemon.start()
    assert "revision 2 is loaded" in daemon.text()  # before the API answered
    assert daemon.json("get", WEIGHT)["value"] == 60
    daemon.json("confirm")
    weigh(daemon, 70, "--confirm", "100ms")
    daemon.kill()
    daemon.start()
    taken_back(daemon, 60)


def test_wrong_times(daemon):
    first = daemon.culvert("apply", daemon.site, "--confirm", "1m")
    assert first.returncode == 1 and "no revision to go back to" in first.stderr
    weigh(daemon, 50)
    for time in ("0s", "soon", "8d", "-1m"):
        daemon.write(SITE.replace("weight: 50", "weight: 60"))
        wrong = daemon.culvert("apply", daemon.site, f"--confirm={time}")
        assert wrong.returncode == 1 and "from 1ms to 7d" in wrong.stderr, (time, wrong.stderr)
    assert daemon.json("status")["revision"] == 1


def test_audit(daemon):
    weigh(daemon, 50, "--author", "ann", "--comment", "one")
    daemon.write(SITE.replace("pool: web", "pool: wbe"))
    assert daemon.culvert("apply", daemon.site, "--author", "bob").returncode == 1
    daemon.write(SITE.replace("weight: 50", "weight: 60"))
    assert daemon.culvert("apply", daemon.site, "--author", "bob", "--if-revision", "7").returncode == 1
    assert daemon.culvert("apply", daemon.site, "--dry-run").returncode == 0
    daemon.json("rollback", "1", "--author", "eve")  # is that already
    lines = wait_until(lambda: len(found := daemon.json("audit")["audit"]) == 3 and found, "three lines")
    assert [(line["author"], line["what"], line["revision"]) for line in lines] == [
        ("bob", "apply", 0),
        ("bob", "apply", 0),
        ("ann", "apply", 1),
    ]
    assert lines[0]["outcome"] == "the current revision is 1, not 7"
    assert lines[1]["outcome"] == "the input has errors"
    assert (lines[2]["outcome"], lines[2]["comment"]) == ("done", "one")
    assert lines[2]["node"] == daemon.json("status")["node"]
    text = daemon.culvert("audit").stdout
    assert text.startswith("TIME") and text.count("\n") == 4
    daemon.kill()
    daemon.start()
    assert daemon.json("audit")["audit"] == lines


def test_applies_at_once(daemon):
    """Each gets a revision of its own, whoever comes first."""
    bodies = [
        json.dumps({"text": SITE.replace("file: example.com.zone", "soa: { mname: ns1, rname: h }, records: { \"@\": { NS: ns1 }, ns1: { A: 192.0.2.1 } }").replace("weight: 50", f"weight: {weight}")}).encode()
        for weight in range(60, 76)
    ]
    answers = []

    def post(body):
        head = f"POST /v1/apply HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        answers.append(daemon.talk(head.encode() + body))

    threads = [threading.Thread(target=post, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers), answers
    assert [each["revision"] for each in daemon.json("history")["revisions"]] == list(range(16, 0, -1))
