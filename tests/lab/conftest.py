# SPDX-License-Identifier: Apache-2.0
"""Sites for the tests: `site` is shared by a module's tests, `fresh_site` is a test's own."""

import pytest

from tests.lab.site import Site, site_document


def _serving(build, document, backends=True, driver="xdp"):
    site = Site(build, driver)
    try:
        site.start_culvertd()
        site.start_plane()
        if backends:
            site.start_backends()
        site.apply(document)
        site.wait_ready()
    except BaseException:
        site.show_logs()
        site.close()
        raise
    return site


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def site(build, request):
    """The lab site, serving: not to be changed by a test beyond what it puts back. By either data plane."""
    serving = _serving(build, site_document(request.param), driver=request.param)
    yield serving
    serving.close()


@pytest.fixture
def fresh_site(build):
    """The lab site, serving, for tests that break things."""
    serving = _serving(build, site_document())
    yield serving
    serving.close()
