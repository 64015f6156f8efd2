# SPDX-License-Identifier: Apache-2.0
"""The lab site: a client, a router, a switch with the appliance and the backends on it.

    client 198.18.0.10 ── router ── switch ── appliance 10.0.0.2
                                      ├────── web1, web2  10.0.0.11, .12  (dsr: the virtual IP is on lo)
                                      └────── nat1, nat2  10.0.0.21, .22  (their gateway: the appliance)

The router sends 192.0.2.0/24 and 2001:db8:2::/64, where the service addresses are, to the appliance.
With DPDK as its driver the appliance's NIC is nic0 (through AF_XDP), and eth0 the TAP device beside it.
"""

import json
import os

import yaml

from tests.lab.namespaces import Lab
from tests.lab.wait import wait_until

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

CLIENT4, CLIENT6 = "198.18.0.10", "2001:db8:18::10"
APPLIANCE4, APPLIANCE6 = "10.0.0.2", "2001:db8:10::2"
DSR = {"web1": 11, "web2": 12}
NAT = {"nat1": 21, "nat2": 22}
DNS4, DNS6 = "192.0.2.53", "2001:db8:2::53"
IPIP4, IPIP6 = "192.0.2.10", "2001:db8:2::10"
L2VIP4, L2VIP6 = "192.0.2.20", "2001:db8:2::20"
NATVIP4, NATVIP6 = "192.0.2.30", "2001:db8:2::30"

ZONE = """\
$ORIGIN example.com.
$TTL 300
@       SOA   ns1 hostmaster 1 7200 900 1209600 300
        NS    ns1
        MX    10 mail
        TXT   "a culvert carries a stream under a road"
ns1     A     192.0.2.53
        AAAA  2001:db8:2::53
www     A     192.0.2.10
        AAAA  2001:db8:2::10
mail    A     192.0.2.10
ftp     CNAME www
*.dyn   A     192.0.2.99
sub     NS    ns.sub
ns.sub  A     198.51.100.53
a.b.ent TXT   "deep"
"""


def backend4(name):
    return f"10.0.0.{(DSR | NAT)[name]}"


def backend6(name):
    return f"2001:db8:10::{(DSR | NAT)[name]}"


INTERFACES = {"xdp": {"driver": "xdp"}, "dpdk": {"driver": "dpdk", "device": "net_af_xdp0,iface=nic0"}}


def site_document(driver="xdp"):
    """The lab's site file, as a dict (written as YAML by `Site.apply`)."""

    def pool(names, address, **options):
        return {**options, "backends": {name: {"address": address(name)} for name in names}}

    def vip(address, mode, pool_name, **options):
        return {"address": address, "protocol": "tcp", "ports": [80], "mode": mode, "pool": pool_name} | options

    return {
        "site": "lab",
        "interfaces": {"eth0": INTERFACES[driver]},
        "pools": {
            "web": pool(DSR, backend4, drain="2s"),
            "web6": pool(DSR, backend6, drain="2s"),
            "app": pool(NAT, backend4),
            "app6": pool(NAT, backend6),
        },
        "vips": {
            "web": vip(IPIP4, "dsr-ipip", "web", ports=[80, 443], limits=["per-client"]),
            "web6": vip(IPIP6, "dsr-ipip", "web6", limits=["per-client"]),
            "echo": vip(IPIP4, "dsr-ipip", "web", protocol="udp", ports=[9000]),
            "direct": vip(L2VIP4, "dsr-l2", "web"),
            "direct6": vip(L2VIP6, "dsr-l2", "web6"),
            "app": vip(NATVIP4, "nat", "app", port=8080),
            "app6": vip(NATVIP6, "nat", "app6", port=8080),
        },
        "limits": {
            "per-client": {"per": "source/32", "packets": "20000/s", "burst": 4000},
            "queries": {"per": "source/24", "packets": "50000/s", "burst": 10000},
        },
        "access": [{"deny": "203.0.113.0/24"}, {"deny": "2001:db8:bad::/48"}],
        "dns": {"listen": [DNS4, DNS6], "limits": ["queries"]},
        "zones": {
            "example.com": {"file": "example.com.zone"},
            "example.net": {
                "soa": {"mname": "ns1.example.com.", "rname": "hostmaster.example.com.", "serial": 1},
                "records": {
                    "@": {"NS": ["ns1.example.com."]},
                    "www": {"pool": "web", "ttl": 30},
                    "txt": {"TXT": ['"inline"']},
                },
            },
        },
    }


