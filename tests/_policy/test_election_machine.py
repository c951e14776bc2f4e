"""Whatever happens in whatever order, an election keeps its promises."""

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from persona_share._policy import election
from persona_share._policy.election import (
    LEASE,
    LONGEST_LEAD,
    MOST_CODES,
    Carried,
    Follow,
    Held,
    Lead,
)
from persona_share._protocol.stored import Record


OWNERS = st.sampled_from(["a", "b", "c"])
SECONDS = st.sampled_from([0.5, 1.0, 5.0, 14.0, 16.0, 41.0, 700.0, 4_000.0])


class Election(RuleBasedStateMachine):
    """Three owners at one record; each remembers the last fence that it got."""

    def __init__(self):
        super().__init__()
        self.now = 10_000.0
        self.record = Record()
        self.before = Record()
        self.fences = dict.fromkeys("abc", 0)
        self.given = set()
        self.invalid = 0
        self.sent = {}

    def become(self, record):
        self.before, self.record = self.record, record
        if record.ticket is None:
            self.sent.clear()  # the same code may begin a new life

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        self.now += seconds

    @rule(owner=OWNERS, newer_than=st.integers(0, 6))
    def elect(self, owner, newer_than):
        leader = self.record.leader
        record, answer = election.elect(
            self.record, self.now, owner, newer_than=newer_than, at_least=0.0
        )
        self.become(record)
        if isinstance(answer, Held):
            assert answer.generation > max(self.invalid, newer_than)
            assert 0 < answer.remaining <= 3_599
        elif isinstance(answer, Lead):
            assert answer.fence not in self.given
            assert answer.fence > max(self.given, default=0)
            assert leader is None or leader.owner == owner or self.now >= leader.until
            self.given.add(answer.fence)
            self.fences[owner] = answer.fence
        elif isinstance(answer, Follow):
            assert 0 < answer.seconds <= LEASE

    @rule(
        owner=OWNERS, name=st.sampled_from("xyz"), left=st.sampled_from([30.0, 600.0])
    )
    def attach(self, owner, name, left):
        ticket = Carried(name, left, name.encode())
        there = self.record.ticket
        record, used = election.attach(
            self.record, self.now, owner, self.fences[owner], ticket
        )
        self.become(record)
        if used is not None and there is not None and self.now < there.deadline:
            assert used.id == there.id

    @rule(owner=OWNERS, epoch=st.integers(0, 1))
    def mark_sent(self, owner, epoch):
        ticket = self.record.ticket
        record, before = election.mark_sent(
            self.record, self.now, owner, self.fences[owner], epoch
        )
        self.become(record)
        if before is not None:
            life = ticket.id, ticket.deadline, epoch
            first = self.sent.setdefault(life, self.now)
            assert before == self.now - first

    @rule(owner=OWNERS, remaining=st.sampled_from([60.0, 3_599.0]))
    def publish(self, owner, remaining):
        fence = self.fences[owner]
        record, newer = election.publish(
            self.record, self.now, owner, fence, remaining=remaining, blob=b""
        )
        self.become(record)
        if newer is not None:
            assert newer.generation >= fence
            assert newer.generation > self.invalid

    @rule(remaining=st.sampled_from([60.0, 3_599.0]))
    def adopt(self, remaining):
        record, generation = election.adopt(
            self.record, self.now, remaining=remaining, blob=b""
        )
        self.become(record)
        if generation:
            assert generation > max(self.given, default=0)
            self.given.add(generation)

    @rule(owner=OWNERS, pause=st.sampled_from([0.0, 10.0]), keep=st.booleans())
    def fail(self, owner, pause, keep):
        fence = self.fences[owner]
        self.become(
            election.fail(
                self.record,
                self.now,
                owner,
                fence,
                reason="why",
                pause=pause,
                keep_ticket=keep,
            )
        )

    @precondition(lambda self: self.record.token is not None)
    @rule()
    def invalidate(self):
        generation = self.record.token.generation
        self.become(election.invalidate(self.record, generation))
        self.invalid = max(self.invalid, generation)

    @rule(owner=OWNERS)
    def renew(self, owner):
        record, kept = election.renew(self.record, self.now, owner, self.fences[owner])
        self.become(record)
        if kept:
            assert record.leader.owner == owner

    @rule(name=st.sampled_from("uvwxyz"), left=st.sampled_from([0.0, 5.0, 600.0]))
    def offer(self, name, left):
        self.become(election.offer(self.record, self.now, Carried(name, left, b""))[0])

    @rule()
    def take(self):
        record, code = election.take(self.record, self.now)
        self.become(record)
        assert code is None or code.seconds > 0

    @rule()
    def forget(self):
        self.become(election.forget(self.record))
        self.invalid = max(self.invalid, self.record.invalidated)

    @invariant()
    def fences_only_grow(self):
        assert self.record.fence >= self.before.fence
        assert self.record.invalidated >= self.before.invalidated

    @invariant()
    def generations_only_grow(self):
        old, new = self.before.token, self.record.token
        assert old is None or new is None or new.generation >= old.generation

    @invariant()
    def nobody_leads_too_long(self):
        leader = self.record.leader
        assert leader is None or leader.until <= leader.since + LONGEST_LEAD

    @invariant()
    def the_queue_is_short_and_in_order(self):
        ends = [each.deadline for each in self.record.queue]
        assert ends == sorted(ends)
        assert len(ends) <= MOST_CODES


Election.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestElection = Election.TestCase
