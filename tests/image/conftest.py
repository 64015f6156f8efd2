# SPDX-License-Identifier: Apache-2.0
"""The image is made once; each test boots a copy of it."""

import os
import subprocess

import pytest

from tests.conftest import REPO
from tests.image.machine import make_tap
from tests.lab.namespaces import Lab


FOLDER = os.path.join(REPO, "build", "image")


def make_image(*options):
    subprocess.run([f"{REPO}/images/build", f"{REPO}/build/release", FOLDER, *options], check=True)


@pytest.fixture(scope="session")
def image():
    make_image()
    return os.path.join(FOLDER, "culvert.qcow2")


@pytest.fixture(scope="session")
def formats(image):
    """The folder of the image in all formats."""
    make_image("--all")
    return FOLDER


@pytest.fixture(scope="module")
def lab():
    yield from Lab().shown()


@pytest.fixture(scope="module")
def client(lab):
    """The host at the other end of the appliance's cable."""
    client = lab.namespace("client")
    make_tap(client, address="198.18.0.1/24")
    client.ip("route", "add", "192.0.2.0/24", "via", "198.18.0.2")
    return client
