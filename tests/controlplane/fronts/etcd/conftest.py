# SPDX-License-Identifier: Apache-2.0
"""Servers for the tests of this folder; each module has its own."""

import pytest

from tests.controlplane.fronts.etcd import rig


@pytest.fixture
def server(asan):
    """The front, fresh for a test, watched by the sanitizers."""
    with rig.lab() as lab:
        started = rig.front(lab, asan)
        yield started
        rig.stop(started)


@pytest.fixture(scope="module")
def pair(asan):
    """The front and a real etcd, for one story after the other on keys of their own."""
    with rig.lab() as lab:
        both = rig.front(lab, asan), rig.real(lab)
        yield both
        rig.stop(both[0])
