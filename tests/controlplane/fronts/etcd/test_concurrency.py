# SPDX-License-Identifier: Apache-2.0
"""Locks and elections of the server: the same stories to the front and to a real etcd, and what only ours promises."""

import itertools
import json

from tests.controlplane.fronts.etcd.test_same import b64, plain
from tests.lab.wait import wait_until


class Story:
    """What a server answers to one request after the other."""

    numbers = itertools.count()

    def __init__(self, server):
        self.server, self.answers = server, []

    def ask(self, path, **message):
        status, text = self.server.post("/v3/" + path, message)
        answer = plain(json.loads(text))
        self.answers.append((path, message, status, answer))
        return answer

    def grant(self, *leases):
        for lease in leases:
            self.ask("lease/grant", ID=lease, TTL=600)

    def start(self, path, **message):
        """A request that waits."""
        url = f"http://127.0.0.1:2379/v3/{path}"
        return self.server.space.start(f"curl-{next(self.numbers)}", "curl", "-sSN", url, "-d", json.dumps(message))

    def wait_for_key(self, key, there=True):
        wait_until(lambda: bool(self.server.text("get", key)) == there, f"{key!r} to be {'there' if there else 'gone'}")

    def end(self, process):
        """What a request that waited was answered."""
        process.popen.wait(30)
        self.answers.append(plain(json.loads(process.log())))


def same(pair, tell):
    """The story's answers are the same; returns ours."""
    stories = [Story(server) for server in pair]
    revisions = [int(server.json("put", "level", "")["header"]["revision"]) for server in pair]
    for server, revision in zip(pair, revisions, strict=True):
        for _ in range(max(revisions) - revision):
            server.text("put", "level", "")
    for story in stories:
        tell(story)
    for ours, theirs in zip(*(story.answers for story in stories), strict=True):
        assert ours == theirs
    return stories[0].answers


def test_lock(pair):
    def tell(story):
        story.ask("lock/lock", name=b64("l"), lease="404")
        story.grant("10", "11", "-12")
        key = story.ask("lock/lock", name=b64("l"), lease="10")["key"]
        story.ask("lock/lock", name=b64("l"), lease="10")
        story.ask("lock/lock", name=b64("l2"), lease="-12")
        story.ask("lock/lock", lease="11")
        story.ask("kv/range", key=b64("l/"), range_end=b64("l0"))
        story.ask("lock/unlock", key=key)
        story.ask("lock/unlock", key=key)
        story.ask("lock/unlock")

    assert b64("l/a") in json.dumps(same(pair, tell))


def test_lock_without_a_lease(pair):
    for server in pair:
        story = Story(server)
        key = story.ask("lock/lock", name=b64("own"))["key"]
        kv = story.ask("kv/range", key=key)["kvs"][0]
        times = story.ask("lease/timetolive", ID=kv["lease"])
        assert times["grantedTTL"] == "60", times
        story.ask("lock/unlock", key=key)


def test_lock_waits(pair):
    def tell(story):
        story.grant("20", "21", "22", "23")
        first = story.ask("lock/lock", name=b64("w"), lease="20")["key"]
        second = story.start("lock/lock", name=b64("w"), lease="21")
        story.wait_for_key("w/15")
        third = story.start("lock/lock", name=b64("w"), lease="22")
        story.wait_for_key("w/16")
        assert second.alive() and third.alive() and not second.log() + third.log()
        story.ask("lock/unlock", key=first)
        story.end(second)
        assert third.alive()
        story.ask("lease/revoke", ID="21")
        story.end(third)
        fourth = story.start("lock/lock", name=b64("w"), lease="23")
        story.wait_for_key("w/17")
        story.ask("lease/revoke", ID="23")
        story.ask("lease/revoke", ID="22")
        story.end(fourth)

    assert "mutex: session is expired" in str(same(pair, tell)[-1])


def test_a_client_that_gives_up_leaves_the_line(pair):
    def tell(story):
        story.grant("30", "31", "32")
        first = story.ask("lock/lock", name=b64("g"), lease="30")["key"]
        second = story.start("lock/lock", name=b64("g"), lease="31")
        story.wait_for_key("g/1f")
        third = story.start("lock/lock", name=b64("g"), lease="32")
        story.wait_for_key("g/20")
        second.kill()
        story.wait_for_key("g/1f", there=False)
        assert third.alive()
        story.ask("lock/unlock", key=first)
        story.end(third)
        assert int(story.ask("lease/timetolive", ID="31")["TTL"]) > 500
        story.answers.pop()

    same(pair, tell)


