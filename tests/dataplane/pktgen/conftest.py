# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.dataplane.pktgen.rig import Rig


@pytest.fixture
def rig(build):
    with Rig(build) as made:
        yield made
        for process in made.processes:
            print(f"--- {process.name}\n{process.log()}")
