# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.dataplane.pktgen.rig import BACKENDS, Rig


@pytest.fixture(params=BACKENDS)
def rig(build, request):
    """Two namespaces, for either back end."""
    with Rig(build, request.param) as made:
        yield made
        for process in made.processes:
            print(f"--- {process.name}\n{process.log()}")


@pytest.fixture
def xdp(build):
    """The same for what only XDP does."""
    with Rig(build, "xdp") as made:
        yield made
        for process in made.processes:
            print(f"--- {process.name}\n{process.log()}")
