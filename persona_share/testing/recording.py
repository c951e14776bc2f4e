"""Options for vcrpy and pytest-recording that keep credentials out of cassettes."""

import json
from typing import Any, Final


#: What stands in a cassette for a secret; it has the form of a token, so that a
#: recorded exchange can be replayed.
MASK: Final = "masked"

_HEADERS: Final = ("Authorization", "Idempotency-Key", "Proxy-Authorization")
_FORM_FIELDS: Final = ("code", "client_assertion")
# The three casings of the API.
_JSON_FIELDS: Final = frozenset(
    {"access-token", "access_token", "accessToken", "code", "client-secret"}
)


def vcr_options() -> dict[str, Any]:
    """Return options for `vcr.VCR` or for the fixture ``vcr_config``.

    Credentials, codes and tokens are masked in headers, forms and JSON bodies. Personal
    data in the bodies is not: record against the sandbox.
    """
    return {
        "filter_headers": [(name, MASK) for name in _HEADERS],
        "filter_post_data_parameters": [(name, MASK) for name in _FORM_FIELDS],
        "before_record_response": _masked,
        "decode_compressed_response": True,
    }


def _masked(response: dict[str, Any]) -> dict[str, Any]:
    body = response["body"]["string"]
    try:
        document = json.loads(body)
    except ValueError:
        return response
    if not isinstance(document, dict) or not _JSON_FIELDS & document.keys():
        return response
    masked = {
        name: MASK if name in _JSON_FIELDS else value
        for name, value in document.items()
    }
    text = json.dumps(masked).encode()
    return {**response, "body": {**response["body"], "string": text}}
