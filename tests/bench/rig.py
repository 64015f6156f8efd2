# SPDX-License-Identifier: Apache-2.0
"""A generator and the appliance on one cable; every backend is behind the generator's MAC."""


from tests.lab.site import Site

VIP, DNS, BACKENDS = "192.0.2.10", "192.0.2.53", 16


def zone_text(names):
    head = "$ORIGIN example.com.\n$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n"
    return head + "".join(f"hx{n:06x} A 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\n" for n in range(names))


def backends(first=0):
    return {f"b{n}": {"address": f"10.1.{first + n >> 8 & 255}.{first + n & 255}"} for n in range(BACKENDS)}


def site_document():
    vip = {"address": VIP, "protocol": "tcp", "mode": "dsr-ipip", "pool": "web"}
    return {
        "site": "bench",
        "interfaces": {"eth0": {"driver": "xdp"}},
        "pools": {"web": {"buckets": 65536, "backends": backends(1)}},
        "vips": {"web": {**vip, "ports": [80]}, "limited": {**vip, "ports": [81], "limits": ["none"]}},
        "limits": {"none": {"per": "source/32", "packets": "1/s", "burst": 1}},
        "dns": {"listen": [DNS]},
        "zones": {"example.com": {"file": "example.com.zone"}},
    }


class Rig(Site):
    """Two namespaces and a cable, with the lab site's way of running the appliance's processes."""

    def _build(self):
        self.client = self.namespace("generator")
        self.appliance = self.namespace("appliance")
        for namespace in (self.client, self.appliance):
            self._quiet(namespace)
        self.cable(self.client, "eth0", self.appliance, "eth0")
        self._address(self.client, "eth0", "10.9.0.1/24")
        self._address(self.appliance, "eth0", "10.9.0.2/24")
        self.appliance.ip("route", "add", "default", "via", "10.9.0.1")
        self.client.ip("route", "add", "default", "via", "10.9.0.2")
        for here, there, address in ((self.appliance, self.client, "10.9.0.1"), (self.client, self.appliance, "10.9.0.2")):
            mac = there.mac("eth0")
            here.ip("neigh", "replace", address, "lladdr", mac, "dev", "eth0", "nud", "permanent")

    def detach_xdp(self):
        self.xdp.stop()
        self.appliance.run(
            self.binary("dataplane", "xdp", "culvert-xdp"), "--detach", "--run-dir", self.run_dir, "--pin-dir", self.pin_dir
        )
