# SPDX-License-Identifier: Apache-2.0
"""Access lists and limits, under floods from culvert-pktgen."""

import json

import pytest

from tests.lab.load import generate, start_generator
from tests.lab.site import CLIENT4, CLIENT6, DNS4, IPIP4, IPIP6, site_document
from tests.lab.wait import wait_until


def curl(site, address, *options, check=True):
    host = f"[{address}]" if ":" in address else address
    return site.client.run("curl", "-sS", "--max-time", "3", *options, f"http://{host}/", check=check)


def change(site, document):
    site.apply(document)
    wait_until(site.planes_ready, "the change in the data plane")


@pytest.mark.parametrize("source, address", [(CLIENT4, IPIP4), (CLIENT6, IPIP6)])
def test_access_list(fresh_site, source, address):
    site = fresh_site
    length = 128 if ":" in source else 32
    document = site_document()
    document["access"] = [{"deny": f"{source}/{length}"}]
    change(site, document)
    before = site.reasons().get("drop-access", 0)
    assert curl(site, address, check=False).returncode == 28  # timed out
    assert site.reasons()["drop-access"] > before
    wider = f"{source.rsplit('.', 1)[0]}.0/24" if "." in source else "2001:db8:18::/64"
    document["access"] = [{"deny": wider}, {"allow": f"{source}/{length}"}]
    change(site, document)
    assert "backend" in curl(site, address).stdout


@pytest.mark.parametrize("address, sources", [(IPIP4, "198.18.0.66/32"), (IPIP6, "2001:db8:18::66/128")])
def test_flood_of_one_source_is_limited(fresh_site, address, sources):
    site = fresh_site
    document = site_document()
    document["limits"]["per-client"] = {
        "per": "source/32", "per6": "source/128", "packets": "1000/s", "burst": 100,
    }  # fmt: skip
    for name in ("web", "web6"):
        document["vips"][name]["limits"] = ["per-client"]
    change(site, document)
    target = f"[{address}]:80" if ":" in address else f"{address}:80"
    flood = start_generator(
        site, "--profile", "syn", "--sources", sources, "--to", target, "--rate", "50k", "--duration", "4"
    )
    wait_until(lambda: site.reasons().get("drop-limit", 0) > 1000, "the limit to act")
    for _ in range(10):  # another source is not touched
        assert "backend" in curl(site, address).stdout
    report = flood()
    passed = report["sent"] - site.reasons()["drop-limit"]
    # A bucket of 100 and 1000/s: what got through is bounded by time alone.
    assert passed <= 100 + 1000 * (report["seconds"] + 2)


def test_limit_of_a_whole_virtual_ip_in_bytes(fresh_site):
    site = fresh_site
    document = site_document()
    document["limits"]["whole"] = {"per": "vip", "bytes": "20k/s", "burst-bytes": "20k"}
    document["vips"]["web"]["limits"] = ["whole"]
    change(site, document)
    generate(
        site, "--profile", "tcp", "--sources", "198.18.0.64/26", "--to", f"{IPIP4}:80",
        "--rate", "20k", "--duration", "1", "--size", "500",
    )  # fmt: skip
    assert site.reasons()["drop-limit-bytes"] > 1000


def test_dns_limit(fresh_site):
    site = fresh_site
    document = site_document()
    document["limits"]["queries"] = {"per": "source/24", "packets": "100/s", "burst": 50}
    document["dns"]["limits"] = ["queries"]
    change(site, document)
    queries = site.directory + "/queries"
    with open(queries, "w") as file:
        file.write("www.example.com A\nnope.example.com A\n")
    report = generate(
        site, "--profile", "dns", "--queries", queries, "--to", DNS4, "--rate", "5k", "--duration", "2"
    )
    assert site.reasons()["drop-limit"] > 0.8 * report["sent"]
    assert json.dumps(report)
