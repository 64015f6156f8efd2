# SPDX-License-Identifier: Apache-2.0
"""Whether what clients of a store have noted (tests.lab.history) can be what a right store has answered."""

import collections
import json

# `value`: what a put or swap wrote; what a get or miss read; what a delete has removed. `old`: what a swap or miss
# compared with. `end` None: it is unknown whether it happened, or will yet. None as a value: no such key.
Op = collections.namedtuple("Op", "kind value begin end old revision", defaults=(None, None))
Event = collections.namedtuple("Event", "revision key value version gone")
REFUSED = object()


class History:
    """All notes of a run."""

    def __init__(self, path):
        self.keys, self.watchers, self.leases = (collections.defaultdict(list) for _ in range(3))
        with open(path) as file:
            for line in file:
                if line.endswith("\n"):
                    self.add(json.loads(line))

    def add(self, note):
        if "watcher" in note:
            self.watchers[note.pop("watcher")].append(Event(**note))
        elif "lease" in note:
            self.leases[note["lease"]].append(note)
        else:
            self.keys[note.pop("key")].append(Op(**note))

    def operations(self):
        return [op for operations in self.keys.values() for op in operations]

    def problems(self):
        """What no right store explains, in words."""
        found = [f"{key} is not linearizable" for key, operations in self.keys.items() if not linearizable(operations)]
        done = [(op.revision, key, None if op.kind == "delete" else op.value)
                for key, operations in self.keys.items() for op in operations if changed(op)]  # fmt: skip
        for number, events in self.watchers.items():
            found += [f"watcher {number}: {problem}" for problem in watch_problems(events, done)]
        for key, notes in self.leases.items():
            found += [f"{key}: {problem}" for problem in lease_problems(notes)]
        return found


# ---- one key ----


def changed(op):
    """Whether an operation is known to have changed its key."""
    return op.end is not None and (op.kind in ("put", "swap") or (op.kind == "delete" and op.value is not None))


def step(op, value):
    """The key's value after the operation; REFUSED: it can't have been there."""
    if op.kind == "put":
        return op.value
    if op.kind == "swap":
        return op.value if value == op.old else REFUSED
    if op.kind == "delete":
        return None if op.end is None or value == op.value else REFUSED
    if op.kind == "miss" and value == op.old:
        return REFUSED
    return value if value == op.value else REFUSED


def _read_by(operations):
    """The end of the first operation that has seen a value."""
    first = {}
    for op in operations:
        seen = op.old if op.kind == "swap" else None if op.kind == "put" else op.value
        if op.end is not None and seen is not None:
            first[seen] = min(op.end, first.get(seen, op.end))
    return first


def _certain(operations):
    """The operations that happened, by their begin, and deletions that may have. A write that is unknown and was read
    came before the end of that read; one that nobody read explains nothing and is left out."""
    possible = [op for op in operations if op.end is None and op.kind == "delete"]
    certain = [op for op in operations if op.end is not None]
    unknown = [op for op in operations if op.end is None and op.kind != "delete"]
    found = True
    while found:  # a swap that happened has read, too
        first = _read_by(certain)
        found = [op for op in unknown if op.value in first]
        unknown = [op for op in unknown if op.value not in first]
        certain += [op._replace(end=first[op.value]) for op in found]
    return sorted(certain, key=lambda op: op.begin), possible


def linearizable(operations):
    """Whether one register explains them, each at one moment between its begin and end (Wing and Gong's search with
    Lowe's memory of states)."""
    ops, possible = _certain(operations)
    stack, visited = [(0, frozenset(), frozenset(), None)], set()
    # A state: all before `first` are done, and those of `more`, and these of the possible ones; the register's value.
    while stack:
        first, more, perhaps, value = stack.pop()
        while first in more:
            more -= {first}
            first += 1
        if first == len(ops):
            return True
        if (first, more, perhaps, value) in visited:
            continue
        visited.add((first, more, perhaps, value))
        bound = float("inf")
        for i in range(first, len(ops)):
            if ops[i].begin > bound:
                break
            if i in more:
                continue
            bound = min(bound, ops[i].end)
            after = step(ops[i], value)
            if after is not REFUSED:
                stack.append((first, more | {i}, perhaps, after))
        if value is not None:
            for i, op in enumerate(possible):
                if i not in perhaps and op.begin <= bound:
                    stack.append((first, more, perhaps | {i}, None))
    return False


# ---- a watcher ----


def watch_problems(events, done):
    """Every change once and in order: revisions only grow, each version of a key follows the one before it, and all
    that was acknowledged, [(revision, key, value)], is there, up to the last revision that was seen."""
    problems, last, versions = [], 0, collections.defaultdict(int)
    for event in events:
        if event.revision <= last:
            problems.append(f"{event} after revision {last}")
        last = max(last, event.revision)
        if event.gone and not versions[event.key]:
            problems.append(f"{event} of a key that is not there")
        if not event.gone and event.version != versions[event.key] + 1:
            problems.append(f"{event} after version {versions[event.key]}")
        versions[event.key] = 0 if event.gone else event.version
    seen = {(event.revision, event.key, event.value) for event in events}
    problems += [f"{one} was not seen" for one in sorted(done, key=lambda one: one[0]) if one[0] <= last and one not in seen]
    return problems


# ---- a key with a lease ----


def lease_problems(notes):
    """It is there from its put on, as long as the lease lasts from its grant or a keep-alive, and once gone it stays
    so. Grants and keep-alives count from their begin: they can't have been done before."""
    problems, put_end, until, gone_by = [], None, 0, None
    for note in notes:
        if note["kind"] == "keep":
            until = max(until, note["begin"] + note["ttl"])
        elif note["kind"] == "put":
            put_end = note["end"]
        elif note["there"]:
            if gone_by is not None and note["begin"] > gone_by:
                problems.append(f"is there again: {note}")
        else:
            gone_by = note["end"] if gone_by is None else min(gone_by, note["end"])
            if put_end is not None and note["begin"] > put_end and note["end"] < until:
                problems.append(f"is gone {until - note['end']:.2f} s before its time: {note}")
    return problems
