# SPDX-License-Identifier: Apache-2.0
"""Virtual IPs with real clients: every mode, both families, changes under way."""

import json

import pytest

from tests.lab.site import (
    CLIENT4,
    CLIENT6,
    DSR,
    IPIP4,
    IPIP6,
    L2VIP4,
    L2VIP6,
    NAT,
    NATVIP4,
    NATVIP6,
    site_document,
)
from tests.lab.wait import wait_until

VIPS = [
    (IPIP4, CLIENT4, DSR, "lb-ipip"),
    (IPIP6, CLIENT6, DSR, "lb-ipip"),
    (L2VIP4, CLIENT4, DSR, "lb-l2"),
    (L2VIP6, CLIENT6, DSR, "lb-l2"),
    (NATVIP4, CLIENT4, NAT, "lb-nat"),
    (NATVIP6, CLIENT6, NAT, "lb-nat"),
]


def url(address, path=""):
    return f"http://[{address}]/{path}" if ":" in address else f"http://{address}/{path}"


def curl(site, address, path="", *options):
    return site.client.run("curl", "-sS", "--max-time", "20", *options, url(address, path))


@pytest.mark.parametrize("address, client, backends, reason", VIPS)
def test_http(site, address, client, backends, reason):
    before = site.reasons().get(reason, 0)
    seen = set()
    for _ in range(30):
        answer = json.loads(curl(site, address).stdout)
        assert answer["client"] == client
        seen.add(answer["backend"])
    assert seen == set(backends)
    wait_until(lambda: site.reasons().get(reason, 0) >= before + 30 * 4, f"the counter {reason}")


@pytest.mark.parametrize("address, client, backends, reason", VIPS)
def test_large_transfer(site, address, client, backends, reason):
    done = curl(site, address, "bytes/2000000", "-o", "/dev/null", "-w", "%{size_download}")
    assert done.stdout == "2000000"


@pytest.mark.parametrize("address", [IPIP4, IPIP6, L2VIP4, NATVIP4])
def test_ping(site, address):
    out = site.client.run("ping", "-c", "3", "-i", "0.05", "-W", "5", address).stdout
    assert " 0% packet loss" in out


def test_ping_of_a_large_packet(site):
    assert " 0% packet loss" in site.client.run("ping", "-c", "1", "-s", "1400", "-W", "5", IPIP4).stdout


def test_udp(site):
    code = (
        "import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(5);"
        f"s.sendto(b'hello',('{IPIP4}',9000));d,a=s.recvfrom(100);print(d.decode(),a[0])"
    )
    backend, text, source = site.client.run("python3", "-c", code).stdout.split()
    assert backend in DSR
    assert (text, source) == ("hello", IPIP4)


def test_port_without_a_service_is_dropped(site):
    before = site.reasons().get("drop-no-service", 0)
    site.client.run("curl", "-sS", "--max-time", "1", f"http://{IPIP4}:81/", check=False)
    wait_until(lambda: site.reasons().get("drop-no-service", 0) > before, "the counter")


def test_counters_name_the_backends(site):
    before = {(b["pool"], b["name"]): b["packets"] for b in site.culvert_json("counters")["backends"]}
    for _ in range(20):
        curl(site, IPIP4)

    def grew():
        now = {(b["pool"], b["name"]): b["packets"] for b in site.culvert_json("counters")["backends"]}
        return all(now[("web", name)] > before.get(("web", name), 0) for name in DSR)

    wait_until(grew, "both backends' counters")


@pytest.mark.parametrize("address, pool", [(NATVIP4, "app"), (NATVIP6, "app6")])
def test_error_of_a_backend_reaches_the_client(fresh_site, address, pool):
    """No backend listens there: its kernel says so to a client that knows only the virtual IP."""
    site = fresh_site
    document = site_document()
    document["vips"]["closed"] = {
        "address": address, "protocol": "udp", "ports": [9999], "mode": "nat", "pool": pool, "port": 9998
    }  # fmt: skip
    site.apply(document)
    wait_until(site.planes_ready, "the change in the data plane")
    code = (
        "import socket,sys;s=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
        "socket.SOCK_DGRAM);s.settimeout(5);s.connect((sys.argv[1],9999));s.send(b'hello')\n"
        "try: s.recv(100)\n"
        "except ConnectionRefusedError: print('refused')"
    )

    def forwarded():  # the first one goes the kernel's way if it must resolve the router's address
        assert site.client.run("python3", "-c", code, address).stdout == "refused\n"
        return site.reasons().get("lb-nat-back", 0)

    assert site.client.run("python3", "-c", code, address).stdout == "refused\n"
    wait_until(forwarded, "an error that XDP sends on", timeout=40)


def start_slow_download(site, address):
    """A download that goes on for a while; returns the process and the backend that serves it."""
    process = site.client.start(
        "slow", "curl", "-sS", "-D", "-", "-o", "/dev/null", "--limit-rate", "300k", url(address, "slow/1500000")
    )
    head = wait_until(lambda: "X-Backend" in process.log() and process.log(), "the answer's head")
    return process, head.split("X-Backend: ")[1].split()[0]


@pytest.mark.parametrize("address, pool", [(IPIP4, "web"), (IPIP6, "web6"), (NATVIP4, "app")])
def test_drained_backend_keeps_its_flows(fresh_site, address, pool):
    site = fresh_site
    process, backend = start_slow_download(site, address)
    document = site_document()
    document["pools"][pool]["backends"][backend]["drain"] = True
    document["pools"][pool]["drain"] = "1m"
    site.apply(document)
    wait_until(site.planes_ready, "the change in the data plane")
    others = {json.loads(curl(site, address).stdout)["backend"] for _ in range(20)}
    assert backend not in others
    assert process.popen.wait(60) == 0, process.log()


def test_backend_added_and_removed(fresh_site):
    site = fresh_site
    document = site_document()
    removed = document["pools"]["web"]["backends"].pop("web2")
    site.apply(document)
    wait_until(site.planes_ready, "the change in the data plane")
    assert {json.loads(curl(site, IPIP4).stdout)["backend"] for _ in range(20)} == {"web1"}
    document["pools"]["web"]["backends"]["web2"] = removed
    site.apply(document)
    wait_until(site.planes_ready, "the change in the data plane")
    assert {json.loads(curl(site, IPIP4).stdout)["backend"] for _ in range(30)} == {"web1", "web2"}
