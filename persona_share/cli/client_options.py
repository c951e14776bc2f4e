"""The options of every command that calls the service."""

import functools
import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import rich_click as click

from persona_share import PersonaClient, Secret
from persona_share.cli.exit_codes import fail
from persona_share.cli.secret_input import read_secret


F = TypeVar("F", bound=Callable[..., Any])

KEY: Final = "PERSONA_API_KEY"


@attrs.frozen(kw_only=True)
class ClientOptions:
    """The address of the service, and the file of the API key."""

    key_file: str | None
    base_url: str | None
    insecure_local: bool
    proxy: str | None
    trust_env: bool
    timeout: float
    as_json: bool

    def key(self) -> Secret:
        """Return the API key of this organization."""
        return read_secret("API key", self.key_file, KEY)

    def client(self, key: Secret | None = None) -> PersonaClient:
        """Return a client with this key, or with the organization's own."""
        options: dict[str, Any] = {"api_key": key or self.key()}
        if self.base_url:
            options["base_url"] = self.base_url
        if self.proxy:
            options["proxy"] = Secret(self.proxy)
        if self.insecure_local:
            options["insecure_local"] = True
        return PersonaClient.from_env(
            timeout=self.timeout, trust_env=self.trust_env, **options
        )


def with_json(command: F) -> F:
    """Add ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON with stable keys."
    )(command)


def with_client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `ClientOptions`, and pass them as one value."""

    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        api_key_file: str | None,
        base_url: str | None,
        insecure_local: bool,
        proxy: str | None,
        trust_env: bool,
        timeout: float,
        as_json: bool,
        **rest: Any,
    ) -> Any:
        _require_no_password(proxy)
        options = ClientOptions(
            key_file=api_key_file,
            base_url=base_url,
            insecure_local=insecure_local,
            proxy=proxy,
            trust_env=trust_env,
            timeout=timeout,
            as_json=as_json,
        )
        return command(options, *arguments, **rest)

    for option in (
        click.option(
            "--api-key-file",
            metavar="FILE",
            envvar="PERSONA_API_KEY_FILE",
            help=f"File with the API key, - for stdin; default: {KEY}.",
        ),
        click.option(
            "--base-url",
            metavar="URL",
            envvar="PERSONA_BASE_URL",
            help="URL of the API; default: PERSONA_BASE_URL.",
        ),
        click.option(
            "--insecure-local",
            is_flag=True,
            help="Allow plain http to this machine, for a sandbox;"
            " PERSONA_INSECURE_LOCAL=1 does the same, or lists hosts to allow.",
        ),
        click.option(
            "--proxy",
            metavar="URL",
            envvar="PERSONA_PROXY",
            help="URL of a proxy; a URL with a password must be in PERSONA_PROXY.",
        ),
        click.option(
            "--trust-env",
            is_flag=True,
            help="Use the proxy from HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        ),
        click.option(
            "--timeout",
            default=100.0,
            show_default=True,
            envvar="PERSONA_TIMEOUT",
            type=click.FloatRange(min=0, min_open=True),
            help="Time limit of one call, in seconds.",
        ),
        with_json,
    ):
        wrapped = option(wrapped)
    return wrapped


def _require_no_password(proxy: str | None) -> None:
    if proxy and "@" in proxy and proxy != os.environ.get("PERSONA_PROXY"):
        fail("Pass a proxy URL with a password in PERSONA_PROXY, not as an option.")
