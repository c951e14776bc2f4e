"""Who calls: the options that every command on the service shares."""

import functools
import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import rich_click as click

from persona_share import PersonaClient, Secret
from persona_share.cli.secret_input import read_secret


F = TypeVar("F", bound=Callable[..., Any])

KEY: Final = "PERSONA_API_KEY"


@attrs.frozen(kw_only=True)
class ClientOptions:
    """Where the service is, and the files of the key."""

    key_file: str | None
    base_url: str | None
    insecure_local: bool
    timeout: float
    as_json: bool

    def key(self) -> Secret:
        """Answer the API key of this organization."""
        return read_secret("API key", self.key_file, KEY)

    def client(self, key: Secret | None = None) -> PersonaClient:
        """Answer a client under this key, or under the organization's own."""
        options: dict[str, Any] = {"api_key": key or self.key()}
        if self.base_url:
            options["base_url"] = self.base_url
        return PersonaClient.from_env(
            timeout=self.timeout, insecure_local=self.insecure_local, **options
        )


def with_json(command: F) -> F:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON with stable keys."
    )(command)


def with_client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `ClientOptions`, and hand them over as one value."""

    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        api_key_file: str | None,
        base_url: str | None,
        insecure_local: bool,
        timeout: float,
        as_json: bool,
        **rest: Any,
    ) -> Any:
        options = ClientOptions(
            key_file=api_key_file,
            base_url=base_url,
            insecure_local=insecure_local,
            timeout=timeout,
            as_json=as_json,
        )
        return command(options, *arguments, **rest)

    local = "PERSONA_INSECURE_LOCAL" in os.environ
    for option in (
        click.option(
            "--api-key-file",
            metavar="FILE",
            help=f"File of the API key, - for stdin; else {KEY} is read.",
        ),
        click.option(
            "--base-url", metavar="URL", help="Else PERSONA_BASE_URL is read."
        ),
        click.option(
            "--insecure-local",
            is_flag=True,
            default=local,
            help="Allow plain http to this machine, for a sandbox.",
        ),
        click.option(
            "--timeout",
            default=100.0,
            show_default=True,
            type=click.FloatRange(min=0, min_open=True),
            help="Longest time of one call, in s.",
        ),
        with_json,
    ):
        wrapped = option(wrapped)
    return wrapped
