"""Signature headers, good ones mutated at random: ``python -m tests.webhook_mutations``.

Each is verified by the package and by a reader of our own in here; they have to agree, and
neither time nor memory may run away. The same seed makes the same headers.
"""

import argparse
import hashlib
import hmac
import os
import random  # noqa: TID251 - seeded, and the seed is printed
import sys
import tracemalloc

import attrs

from persona_share._protocol.signature import (
    MAX_HEADER_LENGTH,
    MAX_SIGNATURES,
    Match,
    verify,
)
from persona_share._transport.runtime import SystemClock


NOW = 1_767_225_600
TOLERANCE = 300
SECRETS = (b"wbhsec_one", b"wbhsec_two")
BODY = b'{"data":{"type":"event","id":"evt_1","attributes":{}}}'
#: The longest time for one header.
MOST_SECONDS = 0.05
MOST_BYTES = 32 * 1024 * 1024
SPICE = ",= \t\r\n\0+-.;tv01aFZ\uff11\u0660\u00e9\u2028\U0001f511"


@attrs.define
class Tally:
    """The results of one run."""

    headers: int = 0
    accepted: int = 0
    wrong: list = attrs.Factory(list)
    slowest: float = 0.0
    peak: int = 0

    def __str__(self):
        return (
            f"webhooks: headers={self.headers} accepted={self.accepted} "
            f"wrong={len(self.wrong)} slowest={1000 * self.slowest:.1f}ms "
            f"peak={self.peak // 1024}KiB"
        )


def mac(secret, time):
    message = time.encode() + b"." + BODY
    return hmac.digest(secret, message, hashlib.sha256).hex()


def good(rng):
    """Return a header as the service sends it, of one or two secrets."""
    times = [NOW + rng.choice([0, -299, 299, -301, 301, -5000]) for _ in SECRETS]
    sets = [
        f"t={time},v1={mac(secret, str(time))}"
        for secret, time in zip(SECRETS, times, strict=True)
    ]
    return " ".join(rng.sample(sets, rng.choice([1, 1, 2])))


# ── Mutations: a header and a generator in, another header out ─────────────────────────


def replaced(header, rng):
    place = rng.randrange(len(header) + 1)
    return header[:place] + rng.choice(SPICE) + header[place + 1 :]


def inserted(header, rng):
    place = rng.randrange(len(header) + 1)
    return header[:place] + rng.choice(SPICE) + header[place:]


def shortened(header, rng):
    first, last = sorted(rng.randrange(len(header) + 1) for _ in range(2))
    return header[:first] + header[last:]


def repeated(header, rng):
    first, last = sorted(rng.randrange(len(header) + 1) for _ in range(2))
    return header[:last] + header[first:]


def reordered(header, rng):
    parts = header.replace(" ", ",").split(",")
    rng.shuffle(parts)
    return rng.choice([",", " "]).join(parts)


def renamed(header, rng):
    return header.replace("v1", rng.choice(["v0", "v2", "V1", "v1 ", "v11", ""]))


def in_capitals(header, rng):
    return rng.choice([header.upper(), header.swapcase(), header.title()])


def with_capital_hex(header, _):
    return ",".join(
        part[:3] + part[3:].upper() if part.startswith("v1=") else part
        for part in header.split(",")
    )


def in_other_digits(header, rng):
    zero = rng.choice([0xFF10, 0x0660, 0x0966])
    return "".join(chr(zero + int(c)) if c in "0123456789" else c for c in header)


def extended(header, rng):
    return header + rng.choice([",v2=x", ",a=b", ",t=1", ",v1=0", ", v1=0", ",", "="])


def grown(header, rng):
    return rng.choice([" ", ","]).join([header] * rng.choice([2, 8, 9, 40]))


def swollen(header, rng):
    return header + rng.choice(SPICE) * rng.choice([300, MAX_HEADER_LENGTH, 100_000])


def untouched(header, _):
    return header


MUTATIONS = (
    replaced,
    inserted,
    shortened,
    repeated,
    reordered,
    renamed,
    in_capitals,
    with_capital_hex,
    in_other_digits,
    extended,
    grown,
    swollen,
    untouched,
)


# ── The other reader ────────────────────────────────────────────────────────────


def is_good(header):
    """Return whether a header has to be accepted; written without the package."""
    if len(header) > MAX_HEADER_LENGTH or any(
        not "!" <= c <= "~" for c in spaceless(header)
    ):
        return False
    sets = [_pairs(text) for text in header.split(" ")]
    if len(sets) > MAX_SIGNATURES or None in sets:
        return False
    return any(
        abs(NOW - int(each["t"])) <= TOLERANCE
        and each["v1"].lower() in {mac(secret, each["t"]) for secret in SECRETS}
        for each in sets
    )


def spaceless(header):
    return header.replace(" ", "")


def _pairs(text):
    """Return a set's pairs, or None for anything that is no set."""
    pairs = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        known = name[:1].islower() and name.isalnum() and name == name.lower()
        if not known or len(name) > 16 or name in pairs:
            return None
        if not value or "=" in value or len(value) > 256:
            return None
        pairs[name] = value
    time, v1 = pairs.get("t", ""), pairs.get("v1", "")
    well_timed = time.isdigit() and len(time) <= 12
    hexed = len(v1) == 64 and not set(v1.lower()) - set("0123456789abcdef")
    return pairs if well_timed and hexed else None


# ── The run ─────────────────────────────────────────────────────────────────────


def run(headers, seed, minutes=float("inf")):
    """Judge so many headers, or as many as there are minutes for; return the results."""
    rng = random.Random(seed)  # noqa: S311 - it keeps no secret
    clock, tally = SystemClock(), Tally()
    end = clock.now() + 60 * minutes
    tracemalloc.start()
    try:
        for _ in range(headers):
            if clock.now() > end:
                break
            header = good(rng)
            for mutation in rng.choices(MUTATIONS, k=rng.choice([1, 1, 1, 2, 3])):
                header = mutation(header, rng)
            tracemalloc.reset_peak()
            before, began = tracemalloc.get_traced_memory()[0], clock.now()
            found = verify(header, BODY, SECRETS, now=NOW, tolerance=TOLERANCE)
            tally.slowest = max(tally.slowest, clock.now() - began)
            tally.peak = max(tally.peak, tracemalloc.get_traced_memory()[1] - before)
            accepted = isinstance(found, Match)
            tally.headers += 1
            tally.accepted += accepted
            if accepted is not is_good(header):
                tally.wrong.append(header)
    finally:
        tracemalloc.stop()
    return tally


def main(arguments=None):
    """Judge 50,000 headers, and fail if one of them was verified wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tests.webhook_mutations")
    parser.add_argument("--headers", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    minutes = float(os.environ.get("SOAK_MINUTES", "inf"))
    tally = run(asked.headers, asked.seed, minutes)
    for header in tally.wrong[:10]:
        sys.stdout.write(f"verified wrongly: {header[:300]!a}\n")
    sys.stdout.write(f"{tally}\n")
    return 1 if tally.wrong or tally.peak > MOST_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
