# SPDX-License-Identifier: Apache-2.0
"""Clients of several etcd fronts that note what they do, and what they note is checked.

Run as a program it is the clients: `python3 -m tests.lab.history FILE SECONDS CLIENTS ADDRESS...` writes a line of
JSON for every operation. Keys live for a while and are replaced, so that each has a short history. Beside them are
watchers of all these keys, and clients that bind keys to leases. What is right is told by `tests.lab.linear`.
"""

import base64
import http.client
import json
import random
import signal
import sys
import threading
import time

KEYS, KEY_SECONDS = 4, 2.0
TIMEOUT = 4.0
WATCHERS, LEASERS = 3, 2
WATCH_SECONDS = 5.0  # the most that a watcher stays with a node
LEASE_TTL = 3


def _text(text):
    return base64.b64encode(text.encode()).decode()


def _plain(text):
    return base64.b64decode(text).decode()


def _value(pairs):
    return _plain(pairs[0]["value"]) if pairs else None


def _revision(answer):
    return int(answer["header"]["revision"])


class Client:
    """One client on the JSON gateway, on one node at a time."""

    def __init__(self, number, addresses, log, deadline):
        self.number, self.addresses, self.log, self.deadline = number, addresses, log, deadline
        self.random = random.Random(number)
        self.connection = None
        self.count = 0
        self.seen = {}  # what was read last of a key
        self.ended = threading.Event()

    def connect(self):
        """To any node. ValueError: it is down."""
        connection = http.client.HTTPConnection(self.random.choice(self.addresses), timeout=TIMEOUT)
        try:
            connection.connect()
        except OSError:
            raise ValueError("no connection") from None
        self.connection = connection

    def leave(self):
        self.connection.close()
        self.connection = None

    def call(self, path, body):
        """The answer, or None when it isn't known what came of it. ValueError: it did not happen."""
        if self.connection is None:
            self.connect()
        try:
            self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            data = json.loads(answer.read())
            if answer.status == 200:
                return data
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass
        self.leave()
        return None

    def note(self, **what):
        self.log.write(json.dumps(what) + "\n")

    def new_value(self):
        self.count += 1
        return f"{self.number}.{self.count}"

    # Each operation: the answer, and what is noted of it but for its times; without an answer, of what is unknown.

    def put(self, key):
        value = self.new_value()
        answer = self.call("/v3/kv/put", {"key": _text(key), "value": _text(value)})
        self.seen[key] = value
        return answer, {"value": value}

    def get(self, key):
        answer = self.call("/v3/kv/range", {"key": _text(key)})
        value = _value((answer or {}).get("kvs"))
        self.seen[key] = value
        return answer, {"value": value}

    def delete(self, key):
        answer = self.call("/v3/kv/deleterange", {"key": _text(key), "prev_kv": True})
        return answer, {"value": _value((answer or {}).get("prev_kvs"))}

    def swap(self, key):
        """A transaction: if the key has the value that was seen last, it gets another."""
        old, value = self.seen.get(key), self.new_value()
        guard = {"target": "VALUE", "value": _text(old)} if old else {"target": "CREATE", "create_revision": "0"}
        body = {
            "compare": [{"key": _text(key), **guard}],
            "success": [{"request_put": {"key": _text(key), "value": _text(value)}}],
            "failure": [{"request_range": {"key": _text(key)}}],
        }
        answer = self.call("/v3/kv/txn", body)
        if answer is None or answer.get("succeeded"):
            self.seen[key] = value
            return answer, {"old": old, "value": value}
        self.seen[key] = _value(answer["responses"][0]["response_range"].get("kvs"))
        return answer, {"kind": "miss", "old": old, "value": self.seen[key]}

    def step(self):
        key = f"h/{int(time.time() / KEY_SECONDS)}/{self.random.randrange(KEYS)}"
        kind = self.random.choices(["put", "get", "delete", "swap"], weights=[3, 4, 1, 2])[0]
        begin = time.monotonic()
        try:
            answer, what = getattr(self, kind)(key)
        except ValueError:
            self.ended.wait(0.02)  # a node that is down is not asked without pause
            return
        if answer is None and kind == "get":
            return
        end, revision = (time.monotonic(), _revision(answer)) if answer else (None, None)
        self.note(**{"key": key, "kind": kind, "begin": begin, "end": end, "revision": revision, **what})

    def run(self):
        while time.monotonic() < self.deadline and not self.ended.is_set():
            self.step()


