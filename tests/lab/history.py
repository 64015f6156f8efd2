# SPDX-License-Identifier: Apache-2.0
"""Clients of several etcd fronts that note what they do, and the check that their history is linearizable.

Run as a program it is the clients: `python3 -m tests.lab.history FILE SECONDS CLIENTS ADDRESS...` writes a line of
JSON for every operation. Keys live for a while and are replaced, so that each has a short history.
"""

import base64
import collections
import http.client
import json
import random
import signal
import sys
import threading
import time

KEYS, KEY_SECONDS = 4, 2.0
TIMEOUT = 4.0

# status: True done; None unknown (it may have happened, or happen yet); what failed is not noted.
Op = collections.namedtuple("Op", "kind value begin end")


def _text(text):
    return base64.b64encode(text.encode()).decode()


class Client:
    """One client on the JSON gateway, on one node at a time."""

    def __init__(self, number, addresses, log, lock, deadline):
        self.number, self.addresses, self.log, self.lock, self.deadline = number, addresses, log, lock, deadline
        self.random = random.Random(number)
        self.connection = None
        self.count = 0
        self.ended = threading.Event()

    def call(self, path, body):
        """The answer, or None when it isn't known what came of it. ValueError: it did not happen."""
        if self.connection is None:
            address = self.random.choice(self.addresses)
            connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
            try:
                connection.connect()
            except OSError:
                raise ValueError("no connection") from None
            self.connection = connection
        try:
            self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            data = json.loads(answer.read())
            if answer.status == 200:
                return data
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass
        self.connection.close()
        self.connection = None
        return None

    def step(self):
        now = time.time()
        key = f"h/{int(now / KEY_SECONDS)}/{self.random.randrange(KEYS)}"
        writes = self.random.random() < 0.5
        value = None
        begin = time.monotonic()
        try:
            if writes:
                self.count += 1
                value = f"{self.number}.{self.count}"
                answer = self.call("/v3/kv/put", {"key": _text(key), "value": _text(value)})
            else:
                answer = self.call("/v3/kv/range", {"key": _text(key)})
                pairs = (answer or {}).get("kvs", [])
                value = base64.b64decode(pairs[0]["value"]).decode() if pairs else None
        except ValueError:
            self.ended.wait(0.02)  # a node that is down is not asked without pause
            return
        end = time.monotonic() if answer is not None else None
        if answer is None and not writes:
            return
        line = json.dumps({"key": key, "kind": "put" if writes else "get", "value": value, "begin": begin, "end": end})
        with self.lock:
            self.log.write(line + "\n")

    def run(self):
        while time.monotonic() < self.deadline and not self.ended.is_set():
            self.step()


def read(path):
    """The operations by key."""
    keys = collections.defaultdict(list)
    with open(path) as file:
        for line in file:
            if line.endswith("\n"):
                one = json.loads(line)
                keys[one["key"]].append(Op(one["kind"], one["value"], one["begin"], one["end"]))
    return keys


def _certain(operations):
    """The operations that happened, by their begin. A write that is unknown and was read came before the end of that
    read; one that nobody read explains nothing and is left out."""
    read_by = {}
    for op in operations:
        if op.kind == "get":
            read_by[op.value] = min(op.end, read_by.get(op.value, op.end))
    certain = [op if op.end is not None else op._replace(end=read_by.get(op.value)) for op in operations]
    return sorted((op for op in certain if op.end is not None), key=lambda op: op.begin)


def linearizable(operations):
    """Whether one register explains them, each at one moment between its begin and end (Wing and Gong's search with
    Lowe's memory of states)."""
    ops = _certain(operations)
    stack, visited = [(0, frozenset(), None)], set()
    # A state: all before `first` are done, and those of `more`; the register's value.
    while stack:
        first, more, value = stack.pop()
        while first in more:
            more -= {first}
            first += 1
        if first == len(ops):
            return True
        if (first, more, value) in visited:
            continue
        visited.add((first, more, value))
        bound = float("inf")
        for i in range(first, len(ops)):
            if ops[i].begin > bound:
                break
            if i in more:
                continue
            bound = min(bound, ops[i].end)
            if ops[i].kind == "put" or ops[i].value == value:
                stack.append((first, more | {i}, ops[i].value if ops[i].kind == "put" else value))
    return False


def check(path):
    """Keys whose history is not linearizable, and how many operations there were in all."""
    keys = read(path)
    return [key for key, operations in keys.items() if not linearizable(operations)], sum(map(len, keys.values()))


def main():
    path, seconds, count, *addresses = sys.argv[1:]
    lock, deadline = threading.Lock(), time.monotonic() + float(seconds)
    clients = []
    # What is under way is ended and noted: others may have seen it.
    signal.signal(signal.SIGTERM, lambda *_: [client.ended.set() for client in clients])
    with open(path, "a", buffering=1) as log:
        clients += [Client(n, addresses, log, lock, deadline) for n in range(int(count))]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
