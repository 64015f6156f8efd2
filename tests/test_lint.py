# SPDX-License-Identifier: Apache-2.0
"""Style is a failing test: clang-format, clang-tidy, shellcheck and the checks of our own."""

import concurrent.futures
import json
import os
import subprocess

from tests.conftest import REPO
from tests.lint import style


def run(*command):
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)


def sources(*endings):
    return [path for path in style.tracked() if path.endswith(endings)]


def test_clang_format():
    done = run("clang-format", "--dry-run", "--Werror", *sources(".c", ".h"))
    assert done.returncode == 0, done.stderr[-4000:] + "\n`./dev fmt` mends it"


def test_house_rules():
    assert list(style.findings()) == []


def test_shellcheck():
    scripts = ["dev", ".ci/run", *sources(".sh")]
    done = run("shellcheck", "--severity=info", "--exclude=SC1091,SC2015", *scripts)
    assert done.returncode == 0, done.stdout


def test_clang_tidy():
    with open(os.path.join(REPO, "build", "release", "compile_commands.json")) as file:
        units = {os.path.normpath(os.path.join(unit["directory"], unit["file"])) for unit in json.load(file)}
    units = sorted(unit for unit in units if unit.startswith(REPO) and "/build/" not in unit)
    assert units

    def tidy(unit):
        return run("clang-tidy", "--quiet", "-p", "build/release", unit)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [done.stdout for done in pool.map(tidy, units) if done.returncode]
    assert not faults, "\n".join(faults)[-8000:]
