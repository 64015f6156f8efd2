# SPDX-License-Identifier: Apache-2.0
"""`dev bench [cost|bounce|dpdk|idle|apply|zone|store|config ...] [-o json] [--sizes 1k,32k,1M] [--rounds N]`"""

import argparse
import json
import os
import signal
import sys

from tests.bench import bounce, config, control, cost, dpdk, idle, store
from tests.lab.namespaces import sh

SIZES = {"1k": 1 << 10, "32k": 1 << 15, "1M": 1 << 20}
REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RIGS = {
    "cost": cost.measure,
    "bounce": bounce.measure,
    "dpdk": dpdk.measure,
    "idle": idle.measure,
    "apply": control.measure_apply,
    "zone": control.measure_zone,
    "store": store.measure,
    "config": config.measure,
}


def tell(text):
    print(text, file=sys.stderr, flush=True)


def table(results):
    """The figures as rows: what, then one column a size."""
    rows = {}
    for key, value in results.items():
        name, _, size = key.rpartition("@")
        rows.setdefault(name or size, {})[size if name else ""] = value
    width = max(len(name) for name in rows)
    lines = [f"{'':{width}}  " + "".join(f"{size:>10}" for size in SIZES)]
    for name, values in rows.items():
        if "" in values:
            lines.append(f"{name:{width}}  {values['']:>10}")
        else:
            lines.append(f"{name:{width}}  " + "".join(f"{values.get(size, ''):>10}" for size in SIZES))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="dev bench", description="Figures and their baselines, in one run.")
    parser.add_argument("rigs", nargs="*", metavar="RIG", help=f"of {', '.join(RIGS)}; all by default")
    parser.add_argument("-o", dest="output", choices=["text", "json"], default="text")
    parser.add_argument("--sizes", default="1k,32k,1M", help="flows or names, of 1k,32k,1M")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement; medians are told")
    options = parser.parse_args()
    sizes = options.sizes.split(",")
    if any(size not in SIZES for size in sizes) or any(rig not in RIGS for rig in options.rigs):
        parser.error(f"sizes are of {','.join(SIZES)}, rigs of {', '.join(RIGS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what is open is undone
    results = {}
    for rig in options.rigs or RIGS:
        results |= RIGS[rig](os.path.join(REPO, "build", "release"), {s: SIZES[s] for s in sizes}, options.rounds, tell)
    if options.output == "json":
        model = [line for line in sh("cat", "/proc/cpuinfo").stdout.splitlines() if "model name" in line]
        machine = {"kernel": os.uname().release, "cpus": os.cpu_count(), "model": model[0].split(": ")[1]}
        print(json.dumps({"machine": machine} | results))
    else:
        print(table(results))


if __name__ == "__main__":
    main()
