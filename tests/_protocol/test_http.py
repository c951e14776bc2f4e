"""A request before it is sent."""

import attrs

from persona_share._protocol.http import Expects, Request
from persona_share.model.secret import MaskedText, Secret


FULL = Request(
    method="POST",
    route="/inquiries/{inquiry-id}",
    target="/inquiries/CANARY",
    deadline=1.0,
    headers={"A": "CANARY"},
    body=b"CANARY",
    content_type="application/json",
    idempotency_key=Secret("CANARY"),
    expects=Expects.OAUTH,
    repeatable=True,
    reconcile="x",
)
HEADER = MaskedText("Bearer CANARY")


def test_a_request_with_a_credential_is_the_same_in_all_else():
    assert FULL.with_authorization(HEADER) == attrs.evolve(FULL, authorization=HEADER)
    assert FULL.authorization is None


def test_t8_a_request_shows_where_it_goes_and_nothing_that_it_carries():
    assert "/inquiries/{inquiry-id}" in repr(FULL)
    assert "CANARY" not in repr(FULL.with_authorization(HEADER))
