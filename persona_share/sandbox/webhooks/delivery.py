"""Webhook deliveries; no other module of the sandbox sends requests."""

import asyncio
import contextlib
import hashlib
import hmac
from http import HTTPStatus
from typing import Final

import aiohttp
import orjson

from persona_share.sandbox.behavior.faults import (
    WEBHOOK_OPERATION,
    Effect,
    real_payload,
)
from persona_share.sandbox.hosts import is_loopback_url
from persona_share.sandbox.jsonapi.objects import timestamp
from persona_share.sandbox.jsonapi.rendering import FIELDS_STAY_SINCE, inflected
from persona_share.sandbox.state.requests import Entry
from persona_share.sandbox.state.state import State
from persona_share.sandbox.state.webhooks import RETRIES, Attempt, Delivery, Webhook


_LISTED: Final = frozenset({200, 201, 202, 204})
#: Real seconds between two checks of the clock, which a test may have advanced.
_POLL_INTERVAL: Final = 0.5


class WebhookDispatcher:
    """Sends due deliveries, in the background and on demand, one at a time."""

    def __init__(self, state: State, *, anywhere: bool) -> None:
        self._state = state
        self._anywhere = anywhere
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Start to deliver in the background."""
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        self._state.webhooks.wake = self._wake.set
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; pending deliveries are dropped."""
        self._state.webhooks.wake = self._wake.clear
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._session is not None:
            await self._session.close()

    async def deliver(self) -> int:
        """Send the deliveries that are due now; return the number of attempts."""
        attempts = 0
        async with self._lock:
            self._state.scheduler.run(self._state.runtime.now())
            while (delivery := self._state.webhooks.pop_due()) is not None:
                await self._attempt(delivery)
                attempts += 1
        return attempts

    async def _run(self) -> None:
        while True:
            await self.deliver()
            self._wake.clear()
            due = self._state.webhooks.next_due()
            timeout = None if due is None else _POLL_INTERVAL
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout)

    async def _attempt(self, delivery: Delivery) -> None:
        runtime = self._state.runtime
        now = runtime.now()
        if delivery.first_attempted_at is None:
            delivery.first_attempted_at = int(now)
        delivery.made += 1
        irregular = self._state.faults.take(WEBHOOK_OPERATION, Effect.REAL_PAYLOAD)
        body = body_of(delivery, irregular=irregular is not None)
        status = await self._send(delivery, body, int(now))
        delivered = self._is_success(status)
        event_id = delivery.event.id
        attempt = Attempt(event_id, now, status, delivery.made, delivered)
        delivery.webhook.attempts.append(attempt)
        is_retried = not delivered and self._state.webhooks.retry(delivery)
        delivery.record.attributes |= {
            "status": "completed"
            if delivered
            else "pending"
            if is_retried
            else "failed",
            "result-code": status,
            "attempts-made": delivery.made,
            "last-attempted-at": timestamp(now),
            "updated-at": timestamp(now),
        }
        delivery.record.changed_at = now
        delivery.record.invalidate()
        self._state.log.append(
            Entry(now, WEBHOOK_OPERATION, status, object_id=event_id)
        )

    async def _send(self, delivery: Delivery, body: bytes, now: int) -> int | None:
        allowed = self._anywhere or is_loopback_url(delivery.webhook.url)
        if self._session is None or not allowed:
            return None
        switches, webhook = self._state.switches, delivery.webhook
        headers = {
            "Content-Type": "application/json",
            "Persona-Signature": signature(
                webhook,
                body,
                now,
                newest_first=switches.rotation_order != "oldest_first",
            ),
            "Persona-Webhook-Attempts-Made": str(delivery.made),
            "Persona-Webhook-Attempts-Left": str(len(RETRIES) + 1 - delivery.made),
            "Persona-Webhook-First-Attempted-At": str(delivery.first_attempted_at),
        }
        timeout = aiohttp.ClientTimeout(total=switches.webhook_timeout)
        try:
            async with self._session.post(
                webhook.url,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def _is_success(self, status: int | None) -> bool:
        if status is None:
            return False
        if self._state.switches.webhook_success == "listed":
            return status in _LISTED
        return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def body_of(delivery: Delivery, *, irregular: bool = False) -> bytes:
    """Return the body: the event in the inflection of its webhook."""
    webhook, event = delivery.webhook, delivery.event
    attributes = event.attributes
    if irregular:
        attributes = {**attributes, "payload": real_payload(attributes["payload"])}
    document = {"data": {"type": event.type, "id": event.id, "attributes": attributes}}
    fields_stay = webhook.version >= FIELDS_STAY_SINCE
    document = inflected(document, webhook.inflection, fields_stay=fields_stay)
    return orjson.dumps(document)


def signature(webhook: Webhook, body: bytes, now: int, *, newest_first: bool) -> str:
    """Return the signature header, with one signature per unexpired secret."""
    secrets = [each for each in webhook.secrets if not each.expired(now)]
    ordered = secrets[::-1] if newest_first else secrets
    return " ".join(f"t={now},v1={_mac(each.value, now, body)}" for each in ordered)


def _mac(secret: str, now: int, body: bytes) -> str:
    message = b"%d.%s" % (now, body)
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
