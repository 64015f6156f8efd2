# SPDX-License-Identifier: Apache-2.0
"""Power cuts at random moments of boot, apply and update: it always comes up, nothing acknowledged is lost.

An appliance boots for the first time, takes changes, loses its power, boots again, then takes an
update and starts it; all that it writes is logged. Of that, disks are made as after cuts
(tests/image/power.py). Most are looked at from here: the data partition must mount, culvertd start
with every revision that had been acknowledged by then, and the file system be whole; what the boot
loader would start must be a whole system, and the old one be there to return to. Some are booted.

CULVERT_POWER_CUTS says how many (200; where the long tests don't run, as in CI, the first boot's share of 30),
CULVERT_SEED repeats a run.
"""

import collections
import dataclasses
import glob
import json
import os
import random
import shutil
import subprocess

import pytest

from tests.image.conftest import FOLDER
from tests.image.machine import Machine, make_tap
from tests.image.power import Replay, WriteLog
from tests.image.slots import Disk, System, version_of
from tests.image.test_boot import NETWORK, SITE
from tests.image.test_update import GOOD, SERVER, UPDATE, status, variant
from tests.lab.namespaces import sh
from tests.lab.wait import wait_until

LONG = pytest.mark.long
CUTS = os.environ.get("CULVERT_POWER_CUTS")
SEED = int(os.environ.get("CULVERT_SEED") or random.SystemRandom().randrange(1 << 32))
CHANGES = 12
DISK_MIB = 1400
ESP, ESP_BYTES = 1 << 20, 128 << 20  # images/parts.sh
# How many of the cuts are of which phase, in tenths.
SHARES = {"first": 4, "second": 2, "update": 4}
UPDATED = "the update"


@dataclasses.dataclass
class Phase:
    """A time of an appliance's life: the disk at its begin, what was written, what was acknowledged."""

    name: str
    disk: str
    log: WriteLog
    # Comments of revisions and UPDATED, each with the log's length when it was known to be kept.
    acknowledged: list

    def known(self, index):
        """What had been acknowledged before the entry was begun."""
        place = self.log.entries[index].place if index < len(self.log.entries) else 1 << 62
        return {comment for size, comment in self.acknowledged if size <= place}


