# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition instead of for a while."""

import time


class Timeout(AssertionError):
    """The condition did not come true in time."""


def wait_until(condition, what, timeout=20.0, pause=0.02):
    """Calls `condition` until it returns something true, and returns that.

    The bound is there to end a broken run, not to measure: it is far above what is expected.
    An exception of `condition` counts as "not yet" and is told when time runs out.
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except Exception as error:  # told below
            last = error
        if time.monotonic() > deadline:
            raise Timeout(f"waited {timeout:.0f} s for {what}; last seen: {last!r}")
        time.sleep(pause)
