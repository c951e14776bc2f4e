"""Tags and prints, which are alike for every kind of object."""

import pytest

from tests.sandbox.raw import attributes, meta


def relationships(answer):
    return answer.json["data"]["relationships"]


PLURALS = {
    "account": "accounts",
    "case": "cases",
    "inquiry": "inquiries",
    "report": "reports",
    "transaction": "transactions",
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "plural"), PLURALS.items())
async def test_tags_are_added_removed_and_set(box, raw, kind, plural):
    path = f"/{plural}/{getattr(box, f'add_{kind}')().id}"

    added = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
    twice = await raw.post(f"{path}/add-tag", json=meta(tag_name="a"))
    all_set = await raw.post(f"{path}/set-tags", json=meta(tag_name=["b", "c", "b"]))
    removed = await raw.post(f"{path}/remove-tag", json=meta(tag_name="b"))
    missing = await raw.post(f"{path}/remove-tag", json=meta(tag_name="b"))
    nothing = await raw.post(f"{path}/add-tag", json={})

    tags = [attributes(each)["tags"] for each in (added, twice, all_set, removed)]
    expected = [["a"], ["a"], ["b", "c"], ["c"]]
    if kind in {"account", "inquiry"}:
        expected = [[tag.upper() for tag in each] for each in expected]
    assert tags == expected
    assert (missing.status, nothing.status) == (404, 400)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("inquiry", "inquiries"),
        ("verification", "verifications"),
        ("report", "reports"),
    ],
)
async def test_an_object_is_printed_as_a_pdf(box, raw, kind, plural):
    object_id = getattr(box, f"add_{kind}")().id

    answer = await raw.get(f"/{plural}/{object_id}/print")

    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.body.startswith(b"%PDF-1.4\n")
    assert answer.body.endswith(b"%%EOF\n")
    assert object_id.encode() in answer.body
    place = int(answer.body.rsplit(b"startxref\n", 1)[1].split()[0])
    assert answer.body[place:].startswith(b"xref\n")
