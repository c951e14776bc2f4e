"""Random bad input: ``python -m tests.fuzz --n 50000``.

Whatever a service sends and whatever a caller passes comes to a value or to an error of
this library, within 50 ms and 32 MiB; `make soak-fuzz` runs the long form.
"""

import argparse
import gc
import json
import os
import random  # noqa: TID251 — seeded by the fuzzer itself
import sys
import time
import tracemalloc
import zlib
from contextlib import suppress

from persona_share import Scope
from persona_share._protocol import errors, jsonapi, oauth
from persona_share._protocol.body import (
    CHUNK,
    BodyDecoder,
    BodyDecodingError,
    BodyTooLargeError,
)
from persona_share._protocol.http import Expects, Request, Response
from persona_share._protocol.limits import retry_after_of
from persona_share._protocol.query import AFTER, ListLocation, cursor_in
from persona_share._protocol.routes import InquiryRoutes
from persona_share._protocol.urls import parse_base_url, parse_file_url
from persona_share.errors import PersonaError
from persona_share.model.inquiry import Inquiry
from persona_share.model.verification import Verification


SECONDS, MIB = 0.05, 32
OURS = (PersonaError, BodyTooLargeError, BodyDecodingError)
PLACE = ListLocation(
    "https://api.withpersona.com/api/v1", "/inquiries", frozenset({"a"})
)
INQUIRY = {"type": "inquiry", "id": "inq_1", "attributes": {"status": "completed"}}
SEEDS = [
    json.dumps(seed).encode()
    for seed in (
        {"data": INQUIRY, "included": [INQUIRY], "meta": {"session-token": "x"}},
        {"data": [INQUIRY], "links": {"next": "/api/v1/inquiries?page%5Bafter%5D=i"}},
        {"errors": [{"title": "Quota", "details": "d", "source": {"pointer": "/x"}}]},
        {"access-token": "t", "token-type": "Bearer", "expires-in": 9, "scope": "a:b"},
        {"code": "c", "expires-in": 599},
    )
]
NASTY = [b"\0", b"\xff", b"\xed\xa0\x80", b'"\\ud800"', b"NaN", b"1e999", b"9" * 5000]
NASTY += [b"[" * 99, b"[" * 100_000, b'{"a":' * 2000, b"-", b"\xef\xbb\xbf", b"null"]
NASTY += [b"\r\n", b"\x1b[2J", b"true", b"{}", b"[]", b'"data":', b"1" * 33]
CODINGS = ("", "gzip", "GZIP ", "br", "gzip, gzip", "identity", "\x7f")
WORDS = [
    "..",
    "/",
    "%2e%2e",
    "inq_",
    "\r\n",
    "\0",
    "ü",
    "\uff1f",
    "@",
    "#",
    "?",
    "\\",
    ":",
]
WORDS += [
    "//",
    "http://",
    "https://api.withpersona.com/api/v1/inquiries?",
    "[::1]",
    " ",
]
WORDS += [
    "page%5Bafter%5D=",
    "page[after]",
    "&",
    "=",
    "\u202e",
    "\ud800",
    "a",
    "1",
    ".",
]
WORDS += ["files.withpersona.com", "api.withpersona.com", "inquiry.read:", "%", "\t"]


