# SPDX-License-Identifier: Apache-2.0
"""Load from culvert-pktgen, run on the lab's client."""

import json

from tests.lab.wait import wait_until


def start_generator(site, *options, interface="eth0", namespace=None):
    """Starts the generator; returns a function that waits for its end and returns its report."""
    namespace = namespace or site.client
    process = namespace.start(
        "pktgen",
        site.binary("dataplane", "pktgen", "culvert-pktgen"),
        "--interface", interface, *options, "-o", "json",
    )  # fmt: skip

    def finish():
        wait_until(lambda: not process.alive(), "the generator's end", timeout=120)
        assert process.popen.returncode == 0, process.log()
        return json.loads(process.log().strip().splitlines()[-1])

    finish.process = process
    return finish


def generate(site, *options, **kwargs):
    """Runs the generator to its end and returns its report."""
    return start_generator(site, *options, **kwargs)()
