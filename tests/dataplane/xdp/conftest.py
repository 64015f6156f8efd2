# SPDX-License-Identifier: Apache-2.0
"""`rig`: two namespaces and the data plane's binaries; nothing runs yet."""

import pytest

from tests.dataplane.xdp.rig import Rig


@pytest.fixture
def rig(build):
    yield from Rig(build).shown()
