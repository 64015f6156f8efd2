# SPDX-License-Identifier: Apache-2.0
"""Programs as people write them with python3-etcd3: locks around a counter, a lease kept alive, a writer, a watcher.

`python3 -m tests.lab.etcd3_clients ADDRESS...`. Each client is with one node, and goes on by another one when that fails
it. Prints a line of JSON with how far each has come, again and again; ends on SIGTERM, with 1 if something was wrong.
"""

import contextlib
import faulthandler
import json
import random
import signal
import sys
import threading
import traceback

import etcd3
import grpc

from tests.lab.wait import wait_until

PORT = 2379
LOCK_TTL, LEASE_TTL = 3, 8
ended = threading.Event()
problems = []


class Worker:
    """Does one thing again and again, whatever happens to nodes."""

    def __init__(self, addresses):
        self.addresses, self.client = addresses, None
        self.done = self.moves = 0

    def run(self):
        while not ended.is_set():
            try:
                if self.client is None:
                    self.client = etcd3.client(host=random.choice(self.addresses), port=PORT, timeout=4)
                self.step()
            except (etcd3.exceptions.Etcd3Exception, grpc.RpcError):
                self.client.close()
                self.client = None
                self.moves += 1
                ended.wait(0.05)
            except Exception:
                problems.append(traceback.format_exc())
                ended.set()


class Counter(Worker):
    """Counts up under a lock. A lock of this library is a key with a lease: that it is held still is part of the write."""

    numbers, unknown = [], []

    def step(self):
        lock = self.client.lock("counter", ttl=LOCK_TTL)
        if not self.acquire(lock):
            return
        compare = self.client.transactions
        before = self.client.get("counter")[0]
        there = compare.value("counter") == before if before else compare.create("counter") == 0
        number = int(before or 0) + 1
        self.unknown.append(number)
        counted, _ = self.client.transaction(
            compare=[compare.value(lock.key) == lock.uuid, there],
            success=[compare.put("counter", str(number))],
            failure=[],
        )
        self.unknown.remove(number)
        if counted:
            self.numbers.append(number)
        lock.release()

    def acquire(self, lock):
        """Whether the lock is ours; waits where it isn't. The library's own way to wait for one that is held ends in a
        TypeError with Debian 13's tenacity; and of a watch whose connection is lost it takes the error for an event."""
        try:
            return lock.acquire(timeout=5)
        except TypeError:
            with contextlib.suppress(etcd3.exceptions.WatchTimedOut, AttributeError):
                self.client.watch_once(lock.key, 1)
            return False

    @classmethod
    def judge(cls, client):
        last = int(client.get("counter")[0])
        if len(set(cls.numbers)) != len(cls.numbers):
            problems.append(f"the lock was held twice: {sorted(cls.numbers)}")
        if not set(range(1, last + 1)) <= set(cls.numbers) | set(cls.unknown) or max(cls.numbers) > last:
            problems.append(f"the counter is {last} after {sorted(cls.numbers)}, and perhaps {cls.unknown}")


class Keeper(Worker):
    """Keeps a lease, whose key must never go."""

    lease = random.randrange(1, 2**62)
    kept = False

    def step(self):
        if not self.kept:
            self.client.put("alive", "x", self.client.lease(LEASE_TTL, self.lease))
            self.kept = True
        left = next(iter(etcd3.Lease(self.lease, LEASE_TTL, self.client).refresh())).TTL
        if left <= 0 or self.client.get("alive")[0] is None:
            problems.append(f"the lease that is kept alive has gone: {left} s are left")
            ended.set()
        self.done += 1
        ended.wait(0.2)


class Writer(Worker):
    """Writes w/0, w/1 and so on, each once."""

    def step(self):
        self.client.put_if_not_exists(f"w/{self.done}", str(self.done))
        self.done += 1
        ended.wait(0.02)


class Watcher(Worker):
    """Sees them all, in order, from the first."""

    revision = 1

    def step(self):
        events, _ = self.client.watch_prefix("w/", start_revision=self.revision)
        for event in events:
            if event.key != f"w/{self.done}".encode():
                problems.append(f"the watch saw {event.key} where w/{self.done} was due")
                ended.set()
            self.done += 1
            self.revision = event.mod_revision + 1


def main():
    workers = [kind(sys.argv[1:]) for kind in (Counter, Counter, Counter, Keeper, Writer, Watcher, Watcher)]
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    faulthandler.register(signal.SIGUSR1)  # where each thread is
    threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    while not ended.wait(0.2):  # the lock of this library is not a fair one: those who count are counted together
        print(json.dumps([len(Counter.numbers), *(worker.done for worker in workers[3:])]), flush=True)
    for thread, worker in zip(threads, workers, strict=True):
        if not isinstance(worker, Watcher):  # that one waits for an event
            thread.join(20)
    Counter.judge(etcd3.client(host=sys.argv[1], port=PORT, timeout=20))
    writer, watchers = workers[4], workers[5:]
    wait_until(lambda: all(watcher.done >= writer.done for watcher in watchers), f"{writer.done} keys to be seen")
    print("moves", [worker.moves for worker in workers], "counted", len(Counter.numbers), *problems, flush=True)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