def test_etcdctl_stands_in_the_same_line(pair):
    """It locks by keys of its own."""

    def tell(story):
        story.grant("40", "41")
        key = story.ask("lock/lock", name=b64("c"), lease="40")["key"]
        theirs = story.server.start_ctl("ctl", "lock", "c")
        wait_until(lambda: story.server.text("get", "--prefix", "c/", "--keys-only").count("c/") == 2, "etcdctl's key")
        assert not theirs.log()
        ours = story.start("lock/lock", name=b64("c"), lease="41")
        story.wait_for_key("c/29")
        story.ask("lock/unlock", key=key)
        wait_until(lambda: theirs.log().startswith("c/"), "etcdctl to have the lock")
        assert ours.alive()
        theirs.stop()
        story.end(ours)

    for server in pair:
        tell(Story(server))


def test_election(pair):
    def tell(story):
        story.ask("election/leader", name=b64("e"))
        story.ask("election/campaign", name=b64("e"), lease="404", value=b64("x"))
        story.grant("50", "51")
        leader = story.ask("election/campaign", name=b64("e"), lease="50", value=b64("a"))["leader"]
        story.ask("election/leader", name=b64("e"))
        story.ask("election/campaign", name=b64("e"), lease="50", value=b64("a"))
        story.ask("election/proclaim", leader=leader, value=b64("b"))
        story.ask("election/leader", name=b64("e"))
        story.ask("election/proclaim", leader={**leader, "rev": "1"}, value=b64("c"))
        story.ask("election/proclaim", value=b64("c"))
        story.ask("election/resign")
        story.ask("election/resign", leader={**leader, "rev": "1"})
        second = story.start("election/campaign", name=b64("e"), lease="51", value=b64("d"))
        story.wait_for_key("e/33")
        story.ask("election/leader", name=b64("e"))
        story.ask("election/resign", leader=leader)
        story.end(second)
        story.ask("election/proclaim", leader=leader, value=b64("e"))
        story.ask("election/leader", name=b64("e"))

    same(pair, tell)


def test_campaign_again_with_another_value(pair):
    def tell(story):
        story.grant("60")
        story.ask("election/campaign", name=b64("v"), lease="60", value=b64("a"))
        again = story.ask("election/campaign", name=b64("v"), lease="60", value=b64("b"))
        again["header"].pop("revision")  # ours is of after the value's change
        story.ask("election/leader", name=b64("v"))

    same(pair, tell)


def test_a_candidate_whose_lease_ends_is_not_elected(pair):
    """etcd tells it that it leads, once the older ones are gone."""
    story = Story(pair[0])
    story.grant("70", "71")
    story.ask("election/campaign", name=b64("x"), lease="70", value=b64("a"))
    second = story.start("election/campaign", name=b64("x"), lease="71", value=b64("b"))
    story.wait_for_key("x/47")
    story.ask("lease/revoke", ID="71")
    story.end(second)
    assert story.answers[-1] == {"code": 2, "message": "election: not leader"}


def test_observe(pair):
    def tell(story):
        story.grant("80", "81", "82")
        observer = story.start("election/observe", name=b64("o"))

        def lines():
            return [plain(json.loads(line)) for line in observer.log().splitlines()]

        first = story.ask("election/campaign", name=b64("o"), lease="80", value=b64("a"))["leader"]
        wait_until(lambda: len(lines()) == 1, "the first leader")
        story.ask("election/proclaim", leader=first, value=b64("b"))
        wait_until(lambda: len(lines()) == 2, "what it proclaims")
        second = story.start("election/campaign", name=b64("o"), lease="81", value=b64("c"))
        story.wait_for_key("o/51")
        story.ask("election/resign", leader=first)
        story.end(second)
        wait_until(lambda: len(lines()) == 3, "the second leader")
        story.ask("lease/revoke", ID="81")
        story.ask("election/campaign", name=b64("o"), lease="82", value=b64("d"))
        wait_until(lambda: len(lines()) == 4, "the third leader")
        story.answers += lines()
        late = story.start("election/observe", name=b64("o"))
        wait_until(late.log, "the present leader")
        story.answers.append(plain(json.loads(late.log())))
        observer.kill()
        late.kill()

    assert b64("d") in json.dumps(same(pair, tell)[-1])


def test_only_who_may(server):
    for words in ("user add root:pw", "user add u:pw", "role add r", "role grant-permission r readwrite l/ l0",
                  "user grant-role u r", "auth enable"):  # fmt: skip
        server.text(*words.split())
    token = json.loads(server.post("/v3/auth/authenticate", {"name": "u", "password": "pw"})[1])["token"]

    def ask(path, **message):
        return server.post("/v3/" + path, message, "-H", f"authorization: {token}")

    assert ask("lock/lock", name=b64("l"))[0] == 200
    assert ask("election/leader", name=b64("l"))[0] == 200
    for path in ("lock/lock", "election/campaign", "election/leader"):
        status, answer = ask(path, name=b64("m"))
        assert status == 500 and json.loads(answer)["message"] == "etcdserver: permission denied", path
    assert "permission denied" in ask("lock/unlock", key=b64("m/1"))[1]
    assert server.post("/v3/lock/lock", {"name": b64("l")})[0] >= 400
