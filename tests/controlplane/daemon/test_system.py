# SPDX-License-Identifier: Apache-2.0
"""What `culvert status` tells of an appliance's system, and `culvert system` where there is none."""

import json
import os

REPORT = {
    "running": {"slot": "a", "version": "1.0", "state": "good", "tries_left": None, "tries_done": None},
    "other": {"slot": "b", "version": "1.1", "state": "bad", "tries_left": 0, "tries_done": 3},
    "alarm": "the update to 1.1 did not come healthy in 3 tries: 1.0 runs again",
}


def write_report(daemon, text):
    with open(os.path.join(daemon.run_dir, "system.json"), "w") as file:
        file.write(text)


def status(daemon):
    return json.loads(daemon.culvert("status", "-o", "json").stdout)


def test_status_tells_of_the_system(daemon):
    assert status(daemon)["system"] is None
    assert "system " not in daemon.culvert("status").stdout
    write_report(daemon, json.dumps(REPORT))
    assert status(daemon)["system"] == REPORT
    assert REPORT["alarm"] in status(daemon)["alarms"]
    assert "system     1.0 from slot a, good\n" in daemon.culvert("status").stdout


def test_broken_report_is_none(daemon):
    for text in ("", "{", '{"alarm": ', "[" * 5000):
        write_report(daemon, text)
        assert status(daemon)["system"] is None
    write_report(daemon, '{"alarm": 1, "running": []}')
    assert daemon.culvert("status").returncode == 0


def test_no_appliance(idle):
    for words in (["status"], ["update", "x"], ["rollback"], ["factory-reset", "--yes"], ["trial"], ["console-password"]):
        done = idle.culvert("system", *words)
        assert done.returncode == 1
        assert done.stderr == "culvert: this machine is no appliance: its system is not Culvert's image\n"
