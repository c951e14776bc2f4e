"""Routes: paths, permissions, and which requests are repeatable."""

import re

import pytest

from persona_share._protocol.http import Expects
from persona_share._protocol.routes import (
    AccountRoutes,
    DocumentRoutes,
    InquiryRoutes,
    ShareTokenRoutes,
    TransactionRoutes,
    fill_template,
    find_route,
    routes,
)
from persona_share.errors import InvalidArgumentError, InvalidIdError


def test_no_endpoint_is_listed_twice():
    operations = [route.operation for route in routes()]

    assert len(set(operations)) == len(operations)


def test_every_endpoint_is_found_by_its_filled_path():
    for route in routes():
        ids = [f"id_{n}" for n in range(route.template.count("{"))]
        assert find_route(route.method, route.path(*ids)) == (route, tuple(ids))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/inquiries/inq_1"),
        ("GET", "/inquiries/inq_1/x"),
        ("GET", "/brand-new"),
        ("GET", "/"),
    ],
)
def test_unknown_path_has_no_route(method, path):
    assert find_route(method, path) is None


def test_permissions_follow_the_families_of_the_key_settings():
    assert InquiryRoutes.RETRIEVE.permission == "inquiry.read"
    assert InquiryRoutes.APPROVE.permission == "inquiry.write"
    assert AccountRoutes.SEARCH.permission == "account.read"
    assert TransactionRoutes.RETRIEVE.permission == "txn.read"
    assert TransactionRoutes.UPDATE.permission == "txn.write"
    assert DocumentRoutes.RETRIEVE_GENERIC.permission == "document.read"


def test_route_has_no_permission_when_none_is_documented():
    undocumented = re.compile(r"/(connect|devices|inquiry-sessions|rate-limits|oauth)")
    unsure = [
        route
        for route in routes()
        if undocumented.match(route.template)
        or route.method == "DELETE"
        or route.expects is Expects.PDF
    ]

    assert len(unsure) > 20
    assert {route.permission for route in unsure} == {None}


def test_only_harmless_posts_are_repeatable():
    repeatable = {route.operation for route in routes() if route.repeatable}

    assert repeatable == {
        "POST /oauth/authorize",
        "POST /connect/share-tokens/{share-token-id}/expire",
        "POST /inquiries/search",
        "POST /accounts/search",
        "POST /cases/search",
        "POST /webhook-events/search",
    }


def test_every_other_post_names_a_call_that_reconciles_it():
    silent = {
        route.operation
        for route in routes()
        if route.method in ("POST", "PATCH")
        and not route.repeatable
        and route.reconcile is None
    }

    assert silent == {"POST /oauth/token"}
    assert ShareTokenRoutes.REDEEM.reconcile == "share_tokens.retrieve(id)"


def test_invalid_id_is_never_part_of_a_path():
    with pytest.raises(InvalidIdError):
        InquiryRoutes.RETRIEVE.path("inq_1/../../api-keys")


def test_template_of_a_caller_is_filled_and_checked():
    assert fill_template("get", "/lists/{list-id}", {"list-id": "lst_1"}) == (
        "GET",
        "/lists/lst_1",
    )
    for wrong in ("lists", "/lists/..", "/a?b", "/a//b", "/a b", ""):
        with pytest.raises(InvalidArgumentError):
            fill_template("GET", wrong, {})
