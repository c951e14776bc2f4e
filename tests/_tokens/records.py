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

owners = st.sampled_from(OWNERS)
instants = st.floats(NOW - 4_000, NOW + 4_000).map(lambda at: round(at, 1))
wishes = st.builds(
    Wish, st.none() | instants, st.none() | st.sampled_from(TOKENS), st.just(10.0)
)


@st.composite
def codes(draw, name=None):
    name = draw(st.sampled_from(CODES)) if name is None else name
    received = draw(st.floats(NOW - 1_000, NOW).map(round))
    return StoredCode(
        name,
        Secret(f"secret-{name}"),
        float(received),
        received + draw(st.sampled_from([30.0, 594.0])),
        set_aside=draw(st.booleans()),
    )


@st.composite
def tokens(draw):
    name = draw(st.sampled_from(TOKENS))
    expires = draw(instants)
    lifetime = draw(st.sampled_from([3.0, 900.0, 3_599.0]))
    return StoredToken(
        name,
        Secret(f"secret-{name}"),
        "inquiry.read:inq_1",
        draw(st.sampled_from(CODES)),
        min(expires, NOW + lifetime),
        lifetime,
        expires - lifetime / 4,
    )


@st.composite
def scope_records(draw):
    """Any state that the transitions can lead to: no code is in it twice."""
    names = draw(st.lists(st.sampled_from(CODES), unique=True, max_size=6))
    made = [draw(codes(name)) for name in names]
    has_pending = bool(made) and draw(st.booleans())
    queue = sorted(
        made[1:] if has_pending else made,
        key=lambda each: (each.set_aside, each.deadline, each.id),
    )
    return ScopeRecord(
        token=draw(st.none() | tokens()),
        pending=made[0] if has_pending else None,
        lease=draw(st.none() | st.builds(Lease, owners, instants)),
        queue=tuple(queue),
        backoff=draw(
            st.none()
            | st.builds(
                Backoff,
                instants,
                st.sampled_from(sorted(records.MAX_BACKOFF)),
                st.integers(1, 16),
            )
        ),
        rejected=tuple(
            RejectedToken(name, draw(instants))
            for name in draw(st.lists(st.sampled_from(TOKENS), unique=True))
        ),
        rejection_times=tuple(sorted(draw(st.lists(instants, max_size=3)))),
    )


@st.composite
def code_records(draw):
    state = draw(st.sampled_from(CodeState))
    sent = draw(st.sampled_from([(), (NOW - 50,), (NOW - 50, NOW - 9)]))
    sending = state is CodeState.NEW and draw(st.booleans())
    return CodeRecord(
        state,
        lease=draw(st.builds(Lease, owners, instants)) if sending else None,
        scope="inquiry.read:inq_1" if state is CodeState.REDEEMED else "",
        reason="refused" if state is CodeState.SPENT else "",
        first_sent=sent,
        token=draw(tokens()) if state is CodeState.REDEEMED else None,
        in_doubt=draw(st.booleans()),
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
