"""Share tokens: offers to redeem one object over a connection."""

import difflib
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Final, Protocol, Unpack, assert_never, cast

from persona_share._policy.redemption import Trace, is_final, pause, trace_of
from persona_share._protocol.routes import ShareTokenRoutes
from persona_share.errors import (
    ApiError,
    ConflictError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PersonaError,
    Phase,
    RedemptionFailedError,
    RedemptionPendingError,
    ShareTokenExpiredError,
    TransportError,
    UnprocessableError,
)
from persona_share.model.ids import checked_id
from persona_share.model.policy import is_number
from persona_share.model.share_token import (
    Direction,
    Redemption,
    ShareToken,
    ShareTokenStatus,
)
from persona_share.model.template import ResourceWithSchema
from persona_share.ports import Runtime
from persona_share.resources.collection import Collection, Listing
from persona_share.resources.params import NO_BODY, Body, attributes_body, seconds_of
from persona_share.resources.query_options import (
    CallOptions,
    DirectionName,
    FieldsOptions,
    ListOptions,
    RetrieveOptions,
    ShareTokenStatusName,
    check_status,
)


#: The limits of a share token's lifetime (page "Create a share token").
MIN_LIFETIME: Final = timedelta(seconds=60)
MAX_LIFETIME: Final = timedelta(days=21)

_OPTIONS_OF_READS: Final = frozenset(
    {"timeout", "retries", "persona_version", "headers"}
)

_NOT_BEGUN: Final = "The redemption has not begun: call redeem(), then wait() again."

#: The errors of a call that the state of the share token does not allow.
StateError = ConflictError | UnprocessableError


