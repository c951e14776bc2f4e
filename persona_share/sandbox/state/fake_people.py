"""Invented people, generated from random numbers and lists of names."""

import struct
import zlib
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from typing import Final

import attrs

from persona_share.sandbox.runtime import Random


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


_FIRST: Final = words(
    "Adara Bastien Calla Dorian Elowen Farid Greta Hanno Ilse Jorun Kalila Lorcan "
    "Marisol Nikos Oona Piotr Quilla Ravi Saskia Tomaz Ulla Vasco Wren Ximena "
    "Yusuf Zora"
)
_MIDDLE: Final = words("Abel Brise Cato Dune Ember Fenn Gale Heath Ivo Jade Kit Lark")
_LAST: Final = words(
    "Abernethy Brandvold Castellane Drozd Eklund Fairweather Grimaldi Hartnell "
    "Imber Jankowiak Kestrel Lindqvist Marchetti Nordgren Okafor Pemberly Quarrie "
    "Rosenthal Sandoval Tamm Underhill Vasquez Whitlock Yardley Zielinski"
)
_STREETS: Final = words("Alder Bramble Copper Drover Elm Foundry Gannet Heron Ivy")
_TOWNS: Final = (
    ("Millbrook", "Oregon", "97001"),
    ("Saltmarsh", "Maine", "04002"),
    ("Copperfield", "Nevada", "89003"),
    ("Larkspur Bend", "Montana", "59004"),
    ("Harrowgate", "Vermont", "05005"),
    ("Pine Hollow", "Idaho", "83006"),
)
_TRADES: Final = words(
    "Bookbinder Cartographer Glazier Horologist Luthier Potter Surveyor Weaver"
)
_FIRMS: Final = words("Anvil Beacon Cobalt Dovetail Everglade Fathom Gable Hearth")
_EARLIEST_BIRTHDATE: Final = date(1950, 1, 1)
_DAYS: Final = 20_000


@attrs.frozen
class Person:
    """One invented person."""

    first: str
    middle: str
    last: str
    birthdate: str
    street: str
    unit: str
    town: str
    region: str
    postal_code: str
    email: str
    phone: str
    number: str
    trade: str
    firm: str

    def replaced(self, fields: Mapping[str, object]) -> "Person":
        """Return the person with these inquiry fields."""
        changes = {
            _PERSON_FIELDS[field]: value
            for field, value in fields.items()
            if field in _PERSON_FIELDS and isinstance(value, str)
        }
        return attrs.evolve(self, **changes)


#: The attribute of a person for each field of an inquiry.
_PERSON_FIELDS: Final = {
    "name-first": "first",
    "name-middle": "middle",
    "name-last": "last",
    "birthdate": "birthdate",
    "address-street-1": "street",
    "address-street-2": "unit",
    "address-city": "town",
    "address-subdivision": "region",
    "address-postal-code": "postal_code",
    "email-address": "email",
    "phone-number": "phone",
    "identification-number": "number",
}


def fake_person(random: Random) -> Person:
    """Return a person with an ``example.com`` email address and a fictitious phone number."""
    first, last = random.choice(_FIRST), random.choice(_LAST)
    town, region, postal_code = random.choice(_TOWNS)
    birthdate = _EARLIEST_BIRTHDATE + timedelta(days=random.randrange(_DAYS))
    return Person(
        first=first,
        middle=random.choice(_MIDDLE),
        last=last,
        birthdate=birthdate.isoformat(),
        street=f"{random.randrange(1, 9999)} {random.choice(_STREETS)} Street",
        unit=f"Unit {random.randrange(1, 99)}",
        town=town,
        region=region,
        postal_code=postal_code,
        email=f"{first}.{last}{random.randrange(1000)}@example.com".lower(),
        phone=f"+1202555{random.randrange(100, 200):04d}",
        number=f"000-{random.randrange(10, 99)}-{random.randrange(1000, 9999)}",
        trade=random.choice(_TRADES),
        firm=f"{random.choice(_FIRMS)} & {random.choice(_LAST)}",
    )


_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_GRAYSCALE: Final = 0
_MAX_LINE: Final = 80


@cache
def png_image(shade: int = 128, side: int = 8) -> bytes:
    """Return a PNG of one shade of gray."""
    header = struct.pack(">IIBBBBB", side, side, 8, _GRAYSCALE, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([shade]) * side) * side)
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)


def pdf_document(lines: list[str]) -> bytes:
    """Return a PDF of one page with these lines of text."""
    shown = [_escaped(line) for line in lines]
    text = " ".join(f"({line}) Tj 0 -14 Td" for line in shown)
    stream = f"BT /F1 11 Tf 50 790 Td {text} ET".encode("ascii")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>"
    )
    return _assemble_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        font,
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


def _escaped(line: str) -> str:
    plain = line.encode("ascii", "replace").decode("ascii")[:_MAX_LINE]
    for mark in "\\()":
        plain = plain.replace(mark, f"\\{mark}")
    return "".join(each if each.isprintable() else " " for each in plain)


def _assemble_pdf(*objects: bytes) -> bytes:
    """Write the objects, the table of their places, and the trailer."""
    whole, positions = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        positions.append(len(whole))
        whole += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % position for position in positions)
    size = len(objects) + 1
    return whole + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n"
        b"<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    ) % (size, table, size, len(whole))
