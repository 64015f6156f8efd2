# SPDX-License-Identifier: Apache-2.0
"""The checkers of histories find what they are there to find."""

import json
import random

from tests.lab.linear import Event, History, Op, lease_problems, linearizable, watch_problems


def put(value, begin, end):
    return Op("put", value, begin, end)


def get(value, begin, end):
    return Op("get", value, begin, end)


def delete(value, begin, end):
    return Op("delete", value, begin, end)


def swap(old, value, begin, end):
    return Op("swap", value, begin, end, old)


def miss(old, value, begin, end):
    return Op("miss", value, begin, end, old)


def test_what_one_register_explains():
    for operations in (
        [],
        [get(None, 0, 1), put("a", 2, 3), get("a", 4, 5)],
        [put("a", 0, 10), get(None, 1, 2), get("a", 3, 4)],  # a takes effect between the reads
        [put("a", 0, 5), put("b", 0, 5), get("a", 6, 7)],
        [put("a", 0, 1), put("b", 2, None), get("a", 3, 4), get("b", 9, 10)],  # late, but before it
        [put("a", 0, 1), put("b", 2, None), get("a", 3, 4)],  # b never happened
        [put("a", 0, 1), delete("a", 2, 3), get(None, 4, 5), delete(None, 6, 7)],
        [put("a", 0, 1), delete(None, 2, None), get("a", 3, 4), get(None, 9, 10)],  # late
        [put("a", 0, 1), delete(None, 2, None), get("a", 3, 4)],  # never
        [swap(None, "a", 0, 1), swap("a", "b", 2, 3), miss("a", "b", 4, 5), get("b", 6, 7)],
        [put("a", 0, 1), swap("a", "b", 2, None), swap("b", "c", 3, None), get("c", 4, 5)],  # c's swap has read b
        [put("a", 0, 1), swap("a", "b", 2, None), get("a", 4, 5)],
        [put("a", 0, 1), delete("a", 0, 9), miss("a", None, 2, 3)],
    ):
        assert linearizable(operations), operations


def test_what_it_does_not():
    for operations in (
        [put("a", 0, 1), get(None, 2, 3)],  # lost
        [put("a", 0, 1), put("b", 2, 3), get("a", 4, 5)],  # stale
        [put("a", 0, 10), get("a", 1, 2), get(None, 3, 4)],  # gone again
        [put("a", 0, 9), put("b", 0, 9), get("a", 10, 11), get("b", 12, 13)],
        [get("x", 0, 1)],
        # deletions
        [put("a", 0, 1), delete("a", 2, 3), get("a", 4, 5)],  # not done
        [put("a", 0, 1), delete(None, 2, 3)],  # found nothing
        [put("a", 0, 1), delete("a", 2, 3), delete("a", 4, 5)],  # twice
        [put("a", 0, 1), get(None, 2, 3), delete(None, 4, None)],  # before its begin
        # comparisons
        [put("a", 0, 1), swap("a", "b", 2, 3), swap("a", "c", 4, 5)],  # both have won
        [swap(None, "a", 0, 9), swap(None, "b", 0, 9)],
        [put("a", 0, 1), swap("b", "c", 2, 3)],  # won against another value
        [put("a", 0, 1), miss("a", "a", 2, 3)],  # lost against what it compared with
        [put("a", 0, 1), miss("b", "c", 2, 3)],  # read what was not there
        [put("a", 0, 1), swap("a", "b", 2, None), get("b", 3, 4), get("a", 5, 6)],
    ):
        assert not linearizable(operations), operations


