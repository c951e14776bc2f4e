"""``persona-share webhook``: is this delivery Persona's?"""

import os
import sys
from pathlib import Path

import rich_click as click

from persona_share.cli.client_options import with_json
from persona_share.cli.exit_codes import fail, print_json, run
from persona_share.cli.secret_input import read_secret
from persona_share.webhooks import TOLERANCE, Verifier


@click.group()
def webhook() -> None:
    """Deliveries of events."""


@webhook.command(
    epilog="Example: persona-share webhook verify --signature 't=…,v1=…' body.json"
)
@click.argument("body", type=click.Path(), default="-")
@click.option(
    "--signature", required=True, help="The Persona-Signature header of the delivery."
)
@click.option(
    "--secret-file",
    metavar="FILE",
    help="File with the webhook's secret; default: PERSONA_WEBHOOK_SECRET.",
)
@click.option(
    "--tolerance",
    default=TOLERANCE,
    show_default=True,
    help="Maximum age of a delivery, in seconds.",
)
@with_json
def verify(
    body: str,
    signature: str,
    secret_file: str | None,
    tolerance: float,
    *,
    as_json: bool,
) -> None:
    """Check the signature of a BODY, byte for byte; - reads standard input."""
    if body == "-" and (secret_file == "-" or not _has_secret(secret_file)):  # noqa: S105  # a name, no secret
        message = "The body comes from stdin, so the secret needs a file or a variable."
        fail(message)
    secret = read_secret("webhook secret", secret_file, "PERSONA_WEBHOOK_SECRET")

    async def work() -> None:
        """Verify and tell."""
        content = _content(body)
        event = Verifier(secret, tolerance).verify(content, signature)
        if as_json:
            print_json({"valid": True, "id": event.id, "name": event.name})
        else:
            click.echo(f"valid: {event.name} {event.id}")

    run(work(), as_json=as_json)


def _content(body: str) -> bytes:
    return sys.stdin.buffer.read() if body == "-" else Path(body).read_bytes()


def _has_secret(secret_file: str | None) -> bool:
    return bool(secret_file or os.environ.get("PERSONA_WEBHOOK_SECRET"))
