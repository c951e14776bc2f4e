"""Strategies for records, and the transitions that any owner may ask for."""

import attrs
from hypothesis import strategies as st

from persona_share._tokens import record as records
from persona_share._tokens.record import (
    Backoff,
    CodeRecord,
    CodeState,
    Lease,
    RejectedToken,
    ScopeRecord,
    StoredCode,
    StoredToken,
    Wish,
)
from persona_share.model.secret import Secret


NOW = 10_000.0
OWNERS = ("one", "two", "three")
CODES = tuple(f"code{number}" for number in range(6))
TOKENS = tuple(f"token{number}" for number in range(4))

# A strategy that is made while another one draws is validated at each draw: they are made
# here, once.
owners = st.sampled_from(OWNERS)
code_names = st.sampled_from(CODES)
token_names = st.sampled_from(TOKENS)
booleans = st.booleans()
instants = st.floats(NOW - 4_000, NOW + 4_000).map(lambda at: round(at, 1))
receipts = st.floats(NOW - 1_000, NOW).map(round)
code_lives = st.sampled_from([30.0, 594.0])
token_lives = st.sampled_from([3.0, 900.0, 3_599.0])
leases = st.builds(Lease, owners, instants)
wishes = st.builds(Wish, st.none() | instants, st.none() | token_names, st.just(10.0))


@st.composite
def codes(draw, names=code_names):
    name = draw(names)
    received = draw(receipts)
    return StoredCode(
        name,
        Secret(f"secret-{name}"),
        float(received),
        received + draw(code_lives),
        set_aside=draw(booleans),
    )


@st.composite
def tokens(draw):
    name = draw(token_names)
    expires = draw(instants)
    lifetime = draw(token_lives)
    return StoredToken(
        name,
        Secret(f"secret-{name}"),
        "inquiry.read:inq_1",
        draw(code_names),
        min(expires, NOW + lifetime),
        lifetime,
        expires - lifetime / 4,
    )


NAMED_CODES = {name: codes(st.just(name)) for name in CODES}
different_codes = st.lists(code_names, unique=True, max_size=6)
different_tokens = st.lists(token_names, unique=True)
one_token = tokens()
no_or_one_token = st.none() | one_token
no_or_one_lease = st.none() | leases
no_or_one_backoff = st.none() | st.builds(
    Backoff, instants, st.sampled_from(sorted(records.MAX_BACKOFF)), st.integers(1, 16)
)
rejection_times = st.lists(instants, max_size=3)
states = st.sampled_from(CodeState)
first_sends = st.sampled_from([(), (NOW - 50,), (NOW - 50, NOW - 9)])


@st.composite
def scope_records(draw):
    """Any state that the transitions can lead to: no code is in it twice."""
    made = [draw(NAMED_CODES[name]) for name in draw(different_codes)]
    has_pending = bool(made) and draw(booleans)
    queue = sorted(
        made[1:] if has_pending else made,
        key=lambda each: (each.set_aside, each.deadline, each.id),
    )
    return ScopeRecord(
        token=draw(no_or_one_token),
        pending=made[0] if has_pending else None,
        lease=draw(no_or_one_lease),
        queue=tuple(queue),
        backoff=draw(no_or_one_backoff),
        rejected=tuple(
            RejectedToken(name, draw(instants)) for name in draw(different_tokens)
        ),
        rejection_times=tuple(sorted(draw(rejection_times))),
    )


@st.composite
def code_records(draw):
    state = draw(states)
    sent = draw(first_sends)
    sending = state is CodeState.NEW and draw(booleans)
    return CodeRecord(
        state,
        lease=draw(leases) if sending else None,
        scope="inquiry.read:inq_1" if state is CodeState.REDEEMED else "",
        reason="refused" if state is CodeState.SPENT else "",
        first_sent=sent,
        token=draw(one_token) if state is CodeState.REDEEMED else None,
        in_doubt=draw(booleans),
    )


@attrs.frozen
class Step:
    """One transition of a scope record, with its arguments."""

    name: str
    owner: str
    code: StoredCode
    token: StoredToken
    wish: Wish
    seconds: float

    def __call__(self, record, now):  # noqa: C901, PLR0911  # one line each
        match self.name:
            case "acquire":
                return records.acquire(record, now, self.owner, self.wish)
            case "hold":
                return records.hold(record, now, self.owner, self.code)
            case "extend":
                return records.extend(record, now, self.owner)
            case "drop_code":
                return records.drop_code(record, now, self.code.id)
            case "set_aside":
                return records.set_aside(record, now, self.code.id)
            case "publish":
                return records.publish(record, now, self.owner, self.token)
            case "release":
                return records.release(record, now, self.owner)
            case "back_off":
                return records.release(
                    record, now, self.owner, seconds=self.seconds, reason="codes"
                )
            case "offer":
                return records.offer(record, now, self.code, CodeState.NEW)
            case "reject":
                rejected = RejectedToken(self.token.fingerprint, self.token.expires)
                return records.reject(record, now, rejected)
            case _:
                return records.forget(record, now)


NAMES = (
    "acquire", "hold", "extend", "drop_code", "set_aside", "publish", "release",
    "back_off", "offer", "reject", "forget",
)  # fmt: skip


def steps(names=NAMES):
    return st.builds(
        Step,
        st.sampled_from(names),
        owners,
        codes(),
        tokens(),
        wishes,
        st.floats(0, 100),
    )
