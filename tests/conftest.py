# SPDX-License-Identifier: Apache-2.0
"""Where things are; the builds are made by `dev` before pytest starts."""

import os

import pytest

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="the long tests, too")


def pytest_collection_modifyitems(config, items):
    """Without --all the long ones run when asked for by path."""
    if config.getoption("all") or config.args_source is pytest.Config.ArgsSource.ARGS:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in set(long)]


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
