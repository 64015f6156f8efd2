# SPDX-License-Identifier: Apache-2.0
"""Where things are; the builds are made by `dev` before pytest starts."""

import os

import pytest

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(scope="session")
def repo():
    return REPO


@pytest.fixture(scope="session")
def build():
    """The release build."""
    return os.path.join(REPO, "build", "release")


@pytest.fixture(scope="session")
def asan():
    """The build with the address and undefined-behaviour sanitizers."""
    return os.path.join(REPO, "build", "asan")