class Site(Lab):
    """The topology; then `start_culvertd`, `start_plane`, `apply`, `wait_ready` bring the appliance to life."""

    def __init__(self, binaries, driver="xdp"):
        super().__init__()
        self.binaries = binaries  # build/release
        self.driver = driver
        self.run_dir = os.path.join(self.directory, "run")
        self.state_dir = os.path.join(self.directory, "state")
        self.pin_dir = f"/sys/fs/bpf/culvert-{self.run_id}"
        self.culvertd = self.xdp = self.dpdk = None
        os.makedirs(self.run_dir)
        os.makedirs(self.state_dir)
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self):
        self.client = self.namespace("client")
        self.router = self.namespace("router")
        self.switch = self.namespace("switch")
        self.appliance = self.namespace("appliance")
        self.switch.ip("link", "add", "br0", "type", "bridge")
        self.switch.ip("link", "set", "br0", "up")
        for namespace in (self.client, self.router, self.switch, self.appliance):
            self._quiet(namespace)
        self.cable(self.client, "eth0", self.router, "client")
        self.take_xdp_frames(self.router, "client")  # those of culvert-pktgen
        self._address(self.client, "eth0", f"{CLIENT4}/24", "2001:db8:18::10/64")
        self._address(self.router, "client", "198.18.0.1/24", "2001:db8:18::1/64")
        self._route(self.client, "default", "198.18.0.1", "2001:db8:18::1")
        self._plug(self.router, "lan", "10.0.0.1/24", "2001:db8:10::1/64")
        self.router.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        self.appliance.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        if self.driver == "xdp":
            self._plug(self.appliance, "eth0")
            self._address_appliance()
        else:
            self._plug(self.appliance, "nic0")
            self.appliance.sysctl(net__ipv6__conf__nic0__disable_ipv6=1)  # the kernel speaks through eth0
        self.router.ip("route", "add", "192.0.2.0/24", "via", APPLIANCE4)
        self.router.ip("-6", "route", "add", "2001:db8:2::/64", "via", APPLIANCE6)
        self.backends = {}
        for name in [*DSR, *NAT]:
            backend = self.namespace(name)
            self.backends[name] = backend
            self._quiet(backend)
            self._plug(backend, "eth0", f"{backend4(name)}/24", f"{backend6(name)}/64")
            gateway = ("10.0.0.1", "2001:db8:10::1") if name in DSR else (APPLIANCE4, APPLIANCE6)
            self._route(backend, "default", *gateway)

    def _address_appliance(self):
        self._address(self.appliance, "eth0", f"{APPLIANCE4}/24", f"{APPLIANCE6}/64")
        self._route(self.appliance, "default", "10.0.0.1", "2001:db8:10::1")

    @staticmethod
    def _quiet(namespace):
        # No duplicate address detection: addresses work at once. No redirects from the router.
        namespace.sysctl(
            net__ipv6__conf__all__accept_dad=0,
            net__ipv6__conf__default__accept_dad=0,
            net__ipv4__conf__all__rp_filter=0,
            net__ipv4__conf__default__rp_filter=0,
            net__ipv4__conf__all__send_redirects=0,
            net__ipv4__conf__default__send_redirects=0,
        )

    @staticmethod
    def _address(namespace, interface, *addresses):
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            namespace.ip("addr", "add", address, "dev", interface, *extra)

    @staticmethod
    def _route(namespace, target, gateway4, gateway6):
        namespace.ip("route", "add", target, "via", gateway4)
        namespace.ip("-6", "route", "add", target, "via", gateway6)

    def _plug(self, namespace, interface, *addresses):
        port = namespace.name
        self.cable(namespace, interface, self.switch, port)
        self.switch.ip("link", "set", port, "master", "br0")
        self.take_xdp_frames(self.switch, port)
        self._address(namespace, interface, *addresses)

    def take_xdp_frames(self, namespace, interface):
        """Makes a veth end hand on what its peer sends by XDP_TX or redirect."""
        namespace.ip("link", "set", "dev", interface, "xdpdrv", "object", self.binary("tests", "lab", "pass.bpf.o"), "section", "xdp")

    def binary(self, *parts):
        return os.path.join(self.binaries, *parts)

    # ---- the appliance's processes ----

    def start_culvertd(self):
        self.culvertd = self.appliance.start(
            "culvertd", self.binary("controlplane", "culvertd"), "--run-dir", self.run_dir, "--state-dir", self.state_dir
        )
        socket = os.path.join(self.run_dir, "api.sock")
        wait_until(
            lambda: self._up(self.culvertd) and os.path.exists(socket) and self.culvert("version", check=False).returncode == 0,
            "culvertd's API",
        )
        return self.culvertd

    def start_xdp(self, *options):
        self.xdp = self.appliance.start(
            "xdp",
            self.binary("dataplane", "xdp", "culvert-xdp"),
            "--run-dir",
            self.run_dir,
            "--pin-dir",
            self.pin_dir,
            *options,
        )
        return self.xdp

    def start_dpdk(self, *options):
        self.dpdk = self.appliance.start(
            "dpdk",
            self.binary("dataplane", "dpdk", "culvert-dpdk"),
            "--run-dir", self.run_dir, "--no-huge", "--mbufs", "16383", *options,
        )  # fmt: skip
        return self.dpdk

    def start_plane(self):
        return self.start_xdp() if self.driver == "xdp" else self.start_dpdk()

    @staticmethod
    def _up(process):
        if not process.alive():
            raise RuntimeError(f"{process.name} ended with {process.popen.returncode}:\n{process.log()}")
        return True

    def start_backends(self):
        """The echo servers; culvert-decap on the dsr ones, the virtual IPs on their lo."""
        for name, backend in self.backends.items():
            echo = backend.start("echo", "python3", "-m", "tests.lab.echo", name, cwd=REPO)
            if name in DSR:
                for address in (IPIP4, IPIP6, L2VIP4, L2VIP6):
                    self._address(backend, "lo", f"{address}/{128 if ':' in address else 32}")
                decap = backend.start(
                    "decap",
                    self.binary("dataplane", "decap", "culvert-decap"),
                    "--interface", "eth0", "--from", f"{APPLIANCE4}/32", "--from", f"{APPLIANCE6}/128",
                )  # fmt: skip
                wait_until(lambda p=decap: self._up(p) and "ready" in p.log(), f"decap on {name}")
            wait_until(lambda p=echo: self._up(p) and "ready" in p.log(), f"echo on {name}")

    def culvert(self, *words, check=True, **kwargs):
        """Runs the CLI against this site's culvertd."""
        environment = {**os.environ, "CULVERT_SOCKET": os.path.join(self.run_dir, "api.sock")}
        return self.appliance.run(
            self.binary("controlplane", "cli", "culvert"), *words, check=check, env=environment, **kwargs
        )

    def culvert_json(self, *words):
        return json.loads(self.culvert(*words, "-o", "json").stdout)

    def write_site(self, document, zone=ZONE):
        path = os.path.join(self.directory, "site.yaml")
        with open(path, "w") as file:
            yaml.safe_dump(document, file, sort_keys=False)
        with open(os.path.join(self.directory, "example.com.zone"), "w") as file:
            file.write(zone)
        return path

    def apply(self, document, zone=ZONE, check=True):
        return self.culvert("apply", self.write_site(document, zone), check=check)

    def planes_ready(self):
        """True when a data plane holds culvertd's generation and all its interfaces are attached."""
        status = self.culvert_json("status")
        planes = status["planes"]
        return bool(planes) and all(
            plane["connected"]
            and plane["generation"] == status["generation"]
            and plane["state"]["interfaces"]
            and all(i["attached"] for i in plane["state"]["interfaces"])
            for plane in planes
        )

    def wait_ready(self):
        plane = self.xdp if self.driver == "xdp" else self.dpdk
        wait_until(lambda: self._up(plane) and self.planes_ready(), "the data plane to be ready")
        if self.driver == "dpdk":
            self._address_appliance()
            wait_until(self._hops_ready, "the next hops")

    def _hops_ready(self):
        hops = self.culvert_json("status")["planes"][0]["state"]["nexthops"]
        return hops["resolved"] == hops["backends"] > 0

    def reasons(self):
        """Packets by reason since the data plane's start."""
        return {r["name"]: r["packets"] for r in self.culvert_json("counters")["reasons"]}

    def close(self):
        if os.path.isdir(self.pin_dir) and self.xdp:
            self.xdp.stop()
            self.appliance.run(
                self.binary("dataplane", "xdp", "culvert-xdp"),
                "--detach", "--run-dir", self.run_dir, "--pin-dir", self.pin_dir, check=False,
            )  # fmt: skip
        super().close()
