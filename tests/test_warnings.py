"""Warnings name the line of the program that uses this package."""

import asyncio
import warnings

import pytest

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.errors import NotOpenError


UNKNOWN_SCOPE = "inquiry.reading:inq_1"
UNKNOWN_VERSION = "2020-01-01"
LOCAL = {"base_url": "http://127.0.0.1:1/api/v1", "insecure_local": True}


def client_of(**options):
    return PersonaClient("localbox_key", **LOCAL, **options)


async def authorize(client, manager):
    await client.oauth.authorize(client_id="org_1", scope=UNKNOWN_SCOPE)


USES = {
    "parse": lambda client, manager: Scope.parse(UNKNOWN_SCOPE),
    "session": lambda client, manager: manager.session(UNKNOWN_SCOPE),
    "credential": lambda client, manager: manager.credential(UNKNOWN_SCOPE),
    "client": lambda client, manager: client_of(persona_version=UNKNOWN_VERSION),
    "from_env": lambda client, manager: PersonaClient.from_env(
        api_key="localbox_key", persona_version=UNKNOWN_VERSION, **LOCAL
    ),
    "options": lambda client, manager: client.with_options(
        persona_version=UNKNOWN_VERSION
    ),
    "status": lambda client, manager: client.inquiries.list(status="agreed"),
    "list": lambda client, manager: client.inquiries.list(
        persona_version=UNKNOWN_VERSION
    ),
    "authorize": authorize,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_warning_points_at_the_users_line(use):
    client = client_of()
    manager = ScopedTokenManager(client)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        started = use(client, manager)
        if asyncio.iscoroutine(started):
            with pytest.raises(NotOpenError):
                await started

    assert {each.filename for each in warned} == {__file__}
