# SPDX-License-Identifier: Apache-2.0
"""culvert support-bundle: it has what helps, and no secret of the node, whatever its form."""

import base64
import os
import stat
import subprocess
import tarfile

from tests.controlplane.daemon.conftest import SITE

DNS_KEY = "000102030405060708090a0b0c0d0e0f"


def private_keys(folder):
    """The private keys in a folder, as text lines and as bytes."""
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                data = file.read()
            if name == "site.key":
                yield data
                yield data.hex().encode()
            for part in data.split(b"-----BEGIN ")[1:]:
                if b"PRIVATE KEY-----" in part.split(b"\n")[0]:
                    lines = part.split(b"-----END")[0].split(b"\n")[1:-1]
                    yield from (line for line in lines if len(line) >= 16)
                    yield base64.b64decode(b"".join(lines))


def words(daemon, *command):
    """The words that a command prints, with all that looks like a secret among them."""
    done = daemon.culvert(*command)
    assert done.returncode == 0, done.stderr
    return [word for word in done.stdout.split() if len(word) >= 24]


def test_no_secrets(daemon, tmp_path):
    secrets = [DNS_KEY.encode(), bytes.fromhex(DNS_KEY), *private_keys(daemon.state_dir)]
    assert len(secrets) >= 4
    daemon.write(SITE + f"dns: {{ listen: [192.0.2.53], key: {DNS_KEY} }}\n")
    assert daemon.culvert("apply", daemon.site).returncode == 0
    token = words(daemon, "token", "create", "ops", "--role", "reader")
    assert token
    secrets += [word.encode() for word in token]
    daemon.write(SITE + f"dns: {{ listen: [192.0.2.54], key: {DNS_KEY[::-1]} }}\n")
    assert daemon.culvert("apply", daemon.site).returncode == 0  # the history has the key before
    secrets += [DNS_KEY[::-1].encode()]

    path = str(tmp_path / "bundle.tar")
    done = daemon.culvert("--socket", daemon.path, "support-bundle", path)
    assert done.returncode == 0 and "look through it" in done.stdout
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, "rb") as file:
        data = file.read()
    assert [secret for secret in secrets if secret in data] == []

    with tarfile.open(path) as bundle:
        files = {member.name: bundle.extractfile(member).read().decode() for member in bundle}
    names = ("status", "site.json", "history", "contents", "network/addresses")
    assert {f"culvert-support/{name}" for name in names} <= set(files)
    assert "site       lab" in files["culvert-support/status"]
    assert '"key":"(removed)"' in files["culvert-support/site.json"].replace(" ", "")
    assert daemon.culvert("support-bundle", path).returncode == 1  # nothing is overwritten


def test_without_culvertd(idle, tmp_path):
    """That is when one is needed."""
    path = str(tmp_path / "bundle.tar")
    assert idle.culvert("support-bundle", path).returncode == 0
    with tarfile.open(path) as bundle:
        status = bundle.extractfile("culvert-support/status").read().decode()
    assert "culvertd is not running" in status


def test_output(idle, tmp_path):
    with open(tmp_path / "bundle.tar", "wb") as file:
        subprocess.run([idle.client, "support-bundle", "-"], stdout=file, check=True, timeout=120)
    with tarfile.open(tmp_path / "bundle.tar") as bundle:
        assert "culvert-support/contents" in bundle.getnames()
    assert idle.culvert("support-bundle", "/nowhere/b.tar").stderr.count("\n") == 1
