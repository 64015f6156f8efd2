# SPDX-License-Identifier: Apache-2.0
"""Sites for the tests: `site` is shared by a module's tests, `fresh_site` is a test's own."""

import pytest

from tests.lab.site import Site, site_document


def _serving(build, document, backends=True):
    site = Site(build)
    try:
        site.start_culvertd()
        site.start_xdp()
        if backends:
            site.start_backends()
        site.apply(document)
        site.wait_ready()
    except BaseException:
        for process in site.processes:
            print(f"--- {process.name}\n{process.log()}")
        site.close()
        raise
    return site


@pytest.fixture(scope="module")
def site(build):
    """The lab site, serving: not to be changed by a test beyond what it puts back."""
    serving = _serving(build, site_document())
    yield serving
    serving.close()


@pytest.fixture
def fresh_site(build):
    """The lab site, serving, for tests that break things."""
    serving = _serving(build, site_document())
    yield serving
    serving.close()