class Watcher(Client):
    """Sees all changes of the clients' keys, over resumptions on any node."""

    next_revision = 1

    def step(self):
        create = {"key": _text("h/"), "range_end": _text("h0"), "start_revision": str(self.next_revision)}
        until = time.monotonic() + self.random.uniform(0.5, WATCH_SECONDS)
        try:
            self.connect()
        except ValueError:
            self.ended.wait(0.02)
            return
        try:
            self.connection.request("POST", "/v3/watch", json.dumps({"create_request": create}))
            answer = self.connection.getresponse()
            while not self.ended.is_set() and time.monotonic() < until:
                line = answer.readline()
                if not line.endswith(b"\n"):
                    break
                self.take(json.loads(line).get("result", {}))
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass
        self.leave()

    def take(self, result):
        assert not result.get("canceled"), result
        for event in result.get("events", []):
            pair = event["kv"]
            revision = int(pair["mod_revision"])
            gone = event.get("type") == "DELETE"
            self.note(watcher=self.number, revision=revision, key=_plain(pair["key"]), gone=gone,
                      value=None if gone else _plain(pair["value"]), version=int(pair.get("version", 0)))  # fmt: skip
            self.next_revision = revision + 1


class Leaser(Client):
    """Binds one key after the other to a lease, keeps that alive for a while, and looks at the key until it is gone."""

    def sure(self, path, body):
        """Asks until there is an answer: when the question that was answered began, and the answer."""
        while not self.ended.is_set():
            begin = time.monotonic()
            try:
                answer = self.call(path, body)
            except ValueError:
                answer = None
            if answer is not None:
                return begin, answer
            self.ended.wait(0.02)
        raise ValueError("the end")

    def step(self):
        key, lease = f"l/{self.number}/{self.new_value()}", self.random.randrange(1, 2**62)
        try:
            self.live(key, str(lease))
        except ValueError:
            pass

    def live(self, key, lease):
        begin = time.monotonic()
        answer = self.call("/v3/lease/grant", {"ID": lease, "TTL": LEASE_TTL})
        if answer is None:
            return
        self.note(lease=key, kind="keep", begin=begin, ttl=LEASE_TTL)
        if self.call("/v3/kv/put", {"key": _text(key), "value": "", "lease": lease}) is None:
            return
        self.note(lease=key, kind="put", end=time.monotonic())
        keeps = self.random.randrange(3)
        while True:
            begin, answer = self.sure("/v3/kv/range", {"key": _text(key)})
            there = "kvs" in answer
            self.note(lease=key, kind="get", begin=begin, end=time.monotonic(), there=there)
            if not there:
                return
            if keeps and self.random.random() < 0.1:
                keeps -= 1
                begin = time.monotonic()
                answer = self.call("/v3/lease/keepalive", {"ID": lease})
                if answer and int(answer["result"].get("TTL", 0)) > 0:
                    self.note(lease=key, kind="keep", begin=begin, ttl=LEASE_TTL)
            self.ended.wait(0.1)


class Log:
    """Whole lines of many threads."""

    def __init__(self, file):
        self.file, self.lock = file, threading.Lock()

    def write(self, line):
        with self.lock:
            self.file.write(line)


def main():
    path, seconds, count, *addresses = sys.argv[1:]
    deadline = time.monotonic() + float(seconds)
    kinds = [Client] * int(count) + [Watcher] * WATCHERS + [Leaser] * LEASERS
    clients = []
    # What is under way is ended and noted: others may have seen it.
    signal.signal(signal.SIGTERM, lambda *_: [client.ended.set() for client in clients])
    with open(path, "a", buffering=1) as file:
        log = Log(file)
        clients += [kind(n, addresses, log, deadline) for n, kind in enumerate(kinds)]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