def history(seed, broken):
    """Of a register that answers at a moment within each operation; broken: one read is of the value before."""
    source, value, before, time, ops = random.Random(seed), None, None, 0.0, []
    for number in range(60):
        time += 1
        spread = source.random() * 3
        kind = source.choice(["put", "get", "delete", "swap", "miss"])
        times = (time - spread, time + spread)
        if kind == "put":
            before, value = value, number
            ops.append(put(number, *times))
        elif kind == "get":
            ops.append(get(value, *times))
        elif kind == "delete":
            ops.append(delete(value, *times))
            before, value = value, None
        elif kind == "swap":
            ops.append(swap(value, number, *times))
            before, value = value, number
        else:
            ops.append(miss("other", value, *times))
    if broken:
        ops += [put("last", 100, 101), get(before, 102, 103)]
    return ops


def test_many():
    for seed in range(100):
        assert linearizable(history(seed, False)), seed
        assert not linearizable(history(seed, True)), seed


# What a watcher of two keys sees.
SEEN = [
    Event(2, "x", "a", 1, False),
    Event(3, "y", "b", 1, False),
    Event(5, "x", "c", 2, False),
    Event(6, "x", None, 0, True),
    Event(8, "x", "d", 1, False),
]
DONE = [(2, "x", "a"), (5, "x", "c"), (6, "x", None), (9, "x", "e")]  # the last one it has not seen yet


def test_watchers():
    assert not watch_problems([], DONE)
    assert not watch_problems(SEEN, DONE)
    for broken, word in (
        ([SEEN[0], *SEEN], "after revision 2"),  # twice
        ([SEEN[1], SEEN[0], *SEEN[2:]], "after revision 3"),  # out of order
        ([SEEN[0], SEEN[1], *SEEN[3:]], "(5, 'x', 'c') was not seen"),
        ([SEEN[0], *SEEN[3:]], "was not seen"),
        (SEEN[2:], "after version 0"),  # one is missing that nobody was told of
        ([*SEEN[:3], SEEN[4]], "after version 2"),  # so is a deletion
        (SEEN[3:], "not there"),
        ([*SEEN[:2], SEEN[2]._replace(value="z"), *SEEN[3:]], "was not seen"),
    ):
        assert word in str(watch_problems(broken, DONE)), broken


def keep(begin):
    return {"lease": "l", "kind": "keep", "begin": begin, "ttl": 3}


def bound(end):
    return {"lease": "l", "kind": "put", "end": end}


def look(begin, end, there):
    return {"lease": "l", "kind": "get", "begin": begin, "end": end, "there": there}


def test_leases():
    for right in (
        [keep(0), bound(1), look(2, 3, True), look(3.5, 3.6, False)],
        [keep(0), bound(1), look(2, 5, False)],  # it may have gone at 4
        [keep(0), bound(1), keep(2), look(4.5, 4.9, True), look(6, 7, False), look(8, 9, False)],
        [keep(0), bound(1), look(9, 10, True)],  # late, as while nobody leads
        [keep(0)],
    ):
        assert not lease_problems(right), right
    for wrong, word in (
        ([keep(0), bound(1), look(2, 2.5, False)], "0.50 s before its time"),
        ([keep(0), bound(1), keep(2), look(4, 4.5, False)], "before its time"),
        ([keep(0), bound(1), look(3, 4, False), look(5, 6, True)], "there again"),
    ):
        assert word in str(lease_problems(wrong)), wrong


def test_a_file(tmp_path):
    """All kinds of notes, each with something wrong."""
    notes = [
        {"key": "h/1", "kind": "put", "begin": 0, "end": 1, "revision": 2, "value": "a"},
        {"key": "h/1", "kind": "miss", "begin": 2, "end": 3, "revision": 2, "old": "b", "value": "b"},
        {"watcher": 7, "revision": 3, "key": "h/1", "value": "c", "version": 2, "gone": False},
        keep(0), bound(1), look(1.1, 1.2, False),
    ]  # fmt: skip
    path = tmp_path / "history"
    path.write_text("".join(json.dumps(note) + "\n" for note in notes) + '{"key": "cut')
    found = History(path)
    assert len(found.operations()) == 2
    problems = found.problems()
    assert [problem.split(":")[0] for problem in problems] == ["h/1 is not linearizable", "watcher 7", "watcher 7", "l"], problems