class Fuzzer:
    """Makes bad input, the same for the same seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)  # noqa: S311 — no secret

    def body(self):
        """Return the bytes of a body: a good one that was damaged, or noise."""
        rng, body = self.rng, bytearray(self.rng.choice(SEEDS))
        if rng.random() < 0.1:
            body = bytearray(rng.randbytes(rng.randrange(300)))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(body) + 1)
            match rng.randrange(4):
                case 0:
                    body[at:at] = rng.choice(NASTY)
                case 1:
                    del body[at : at + rng.randrange(1, 40)]
                case 2:
                    body[at : at + 1] = rng.randbytes(1)
                case _:
                    body[at:at] = body[: rng.randrange(len(body) + 1)]
        return bytes(body)

    def response(self):
        """Return a whole response, its headers as odd as its body."""
        rng = self.rng
        kinds = ("application/json", "application/x+json; a=b", "text/html", "", "\xff")
        numbers = ("0", "7", "-1", "9" * 40, "1e9", "", "٣", "1, 2", "Wed, 21 Oct 2015")
        names = ("retry-after", "ratelimit-reset", "ratelimit-remaining", "quota-reset")
        headers = {name: rng.choice(numbers) for name in names if rng.random() < 0.5}
        headers |= {"content-type": rng.choice(kinds), "location": self.text()}
        headers |= {"date": rng.choice(numbers), "request-id": self.text()}
        status = rng.choice((200, 201, 204, 302, 400, 403, 404, 429, 500, 503, 999))
        return Response(status=status, headers=headers, body=self.body())

    def text(self):
        """Return what might be taken for an id, a link or a scope."""
        return "".join(self.rng.choices(WORDS, k=self.rng.randrange(9)))


def request(expects=Expects.JSON):
    return Request(method="GET", route="/x", target="/x", deadline=0, expects=expects)


def bodies(fuzzer):
    """Return each use of one body."""
    got = fuzzer.response()
    ok = Response(status=200, headers=got.headers, body=got.body)
    coding = fuzzer.rng.choice(CODINGS)
    packed = (
        got.body if fuzzer.rng.random() < 0.5 else zlib.compress(got.body, wbits=31)
    )

    def unpacked():
        intake = BodyDecoder(CHUNK, coding)
        intake.feed(packed)
        return intake.end()

    def read():
        found = jsonapi.one(request(), ok, Inquiry, None)
        return found.status, found.account, found.session_token, found.created_at

    def paged():
        page = jsonapi.page(request(), ok, Verification, PLACE)
        return page.items, page.raw

    return {
        "read": read,
        "document": lambda: jsonapi.document(request(), ok),
        "page": paged,
        "token": lambda: oauth.parse_token(got.body),
        "code": lambda: oauth.parse_authorization(got.body),
        "error": lambda: errors.error_of(request(), got),
        "expected": lambda: errors.error_in(request(Expects.OAUTH), got),
        "wish": lambda: retry_after_of(got),
        "unpacked": unpacked,
    }


def texts(fuzzer):
    """Return each use of one text."""
    text = fuzzer.text()
    return {
        "id": lambda: _whole(InquiryRoutes.RETRIEVE.path(text), text),
        "link": lambda: cursor_in(text, AFTER, PLACE),
        "address": lambda: parse_base_url(text),
        "file": lambda: parse_file_url(text),
        "scope": lambda: Scope.parse(text),
        "code": lambda: oauth.checked_code(text),
    }


def _whole(path, object_id):
    """Raise if an id changed the path that it became part of."""
    if path != f"/inquiries/{object_id}" or path.count("/") != 2:
        raise AssertionError(path)


def tried(uses):
    """Return what each use came to that it must not."""
    for name, use in uses.items():
        started = time.perf_counter()
        try:
            use()
        except OURS:
            pass
        except BaseException as error:  # noqa: BLE001 — that is what is looked for
            yield name, repr(error)[:200]
        took = time.perf_counter() - started
        if took > SECONDS and _again(use) > SECONDS:
            yield name, f"took {took:.3f} s"


def _again(use):
    """Return how long something takes when nothing else interferes; the best of five."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        with suppress(BaseException):  # it was looked at before
            use()
        best = min(best, time.perf_counter() - started)
    return best


def run(count, seed=0, minutes=float("inf")):
    """Try so many bodies and as many texts, or as many as there are minutes for.

    Returns the number of inputs, and the failures with their numbers.
    """
    found, end = [], time.perf_counter() + 60 * minutes
    for number in range(count):
        for make in (bodies, texts):
            uses = make(Fuzzer(f"{seed}-{number}"))
            found += [(number, make.__name__, *each) for each in tried(uses)]
        if time.perf_counter() > end:
            return number + 1, found
    return count, found


def heaviest(count, seed=0):
    """Return the most MiB that one body or text needed, of so many."""
    most = 0
    tracemalloc.start()
    for number in range(count):
        for make in (bodies, texts):
            uses = make(Fuzzer(f"{seed}-{number}"))
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            list(tried(uses))
            most = max(most, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    return most / 2**20


def main():
    """Run from the command line; the exit code is 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--n", type=int, default=50_000, help="bodies, and as many texts"
    )
    parser.add_argument("--seed", default="0", help="another seed is another input")
    chosen = parser.parse_args()
    gc.freeze()
    minutes = float(os.environ.get("SOAK_MINUTES", "inf"))
    count, found = run(chosen.n, chosen.seed, minutes)
    heavy = heaviest(min(count, 5_000), chosen.seed)
    for failure in found[:20]:
        print(*failure)  # noqa: T201
    print(  # noqa: T201
        f"fuzz: {count} bodies, {count} ids and links, {len(found)} failures, "
        f"at most {heavy:.1f} MiB"
    )
    return bool(found) or heavy > MIB


if __name__ == "__main__":
    sys.exit(main())
