# SPDX-License-Identifier: Apache-2.0
"""The XDP cost rig: nanoseconds a packet costs the program (cost.c), at each size."""

import json
import os

from tests.lab.namespaces import sh

KINDS = {
    "lb_ns": "lb",
    "dns_ns": "dns",
    "dns_nxdomain_ns": "nxdomain",
    "limit_drop_ns": "drop",
    "access_drop_ns": "access",
}


def measure(build, sizes, rounds, tell):
    results = {}
    for key, kind in KINDS.items():
        for name, size in sizes.items():
            run = sh(os.path.join(build, "tests", "bench", "cost"), kind, size, rounds)
            figure = json.loads(run.stdout)
            results[f"{key}@{name}"] = figure["ns"]
            tell(f"cost {kind} {name}: {figure['ns']} ns ({figure['min']} to {figure['max']}), shim {figure['shim_ns']}")
    return results
