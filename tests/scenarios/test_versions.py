"""The version of the API is pinned in every request, and can be set."""

import warnings

import pytest

from persona_share import PersonaClient
from persona_share.errors import InvalidArgumentError
from tests.servers import RawServer, http_response, respond_with


INQUIRY = http_response(
    body=b'{"data":{"type":"inquiry","id":"inq_1","attributes":{}}}'
)


async def version_sent(options, call):
    """Return the versions of the requests that a client made."""
    async with (
        RawServer(respond_with(INQUIRY)) as server,
        PersonaClient(
            "localbox_key", base_url=server.api, insecure_local=True, **options
        ) as client,
    ):
        await call(client)
    lines = server.received.decode().lower().splitlines()
    return [line for line in lines if line.startswith("persona-version")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "version"),
    [({}, "2026-09-29"), ({"persona_version": "2023-01-05"}, "2023-01-05")],
)
async def test_every_request_names_the_version_of_its_client(options, version):
    sent = await version_sent(
        options, lambda client: client.inquiries.retrieve("inq_1")
    )

    assert sent == [f"persona-version: {version}"]


@pytest.mark.asyncio
async def test_one_call_can_use_another_version():
    sent = await version_sent(
        {},
        lambda client: client.inquiries.retrieve("inq_1", persona_version="2025-10-27"),
    )

    assert sent == ["persona-version: 2025-10-27"]


@pytest.mark.asyncio
async def test_unknown_version_date_is_sent_with_a_warning():
    with pytest.warns(UserWarning, match="2027-01-01") as warned:
        sent = await version_sent(
            {"persona_version": "2027-01-01"},
            lambda client: client.inquiries.retrieve("inq_1"),
        )

    assert sent == ["persona-version: 2027-01-01"]
    assert [each.filename for each in warned] == [__file__]


@pytest.mark.asyncio
async def test_unknown_version_date_of_one_call_emits_a_warning():
    with pytest.warns(UserWarning, match="2027-01-01"):
        sent = await version_sent(
            {},
            lambda client: client.inquiries.retrieve(
                "inq_1", persona_version="2027-01-01"
            ),
        )

    assert sent == ["persona-version: 2027-01-01"]


@pytest.mark.asyncio
async def test_value_that_is_not_a_date_is_refused_before_anything_is_sent():
    with pytest.raises(InvalidArgumentError, match="persona_version"):
        await version_sent(
            {},
            lambda client: client.inquiries.retrieve("inq_1", persona_version="latest"),
        )


def test_known_version_emits_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PersonaClient("localbox_key", persona_version="2026-09-29")
