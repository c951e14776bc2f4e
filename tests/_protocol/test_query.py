"""The cursor of a link is used; the link itself is never followed."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given, strategies as st

from persona_share._protocol.query import (
    AFTER,
    BEFORE,
    MAX_PAGES,
    CursorHistory,
    InvalidLink,
    ListLocation,
    cursor_in,
    page_query,
)
from persona_share.errors import InvalidArgumentError


BASE = "https://api.withpersona.com/api/v1"
PATH = "/connect/share-tokens"
OWN = frozenset({"filter[status]", "fields[connect/share-token]"})
PLACE = ListLocation(BASE, PATH, OWN)
ON = "page%5Bafter%5D=cnst_ABC456"

HOSTILE = {
    "another_host": (f"https://evil.example/api/v1{PATH}?{ON}", InvalidLink.ORIGIN),
    "another_host_without_scheme": (
        f"//evil.example/api/v1{PATH}?{ON}",
        InvalidLink.ORIGIN,
    ),
    "our_own_host_without_scheme": (
        f"//api.withpersona.com/api/v1{PATH}?{ON}",
        InvalidLink.ORIGIN,
    ),
    "plain_http": (f"http://api.withpersona.com/api/v1{PATH}?{ON}", InvalidLink.ORIGIN),
    "another_port": (
        f"https://api.withpersona.com:8443/api/v1{PATH}?{ON}",
        InvalidLink.ORIGIN,
    ),
    "no_port": (
        f"https://api.withpersona.com:99999/api/v1{PATH}",
        InvalidLink.UNREADABLE,
    ),
    "userinfo": (
        f"https://api.withpersona.com@evil.example/api/v1{PATH}?{ON}",
        InvalidLink.ORIGIN,
    ),
    "userinfo_on_our_own_host": (
        f"https://a:b@api.withpersona.com/api/v1{PATH}?{ON}",
        InvalidLink.ORIGIN,
    ),
    "trailing_dot": (
        f"https://api.withpersona.com./api/v1{PATH}?{ON}",
        InvalidLink.ORIGIN,
    ),
    "look_alike": (
        f"https://xn--pi-7kc.withpersona.com/api/v1{PATH}?{ON}",
        InvalidLink.ORIGIN,
    ),
    "look_alike_in_unicode": (
        f"https://\u0430pi.withpersona.com/api/v1{PATH}?{ON}",
        InvalidLink.UNREADABLE,
    ),
    "backslashes": (f"https:\\\\evil.example\\api/v1{PATH}?{ON}", InvalidLink.ORIGIN),
    "another_scheme": ("javascript:alert(1)", InvalidLink.ORIGIN),
    "another_path": (f"/api/v1/api-keys?{ON}", InvalidLink.PATH),
    "another_object": (f"/api/v1{PATH}/cnst_1?{ON}", InvalidLink.PATH),
    "out_of_the_api": (f"/api/v1/../../admin?{ON}", InvalidLink.PATH),
    "dots_that_come_back": (f"/api/v1/x/..{PATH}?{ON}", InvalidLink.PATH),
    "encoded_slash": (f"/api/v1/connect%2Fshare-tokens?{ON}", InvalidLink.PATH),
    "path_alone": (f"{PATH}?{ON}", InvalidLink.PATH),
    "fragment": (f"/api/v1{PATH}?{ON}#x", InvalidLink.PATH),
    "another_key": (f"/api/v1{PATH}?{ON}&peek-source-data=true", InvalidLink.QUERY),
    "a_filter_that_was_not_asked": (
        f"/api/v1{PATH}?{ON}&filter%5Bdirection%5D=inbound",
        InvalidLink.QUERY,
    ),
    "a_token_in_the_query": (f"/api/v1{PATH}?{ON}&access_token=x", InvalidLink.QUERY),
    "two_cursors": (f"/api/v1{PATH}?{ON}&{ON}", InvalidLink.TWICE),
    "both_directions": (f"/api/v1{PATH}?{ON}&page%5Bbefore%5D=x", InvalidLink.CURSOR),
    "no_cursor": (f"/api/v1{PATH}?page%5Bsize%5D=10", InvalidLink.CURSOR),
    "no_query": (f"/api/v1{PATH}", InvalidLink.CURSOR),
    "empty_cursor": (f"/api/v1{PATH}?page%5Bafter%5D=", InvalidLink.CURSOR),
    "line_end_in_the_cursor": (
        f"/api/v1{PATH}?page%5Bafter%5D=a%0d%0aX: y".replace(" ", "%20"),
        InvalidLink.CURSOR,
    ),
    "line_end_in_the_link": (f"/api/v1{PATH}?{ON}\r\nX: y", InvalidLink.UNREADABLE),
    "a_megabyte": (
        f"/api/v1{PATH}?page%5Bafter%5D={'a' * 1_000_000}",
        InvalidLink.UNREADABLE,
    ),
    "many_keys": (
        f"/api/v1{PATH}?" + "&".join("a=1" for _ in range(99)),
        InvalidLink.UNREADABLE,
    ),
    "a_number": (7, InvalidLink.UNREADABLE),
    "an_object": ({"href": f"/api/v1{PATH}?{ON}"}, InvalidLink.UNREADABLE),
}


@pytest.mark.parametrize(("link", "stray"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_link_is_refused(link, stray):
    assert cursor_in(link, AFTER, PLACE) is stray


@pytest.mark.parametrize(
    "link",
    [
        f"/api/v1{PATH}?{ON}",
        f"{BASE}{PATH}?{ON}",
        f"https://api.withpersona.com:443/api/v1{PATH}?{ON}",
        f"https://API.withpersona.com/api/v1{PATH}?{ON}",
        f"/api/v1{PATH}?{ON}&page%5Bsize%5D=10&filter%5Bstatus%5D=created",
        f"/api/v1{PATH}?page[after]=cnst_ABC456",
    ],
)
def test_cursor_is_read_from_a_link_to_the_same_listing(link):
    assert cursor_in(link, AFTER, PLACE) == "cnst_ABC456"


def test_link_backwards_holds_the_other_cursor():
    link = f"/api/v1{PATH}?page%5Bbefore%5D=cnst_1"

    assert cursor_in(link, BEFORE, PLACE) == "cnst_1"
    assert cursor_in(link, AFTER, PLACE) is InvalidLink.CURSOR


@pytest.mark.parametrize("link", [None, ""])
def test_no_link_is_the_end(link):
    assert cursor_in(link, AFTER, PLACE) is None


def test_behind_a_proxy_with_a_path_of_its_own_both_paths_mean_the_listing():
    place = ListLocation("https://proxy.example/persona", PATH)

    assert cursor_in(f"/api/v1{PATH}?{ON}", AFTER, place) == "cnst_ABC456"
    assert cursor_in(f"/persona{PATH}?{ON}", AFTER, place) == "cnst_ABC456"


@given(
    scheme=st.sampled_from(["https", "http", "ftp", ""]),
    authority=st.text("abc.@:[]%/\\-", max_size=12)
    | st.sampled_from(["api.withpersona.com", "api.withpersona.com:443"]),
    path=st.text("abc/.%2eF\\;", max_size=12) | st.just(f"/api/v1{PATH}"),
    query=st.text("ab=&;[]%+#", max_size=12) | st.just(ON),
)
def test_cursor_is_only_read_from_links_to_the_same_listing(
    scheme, authority, path, query
):
    link = f"{scheme}://{authority}{path}?{query}" if scheme else f"{path}?{query}"

    found = cursor_in(link, AFTER, PLACE)

    if isinstance(found, str):
        parts = urlsplit(link)
        assert parts.scheme in ("", "https")
        assert parts.netloc in ("", "api.withpersona.com", "api.withpersona.com:443")
        assert parts.path == f"/api/v1{PATH}"
        assert quote(found, safe="") in link or found in link


@given(st.text(max_size=80))
def test_no_link_raises(link):
    assert cursor_in(link, AFTER, PLACE) is None or isinstance(
        cursor_in(link, AFTER, PLACE), str | InvalidLink
    )


def test_f58_listing_ends_at_a_repeated_cursor():
    trail = CursorHistory(None)

    assert trail.add("a") is None
    assert trail.add("b") is None
    assert trail.add("a") is InvalidLink.CYCLE


def test_f58_listing_ends_at_a_link_to_the_same_page():
    assert CursorHistory("a").add("a") is InvalidLink.CYCLE


def test_f58_page_10_001_is_not_requested():
    trail = CursorHistory(None)
    steps = [trail.add(str(number)) for number in range(MAX_PAGES)]

    assert steps[:-1] == [None] * (MAX_PAGES - 1)
    assert steps[-1] is InvalidLink.ENDLESS


def test_page_query_has_size_and_cursor():
    assert page_query(size=50, after="inq_1") == {
        "page[size]": 50,
        "page[after]": "inq_1",
    }
    assert page_query(before="inq_1") == {"page[before]": "inq_1"}
    assert page_query() == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": "a", "before": "b"},
        {"after": ""},
        {"after": "a b"},
        {"before": 7},
        {"size": 0},
        {"size": 101},
        {"size": True},
        {"size": "10"},
    ],
)
def test_invalid_page_is_refused_before_anything_is_sent(wrong):
    with pytest.raises(InvalidArgumentError):
        page_query(**wrong)
