# SPDX-License-Identifier: Apache-2.0
"""The checker of histories finds what it is there to find."""

import random

from tests.lab.history import Op, linearizable


def put(value, begin, end):
    return Op("put", value, begin, end)


def get(value, begin, end):
    return Op("get", value, begin, end)


def test_what_one_register_explains():
    assert linearizable([])
    assert linearizable([get(None, 0, 1), put("a", 2, 3), get("a", 4, 5)])
    assert linearizable([put("a", 0, 10), get(None, 1, 2), get("a", 3, 4)])  # a takes effect between the reads
    assert linearizable([put("a", 0, 5), put("b", 0, 5), get("a", 6, 7)])
    assert linearizable([put("a", 0, 1), put("b", 2, None), get("a", 3, 4), get("b", 9, 10)])  # late, but before it
    assert linearizable([put("a", 0, 1), put("b", 2, None), get("a", 3, 4)])  # b never happened


def test_what_it_does_not():
    assert not linearizable([put("a", 0, 1), get(None, 2, 3)])  # lost
    assert not linearizable([put("a", 0, 1), put("b", 2, 3), get("a", 4, 5)])  # stale
    assert not linearizable([put("a", 0, 10), get("a", 1, 2), get(None, 3, 4)])  # gone again
    assert not linearizable([put("a", 0, 9), put("b", 0, 9), get("a", 10, 11), get("b", 12, 13)])
    assert not linearizable([get("x", 0, 1)])


def history(seed, broken):
    """Of a register that answers at a moment within each operation; broken: one read is of the value before."""
    source, value, before, time, ops = random.Random(seed), None, None, 0.0, []
    for number in range(60):
        time += 1
        spread = source.random() * 3
        if source.random() < 0.5:
            before, value = value, number
            ops.append(put(number, time - spread, time + spread))
        else:
            ops.append(get(value, time - spread, time + spread))
    if broken:
        ops += [put("last", 100, 101), get(before, 102, 103)]
    return ops


def test_many():
    for seed in range(100):
        assert linearizable(history(seed, False)), seed
        assert not linearizable(history(seed, True)), seed
