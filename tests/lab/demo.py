# SPDX-License-Identifier: Apache-2.0
"""`dev run`: the lab site comes up and shows the appliance at work on real packets.

    python3 -m tests.lab.demo [--once]
"""

import argparse
import json
import os
import signal
import sys

from tests.lab.site import DNS4, IPIP4, IPIP6, NATVIP4, L2VIP4, REPO, Site, site_document
from tests.lab.wait import wait_until

BOLD, GREEN, DIM, PLAIN = ("\x1b[1m", "\x1b[32m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("",) * 4


def title(text):
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def typed(namespace, *words):
    print(f"{DIM}{namespace.name}${PLAIN} {' '.join(map(str, words))}", flush=True)


def shown(text):
    for line in text.rstrip().splitlines():
        print(f"    {line}", flush=True)


def proved(text):
    print(f"  {GREEN}✓{PLAIN} {text}", flush=True)


def expect(condition, text, detail=""):
    if not condition:
        raise SystemExit(f"  ✗ {text}\n{detail}")
    proved(text)


class Demo:
    def __init__(self, site):
        self.site = site
        self.client = site.client

    def rise(self, reason, before):
        """How many packets a reason has gained since `before` (a dict of Site.reasons)."""
        return self.site.reasons().get(reason, 0) - before.get(reason, 0)

    def bring_up(self):
        site = self.site
        title("1. The lab: a client, a router, the appliance, four backends (network namespaces)")
        site.start_culvertd()
        site.start_xdp()
        site.start_backends()
        proved("culvertd and culvert-xdp run on the appliance, an echo server on each backend")
        path = site.write_site(site_document())
        typed(site.appliance, "culvert apply site.yaml")
        shown(site.culvert("apply", path).stdout)
        site.wait_ready()
        typed(site.appliance, "culvert status")
        shown(site.culvert("status").stdout)

    def dns(self):
        title("2. DNS, answered by the fast path")
        before = self.site.reasons()
        words = ["dig", f"@{DNS4}", "www.example.com", "+noall", "+answer", "+comments"]
        typed(self.client, *words)
        shown(self.client.run(*words).stdout)
        for name, status in (("ftp.example.com", "NOERROR"), ("nope.example.com", "NXDOMAIN"), ("example.org", "REFUSED")):
            answer = self.client.run("dig", f"@{DNS4}", name, "+tries=1").stdout
            expect(f"status: {status}" in answer, f"{name}: {status}", answer)
        wait_until(lambda: self.rise("dns-answer", before) >= 2, "the fast path's counter")
        proved("the counters say that XDP answered: " + self.changes(before))
        answer = self.client.run("dig", f"@{DNS4}", "www.example.com", "+tcp", "+short").stdout
        expect(IPIP4 in answer, "over TCP culvertd gives the same answer", answer)

    def changes(self, before):
        now = self.site.reasons()
        rose = {name: count - before.get(name, 0) for name, count in now.items() if count > before.get(name, 0)}
        return ", ".join(f"{name} +{count}" for name, count in sorted(rose.items()))

    def balance(self):
        title("3. Virtual IPs: three modes, IPv4 and IPv6")
        before = self.site.reasons()
        for address, mode in ((IPIP4, "dsr-ipip"), (f"[{IPIP6}]", "dsr-ipip"), (L2VIP4, "dsr-l2"), (NATVIP4, "nat")):
            seen = {}
            for _ in range(12):
                text = self.client.run("curl", "-sS", "--max-time", "5", f"http://{address}/").stdout
                name = json.loads(text)["backend"]
                seen[name] = seen.get(name, 0) + 1
            split = ", ".join(f"{name} {count}" for name, count in sorted(seen.items()))
            expect(len(seen) == 2, f"curl http://{address}/ ({mode}), 12 times: {split}", str(seen))
        proved("the counters: " + self.changes(before))
        words = ["explain", "--from", "198.18.0.10:40000", "--to", f"{IPIP4}:80/tcp", "--syn"]
        typed(self.site.appliance, "culvert", *words)
        shown(self.site.culvert(*words).stdout)

    def flood(self):
        title("4. A flood, limited per source; everybody else is served")
        before = self.site.reasons()
        words = [
            "culvert-pktgen", "--interface", "eth0", "--profile", "syn", "--sources", "198.18.0.66/32",
            "--to", f"{IPIP4}:80", "--rate", "200k", "--duration", "3", "-o", "json",
        ]  # fmt: skip
        typed(self.client, *words)
        generator = self.client.start(
            "pktgen", self.site.binary("dataplane", "pktgen", "culvert-pktgen"), *words[1:]
        )
        wait_until(lambda: self.rise("drop-limit", before) > 1000, "the limit to act")
        for _ in range(5):
            self.client.run("curl", "-sS", "--max-time", "5", f"http://{IPIP4}/")
        proved("during the flood curl from another address got all of its answers")
        wait_until(lambda: not generator.alive(), "the generator's end", timeout=60)
        if generator.popen.returncode:
            raise SystemExit(f"  ✗ culvert-pktgen failed\n{generator.log()}")
        report = json.loads(generator.log())
        proved(f"{report['sent']:,} SYNs in {report['seconds']:.1f} s were sent")
        proved("the counters: " + self.changes(before))

    def start_load(self):
        """A little of everything, so that the live status has something to show."""
        queries = os.path.join(self.site.directory, "queries")
        with open(queries, "w") as file:
            file.write("www.example.com A\nftp.example.com AAAA\nnope.example.com A\n")
        self.client.start(
            "load",
            self.site.binary("dataplane", "pktgen", "culvert-pktgen"),
            "--interface", "eth0", "--profile", "mix=dns:80,tcp:20", "--queries", queries,
            "--to", f"{DNS4},{IPIP4}:80", "--sources", "198.18.0.128/26", "--rate", "5k", "-o", "json",
        )  # fmt: skip

    def stay(self):
        self.start_load()
        run_id = self.site.run_id
        title("5. The lab stays up; Ctrl-C ends it. In another terminal:")
        print(f"    sudo ./dev shell\n    ip netns exec {run_id}-client dig @{DNS4} www.example.com")
        print(f"    ip netns exec {run_id}-client curl http://{IPIP4}/")
        print(f"    culvert --socket {self.site.run_dir}/api.sock status\n", flush=True)
        environment = {**os.environ, "CULVERT_SOCKET": os.path.join(self.site.run_dir, "api.sock")}
        top = self.site.binary("controlplane", "cli", "culvert")
        child = os.spawnve(os.P_NOWAIT, top, [top, "top"], environment)
        try:
            os.waitpid(child, 0)
        except KeyboardInterrupt:
            os.waitpid(child, 0)


def main():
    parser = argparse.ArgumentParser(prog="dev run")
    parser.add_argument("--once", action="store_true", help="prove it and exit")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.chdir(REPO)
    with Site(os.path.join(REPO, "build", "release")) as site:
        demo = Demo(site)
        demo.bring_up()
        demo.dns()
        demo.balance()
        demo.flood()
        if not options.once:
            demo.stay()
    print(f"\n{GREEN}The lab is down; nothing is left of it.{PLAIN}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