class ShareTokens(Collection[ShareToken], kind=ShareToken, routes=ShareTokenRoutes):
    """The endpoints of ``/connect/share-tokens``.

    The id of a share token is what the destination organization redeems.
    """

    __slots__ = ()

    async def create(
        self,
        *,
        connection_id: str,
        source_id: str,
        expires_in: timedelta | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> ShareToken:
        """Offer an account, inquiry, transaction or verification over a connection.

        ``expires_in`` is 60 s to 21 days; the service's default is 14 days. Raises
        `OutcomeUnknownError` if the offer may exist: look for it in the list of its
        connection.
        """
        lifetime = seconds_of(
            "expires_in", expires_in, at_least=MIN_LIFETIME, at_most=MAX_LIFETIME
        )
        values = {
            "connection_id": checked_id(connection_id, "connection_id"),
            "source_id": checked_id(source_id, "source_id"),
            "expires_in_seconds": lifetime,
        }
        body = attributes_body(values)
        return await self._one(ShareTokenRoutes.CREATE, body=body, options=options)

    async def retrieve(
        self,
        share_token_id: str,
        *,
        peek_source_data: bool | None = None,
        **options: Unpack[FieldsOptions],
    ) -> ShareToken:
        """Return one share token; with ``peek_source_data`` also `source_data`.

        Only the destination gets `source_data`, and only if Persona enabled peeking.
        """
        query = {"peek-source-data": peek_source_data}
        return await self._one(
            ShareTokenRoutes.RETRIEVE, share_token_id, query=query, options=options
        )

    def list(
        self,
        *,
        connection_id: str | None = None,
        status: ShareTokenStatusName | ShareTokenStatus | None = None,
        direction: DirectionName | Direction | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[ShareToken]:
        """List share tokens in both directions, newest first.

        A status that is not known causes a warning.
        """
        check_status(ShareTokenStatus, status)
        check_status(Direction, direction)
        filters = {
            "connection_id": connection_id,
            "status": status,
            "direction": direction,
        }
        return self._list(ShareTokenRoutes.LIST, filters=filters, options=options)

    async def redeem(
        self,
        share_token_id: str,
        *,
        destination_id: str | None = None,
        field_mappings: Mapping[str, str] | None = None,
        destination_schema: ResourceWithSchema | None = None,
        **options: Unpack[RetrieveOptions],
    ) -> ShareToken:
        """Start a redemption: as a new object, or into an existing ``destination_id``.

        ``field_mappings`` maps names of source fields to names of destination fields.
        With ``destination_schema`` (an inquiry template, account type or transaction
        type) the latter are checked before anything is sent. The redemption continues
        in the background; `wait` for it. If the response is lost, the state is read and
        the token is never redeemed twice. Raises `OutcomeUnknownError` if the state
        does not show what happened.
        """
        body = _redemption(destination_id, field_mappings, destination_schema)
        try:
            return await self._one(
                ShareTokenRoutes.REDEEM, share_token_id, body=body, options=options
            )
        except (OutcomeUnknownError, ConflictError, UnprocessableError) as error:
            lost = error
        retrieve = self._with_options_of(options).retrieve
        return await _settle(retrieve, share_token_id, destination_id, lost)

    async def expire(
        self, share_token_id: str, **options: Unpack[RetrieveOptions]
    ) -> ShareToken:
        """Expire an offer that is not redeemed; it may have expired already."""
        try:
            return await self._one(
                ShareTokenRoutes.EXPIRE, share_token_id, options=options
            )
        except (ConflictError, UnprocessableError) as error:
            refusal = error
        retrieve = self._with_options_of(options).retrieve
        return await _already_expired(retrieve, share_token_id, refusal)

    def _with_options_of(self, options: RetrieveOptions) -> "ShareTokens":
        """Return these endpoints with the options of a POST that a GET has as well."""
        given = {k: value for k, value in options.items() if k in _OPTIONS_OF_READS}
        return ShareTokens(self._caller.with_options(cast("CallOptions", given)))

    async def wait(
        self,
        share_token_id: str,
        *,
        timeout: timedelta | float,  # noqa: ASYNC109 — measured by the injected clock
    ) -> Redemption:
        """Wait until a share token is redeemed, polling every 1 to 30 seconds.

        ``timeout`` is in seconds, or a duration.

        Raises:
            RedemptionFailedError: The redemption failed; see its ``reason``.
            ShareTokenExpiredError: The share token expired first.
            RedemptionPendingError: The redemption was not decided in time.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        return await _wait(self.retrieve, share_token_id, self._caller.runtime, seconds)


def _redemption(
    destination_id: str | None,
    field_mappings: Mapping[str, str] | None,
    schema: ResourceWithSchema | None,
) -> Body:
    if destination_id is None:
        if field_mappings:
            message = "field_mappings need a destination_id: a clone has no mappings"
            raise InvalidArgumentError(message)
        return NO_BODY
    values = {"destination_id": checked_id(destination_id, "destination_id")}
    if not field_mappings:
        return attributes_body(values)
    if schema is not None:
        _check_mappings(field_mappings, schema)
    mappings = [
        {"source-field-name": source, "destination-field-name": destination}
        for source, destination in field_mappings.items()
    ]
    return attributes_body(values, {"field_mappings": mappings})


def _check_mappings(mappings: Mapping[str, str], schema: ResourceWithSchema) -> None:
    known = schema.field_names
    for name in mappings.values():
        if name in known:
            continue
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        message = f"field_mappings names {name!r}, which {schema.id} has no field for"
        raise InvalidArgumentError(message + hint)


class Retrieve(Protocol):
    """Retrieves a share token."""

    def __call__(
        self, share_token_id: str, /, *, timeout: float = ...
    ) -> Awaitable[ShareToken]:
        """Return its current state."""
        ...


async def _settle(
    retrieve: Retrieve,
    share_token_id: str,
    destination_id: str | None,
    lost: OutcomeUnknownError | StateError,
) -> ShareToken:
    """Return the state after a redeem call whose response was lost, or raise it again.

    A refusal because of the token's state (409 or 422) is treated in the same way if an
    earlier attempt of the call may have taken effect.
    """
    if not isinstance(lost, OutcomeUnknownError) and not _in_doubt(lost):
        raise lost
    token = await _read(retrieve, share_token_id)
    if token is not None:
        trace = trace_of(token, destination_id)
        match trace:
            case Trace.AS_REQUESTED:
                return token
            case Trace.NONE:
                lost.advice = (
                    "It has not been redeemed; redeem it with the same "
                    "idempotency_key, so that it cannot happen twice."
                )
            case Trace.ANOTHER:
                lost.advice = (
                    "It was redeemed in a different way than this call requested."
                )
            case _:
                assert_never(trace)
    raise lost


async def _already_expired(
    retrieve: Retrieve, share_token_id: str, refusal: StateError
) -> ShareToken:
    """Return a share token that has already expired, or raise the refusal."""
    token = await _read(retrieve, share_token_id)
    if token is None or token.status != ShareTokenStatus.EXPIRED:
        raise refusal
    return token


async def _wait(
    retrieve: Retrieve, share_token_id: str, runtime: Runtime, seconds: float
) -> Redemption:
    """Poll a share token until its redemption is decided."""
    checked_id(share_token_id, "share_token_id")
    if not is_number(seconds) or not seconds > 0:
        message = "timeout must be more than 0 seconds"
        raise InvalidArgumentError(message)
    clock = runtime.clock
    deadline = clock.now() + seconds
    polls, last, failed = 0, None, None
    while (left := deadline - clock.now()) > 0:
        polls += 1
        seen = await _poll(retrieve, share_token_id, left)
        if isinstance(seen, ShareToken):
            last, failed = seen, None
            if is_final(seen):
                return _outcome(seen)
        else:
            failed = seen
        await clock.sleep(pause(polls, runtime.random(), deadline - clock.now()))
    if last is None and failed is not None:
        raise failed
    status = str(last.status) if last is not None and last.status else None
    message = f"the share token is still {status or 'unknown'} after {seconds:g} s"
    pending = RedemptionPendingError(
        message, share_token_id=share_token_id, last_status=status
    )
    if status == ShareTokenStatus.CREATED:
        pending.advice = _NOT_BEGUN
    raise pending


async def _poll(
    retrieve: Retrieve, share_token_id: str, left: float
) -> ShareToken | PersonaError:
    """Return the share token, or an error that may be temporary."""
    try:
        return await retrieve(share_token_id, timeout=left)
    except (ApiError, TransportError) as error:
        if not error.retryable:
            raise
        return error


def _outcome(token: ShareToken) -> Redemption:
    if token.status == ShareTokenStatus.REDEEMED:
        return Redemption(token=token)
    if token.status == ShareTokenStatus.EXPIRED:
        message = "the share token expired before it was redeemed"
        raise ShareTokenExpiredError(message, share_token_id=token.id)
    reason = token.failure_reason
    message = f"the redemption failed: {reason or 'no reason given'}"
    raise RedemptionFailedError(
        message, share_token_id=token.id, reason=str(reason) if reason else None
    )


async def _read(retrieve: Retrieve, share_token_id: str) -> ShareToken | None:
    try:
        return await retrieve(share_token_id)
    except (ApiError, TransportError):
        return None


def _in_doubt(error: ApiError) -> bool:
    """Return whether an attempt before the last one may have taken effect."""
    return any(
        attempt.phase is Phase.AMBIGUOUS or (attempt.status or 0) >= 500  # noqa: PLR2004
        for attempt in error.attempts[:-1]
    )