class Recorder:
    """An appliance whose writes are logged, through several times of being on."""

    def __init__(self, folder, image, namespace):
        self.folder = folder
        self.image = image
        self.namespace = namespace
        self.disk = os.path.join(folder, "disk.qcow2")
        self.phases = []
        self.acknowledged = []
        self.raw = os.path.join(folder, "begin.raw")
        sh("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, self.disk, f"{DISK_MIB}M")
        sh("qemu-img", "convert", "-O", "raw", self.disk, self.raw)

    def power_on(self, name, work):
        """Boots, does `work(machine, acknowledge)`, takes the power away: a phase."""
        path = os.path.join(self.folder, f"{name}.log")
        given = {"culvert.site": SITE, "network.network.50-lab": NETWORK}
        noted = [(0, comment) for _, comment in self.acknowledged]

        def acknowledge(comment):
            noted.append((os.path.getsize(path), comment))

        console = os.path.join(self.folder, f"{name}.console")
        options = ("--keep", self.disk, "--log-writes", path)
        with Machine(self.namespace, self.image, console, given, options) as machine:
            machine.boot()
            wait_until(lambda: machine.run("culvert status")[0] == 0, "culvertd", timeout=300, pause=1)
            work(machine, acknowledge)
            machine.kill()
        self.acknowledged = noted
        self.phases.append(Phase(name, self.raw, WriteLog(path), noted))
        self.raw = os.path.join(self.folder, f"{name}.raw")
        sh("qemu-img", "convert", "-O", "raw", self.disk, self.raw)


def change(machine, acknowledge, number):
    """One more revision; acknowledged when the command has ended well."""
    text = SITE.replace("198.51.100.7", f"198.51.100.{number}")
    machine.write("/root/site.yaml", text)
    machine.check(f"culvert apply /root/site.yaml --comment change-{number}")
    acknowledge(f"change-{number}")


def update(machine, acknowledge):
    """Takes the update, starts it, and waits until it is trusted."""
    machine.check(f"culvert system update http://{SERVER}:8000/{GOOD}.update", timeout=UPDATE)
    acknowledge(UPDATED)
    machine.console.sendline("reboot")
    machine.expect("BdsDxe: starting")
    machine.boot()
    wait_until(lambda: runs(machine) == (GOOD, "good"), "the trial's end", timeout=600, pause=1)


def runs(machine):
    running = status(machine)["running"]
    return running["version"], running["state"]


@pytest.fixture(scope="module")
def systems(image, lab):
    """The image's system and that of the update."""
    built = os.path.dirname(image)
    (own,) = glob.glob(os.path.join(built, "culvert-*.update"))
    return [System.of(own), System.of(variant(built, lab.directory, GOOD, {}))]


def first(machine, acknowledge):
    wait_until(lambda: history(machine), "the site that was given", timeout=300, pause=1)
    acknowledge("given at first start")
    for number in range(10, 10 + CHANGES):
        change(machine, acknowledge, number)


def second(machine, acknowledge):
    change(machine, acknowledge, 100)


WORK = {"first": first, "second": second, "update": update}


class Phases:
    """The phases by name, each recorded when it is first asked for, after those before it."""

    def __init__(self, recorder):
        self.recorder = recorder

    def __getitem__(self, name):
        names = list(WORK)
        for one in names[len(self.recorder.phases) : names.index(name) + 1]:
            self.recorder.power_on(one, WORK[one])
            phase = self.recorder.phases[-1]
            print(f"{one}: {len(phase.log.entries)} writes and flushes, {phase.log.entries[-1].place >> 20} MiB")
        return self.recorder.phases[names.index(name)]


@pytest.fixture(scope="module")
def phases(image, lab, systems):
    namespace = lab.namespace("power")
    make_tap(namespace, address=f"{SERVER}/24")
    namespace.start("updates", "python3", "-m", "http.server", "-d", lab.directory, "8000")
    return Phases(Recorder(lab.directory, image, namespace))


def history(machine):
    done = machine.run("culvert history --stale -o json")[1]
    return [one.get("comment", "") for one in json.loads(done)["revisions"]]


class Data:
    """The data partition of a disk, mounted, with a culvertd on it."""

    def __init__(self, lab, build, disk):
        """`disk` has one."""
        self.lab = lab
        self.build = build
        self.disk = disk.path
        self.begin = disk.begins["culvert-data"]
        self.mount = os.path.join(lab.directory, "mnt")
        self.run = os.path.join(lab.directory, "run")
        os.makedirs(self.mount, exist_ok=True)

    def culvert(self, *words):
        command = os.path.join(self.build, "controlplane", "cli", "culvert")
        return subprocess.run(
            [command, "--socket", os.path.join(self.run, "api.sock"), *words], capture_output=True, text=True, check=False
        )

    def comments(self):
        """Mounts, starts culvertd, and tells the comments of its revisions; the file system must be whole."""
        sh("mount", "-o", f"loop,offset={self.begin}", self.disk, self.mount)
        try:
            found = self._comments(os.path.join(self.mount, "lib", "culvert"))
        finally:
            sh("umount", self.mount)
        # The appliance's own e2fsck: no other is needed for anything here.
        root = os.path.join(FOLDER, "root", "usr")
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{root}/lib/x86_64-linux-gnu"}
        sh(f"{root}/sbin/e2fsck", "-fn", f"{self.disk}?offset={self.begin}", env=environment)
        return found

    def _comments(self, state):
        shutil.rmtree(self.run, ignore_errors=True)
        os.makedirs(self.run)
        os.makedirs(state, exist_ok=True)
        command = os.path.join(self.build, "controlplane", "culvertd")
        namespace = self.lab.namespaces["power"]
        daemon = namespace.start(
            "culvertd", command, "--state-dir", state, "--run-dir", self.run, "--listen", "none", "--etcd", "none"
        )  # fmt: skip

        def answer():
            assert daemon.alive(), daemon.log()
            done = self.culvert("history", "-o", "json")
            assert done.returncode == 0, done.stderr + daemon.log()
            return done.stdout

        try:
            found = json.loads(wait_until(answer, "culvertd's answer", timeout=60))["revisions"]
        finally:
            daemon.stop()
        return {one.get("comment", "") for one in found}


def moments(phase, count, generator):
    """Random places in the log, in order; as many of them in each part of it."""
    last = len(phase.log.entries)
    step = last / count
    return [int(step * i + generator.random() * step) for i in range(count)]


def check(disk, known, data):
    """What must be so after any cut; the entry that would start."""
    entries = disk.entries()
    old = next(iter(disk.systems))
    assert entries and disk.whole(entries[0]), f"{entries}: the first doesn't start"
    assert disk.whole(f"culvert-{old}.efi"), f"{entries}: nothing to return to"
    assert UPDATED not in known or version_of(entries[0]) == GOOD, f"{entries}: the update is lost"
    complaints = disk.complaints()
    # Who removes one of two names then, takes the content of the other.
    assert "share clusters." not in complaints, f"{entries}: {complaints}"
    lost = known - {UPDATED} - (data.comments() if data else set())
    assert not lost, f"{lost} had been acknowledged"
    return entries[0].removeprefix("culvert-"), complaints


@pytest.fixture(scope="module")
def cuts(request):
    """How many, of all phases."""
    long = any(item.get_closest_marker("long") for item in request.session.items)
    return int(CUTS or (200 if long else 30))


@pytest.mark.parametrize("name", ["first", pytest.param("second", marks=LONG), pytest.param("update", marks=LONG)])
def test_cuts(phases, systems, lab, build, cuts, name):
    phase = phases[name]
    count = cuts * SHARES[name] // sum(SHARES.values())
    print(f"CULVERT_SEED={SEED} CULVERT_POWER_CUTS={cuts}")
    generator = random.Random(f"{SEED} {name}")
    path, work = (os.path.join(lab.directory, file) for file in ("cut.raw", "work"))
    seen, complaints = collections.Counter(), collections.Counter()
    with Replay(phase.disk, phase.log, os.path.join(lab.directory, "stable.raw")) as replay:
        for index in moments(phase, count, generator):
            replay.cut(index, generator, path)
            disk = Disk(path, systems, work)
            data = Data(lab, build, disk) if "culvert-data" in disk.begins else None
            try:
                first, found = check(disk, phase.known(index), data)
            except Exception as error:
                raise AssertionError(f"after a cut at {index} of {len(phase.log.entries)} in {name}: {error}") from error
            seen[first] += 1
            seen["without data partition"] += not data
            complaints.update(found)
    print(f"{count} cuts, would start: {dict(seen)}; fsck.fat: {dict(complaints)}")


@LONG
def test_cuts_while_entries_change(phases, systems, lab):
    """At each small write to the EFI system partition of an update: names are in them, and file tables."""
    phase = phases["update"]
    print(f"CULVERT_SEED={SEED}")
    generator = random.Random(f"{SEED} entries")
    path, work = (os.path.join(lab.directory, file) for file in ("cut.raw", "work"))
    esp = range(ESP, ESP + ESP_BYTES)
    places = [i + 1 for i, one in enumerate(phase.log.entries) if 0 < one.length <= 4096 and one.begin in esp]
    seen = collections.Counter()
    with Replay(phase.disk, phase.log, os.path.join(lab.directory, "stable.raw")) as replay:
        for index in places:
            replay.cut(index, generator, path)
            try:
                seen[check(Disk(path, systems, work), phase.known(index) & {UPDATED}, None)[0]] += 1
            except Exception as error:
                raise AssertionError(f"after a cut at {index} of {len(phase.log.entries)}: {error}") from error
    print(f"{len(places)} cuts, would start: {dict(seen)}")


@LONG
@pytest.mark.parametrize("name, share", [("first", 0.05), ("first", 0.6), ("second", 0.3), ("update", 0.4), ("update", 0.8)])
def test_boots_after_a_cut(phases, systems, lab, image, name, share):
    """A whole boot: the site is there and takes the next change; what was to start is trusted."""
    phase = phases[name]
    print(f"CULVERT_SEED={SEED}")
    generator = random.Random(f"{SEED} boot {name} {share}")
    index = int(len(phase.log.entries) * (share + generator.random() * 0.1))
    path = os.path.join(lab.directory, "cut.raw")
    with Replay(phase.disk, phase.log, os.path.join(lab.directory, "stable.raw")) as replay:
        replay.cut(index, generator, path)
    first = Disk(path, systems, os.path.join(lab.directory, "work")).entries()[0]
    print(f"a cut at {index} of {len(phase.log.entries)}: {first} is to start")
    top = os.path.join(lab.directory, "boot.qcow2")
    sh("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", path, top)
    given = {"culvert.site": SITE, "network.network.50-lab": NETWORK}
    console = os.path.join(lab.directory, f"console-{name}-{share}")
    known = phase.known(index) - {UPDATED}
    with Machine(lab.namespaces["power"], image, console, given, ("--keep", top)) as machine:
        machine.boot()
        wait_until(lambda: known <= set(history(machine)), "what was acknowledged", timeout=300, pause=1)
        wait_until(lambda: history(machine), "a site", timeout=300, pause=1)
        change(machine, lambda comment: None, 200)
        wait_until(lambda: runs(machine) == (version_of(first), "good"), "a trial's end", timeout=600, pause=1)
        assert machine.check("systemctl --failed --no-legend --plain --no-pager") == ""
    os.unlink(top)


def test_a_flush_that_does_nothing_is_found(phases, systems, lab, build):
    """The test's own test: a drive that loses what was flushed loses what was acknowledged."""
    phase = phases["first"]
    path = os.path.join(lab.directory, "cut.raw")
    size, first = next((size, comment) for size, comment in phase.acknowledged if comment.startswith("change-"))
    before = next(i for i, entry in enumerate(phase.log.entries) if entry.place >= size)
    with Replay(phase.disk, phase.log, os.path.join(lab.directory, "stable.raw")) as replay:
        replay.cut(before, random.Random(1), path)
    comments = Data(lab, build, Disk(path, systems, None)).comments()
    assert first in comments and phase.known(len(phase.log.entries)) - comments
