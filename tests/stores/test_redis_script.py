"""The script that Redis runs answers as the functions that Python runs."""

import pytest
from hypothesis import given, settings, strategies as st

from persona_share._policy import election
from persona_share._policy.election import Carried, Follow, Held, Lead, Refused
from persona_share._policy.election_script import script
from persona_share._protocol.stored import LEEWAY, Record
from persona_share.stores.redis.replies import (
    carried_of,
    fields_of,
    held_of,
    milliseconds,
    seconds_of,
)


CLOCK = "local now = tonumber(redis.call('GET', 'test:now'))"
KEYS = ["t:{name}:r", "t:{name}:g"]

OWNERS = st.sampled_from(["a", "b"])
FENCES = st.integers(0, 6)
REMAINING = st.sampled_from([0.5, 30.0, 3_599.0])
CODES = st.builds(
    Carried,
    id=st.sampled_from("uvwxyz"),
    seconds=st.sampled_from([0.0, 10.0, 600.0]),
    blob=st.sampled_from([b"", b"\x00\xff", b"blob"]),
    epoch=st.integers(0, 1),
    sent_before=st.none() | st.sampled_from([0.0, 7.5]),
)
STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.5, 14.5, 16.0, 41.0, 700.0, 4e3])),
    st.tuples(st.just("elect"), OWNERS, st.integers(0, 4), st.sampled_from([0.0, 9.0])),
    st.tuples(st.just("attach"), OWNERS, FENCES, CODES),
    st.tuples(st.just("mark_sent"), OWNERS, FENCES, st.integers(0, 1)),
    st.tuples(st.just("publish"), OWNERS, FENCES, REMAINING),
    st.tuples(st.just("adopt"), REMAINING),
    st.tuples(
        st.just("fail"), OWNERS, FENCES, st.sampled_from([0.0, 20.0]), st.booleans()
    ),
    st.tuples(st.just("invalidate"), FENCES),
    st.tuples(st.just("renew"), OWNERS, FENCES),
    st.tuples(st.just("offer"), CODES),
    st.tuples(st.just("take")),
    st.tuples(st.just("forget")),
)


class InPython:
    """The functions, on a record in memory."""

    def __init__(self):
        self.record = Record()

    def do(self, now, name, *given):
        answer = None
        match name, given:
            case "elect", (owner, newer_than, at_least):
                self.record, answer = election.elect(
                    self.record, now, owner, newer_than=newer_than, at_least=at_least
                )
            case "publish", (owner, fence, remaining):
                self.record, answer = election.publish(
                    self.record, now, owner, fence, remaining=remaining, blob=b"\x00"
                )
            case "adopt", (remaining,):
                self.record, answer = election.adopt(
                    self.record, now, remaining=remaining, blob=b"\x01"
                )
            case "fail", (owner, fence, pause, keep):
                self.record = election.fail(
                    self.record,
                    now,
                    owner,
                    fence,
                    reason="why",
                    pause=pause,
                    keep_ticket=keep,
                )
            case "invalidate", (generation,):
                self.record = election.invalidate(self.record, generation)
            case "forget", ():
                self.record = election.forget(self.record)
            case _:
                change = getattr(election, name)
                self.record, answer = change(self.record, now, *given)
        return answer


class InRedis:
    """The script, on a real server whose time stands still."""

    def __init__(self, client):
        self._client = client
        self._run = client.register_script(script(CLOCK))
        client.delete(*KEYS)

    def do(self, now, name, *given):
        self._client.set("test:now", milliseconds(now))
        told = []
        for each in given:
            told += fields_of(each) if isinstance(each, Carried) else [_told(each)]
        if name == "publish":
            told.append(b"\x00")
        if name == "adopt":
            told.append(b"\x01")
        if name == "fail":
            told.insert(2, "why")
        reply = self._run(keys=KEYS, args=["proof", "name", "t:e", name, *told])
        assert reply[0] == b"proof"
        assert reply[2] == 0
        return READ[reply[3]](reply[3:])


def _told(value):
    if isinstance(value, float):
        return milliseconds(value)
    return int(value) if isinstance(value, bool) else value


READ = {
    b"held": held_of,
    b"lead": lambda reply: Lead(int(reply[1]), carried_of(reply[2:])),
    b"follow": lambda reply: Follow(seconds_of(reply[1])),
    b"refused": lambda reply: Refused(reply[1].decode(), seconds_of(reply[2])),
    b"ticket": lambda reply: carried_of(reply[1:]),
    b"sent": lambda reply: seconds_of(reply[1]),
    b"adopted": lambda reply: int(reply[1]),
    b"kept": lambda _: True,
    b"queued": lambda _: True,
    b"full": lambda _: False,
    b"lost": lambda _: None,
    b"none": lambda _: None,
}


@given(steps=st.lists(STEPS, max_size=40))
@settings(max_examples=150)
def test_both_answer_alike_whatever_is_asked(one_redis, steps):
    here, there = InPython(), InRedis(one_redis.client)
    now = 1_700_000_000.0
    for name, *given_ in steps:
        if name == "pass":
            now += given_[0]
            continue
        expected = here.do(now, name, *given_)
        if name == "renew":  # "lost" has no value of its own there
            expected = expected or None
        assert there.do(now, name, *given_) == expected, name


@pytest.fixture
def there(redis_server):
    return InRedis(redis_server.client)


def test_a_record_from_the_future_counts_as_written_now(there):
    there.do(10_000.0, "elect", "a", 0, 0.0)
    there.do(10_000.0, "attach", "a", 1, Carried("x", 600.0, b"", 0, 5.0))
    there.do(10_000.0, "offer", Carried("y", 600.0, b""))
    back = 10_000.0 - 3_600
    assert there.do(back, "elect", "b", 0, 0.0) == Follow(15.0)
    assert there.do(back, "mark_sent", "a", 1, 0) == 5.0
    assert there.do(back + 1, "take") == Carried("y", 599.0, b"")


def test_a_clock_that_is_a_little_behind_is_believed(there):
    there.do(10_000.0, "publish", "a", 1, 3_599.0)
    behind = 10_000.0 - LEEWAY
    assert there.do(behind, "elect", "b", 0, 0.0) == Held(1, 3_599.0, b"\x00")


def test_a_record_that_was_evicted_leaves_its_fence(there, redis_server):
    there.do(10_000.0, "elect", "a", 0, 0.0)
    there.do(10_000.0, "invalidate", 7)
    redis_server.client.delete(KEYS[0])
    assert there.do(10_000.0, "elect", "b", 0, 0.0) == Lead(8)


def test_a_fence_that_was_evicted_is_known_to_the_record(there, redis_server):
    there.do(10_000.0, "elect", "a", 4, 0.0)
    redis_server.client.delete(KEYS[1])
    assert there.do(10_020.0, "elect", "b", 0, 0.0) == Lead(6)


def test_everything_it_writes_ends_by_itself(there, redis_server):
    client = redis_server.client
    there.do(10_000.0, "elect", "a", 0, 0.0)
    assert 0 < client.pttl(KEYS[0]) <= 40_000
    there.do(10_000.0, "attach", "a", 1, Carried("x", 600.0, b""))
    assert 599_000 < client.pttl(KEYS[0]) <= 600_000
    there.do(10_000.0, "publish", "a", 1, 3_599.0)
    assert 3_598_000 < client.pttl(KEYS[0]) <= 3_599_000
    assert 3_600_000 < client.pttl(KEYS[1]) <= 90_000_000
    there.do(10_000.0, "forget")
    assert client.pttl(KEYS[0]) == -2
