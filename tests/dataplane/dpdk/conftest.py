# SPDX-License-Identifier: Apache-2.0
"""`rig`: two namespaces and the DPDK data plane's binary; nothing runs yet."""

import pytest

from tests.dataplane.dpdk.rig import Rig


@pytest.fixture
def rig(build):
    yield from Rig(build).shown()
