"""Tiny pictures and PDFs, made by hand."""

import struct
import zlib
from functools import cache
from typing import Final


_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_GREY: Final = 0
_LONGEST_LINE: Final = 80


@cache
def picture(shade: int = 128, side: int = 8) -> bytes:
    """Answer a PNG of one grey."""
    header = struct.pack(">IIBBBBB", side, side, 8, _GREY, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([shade]) * side) * side)
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)


def pdf(lines: list[str]) -> bytes:
    """Answer a PDF of one page with these lines of text."""
    shown = [_escaped(line) for line in lines]
    text = " ".join(f"({line}) Tj 0 -14 Td" for line in shown)
    stream = f"BT /F1 11 Tf 50 790 Td {text} ET".encode("ascii")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>"
    )
    return _assembled(
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
    plain = line.encode("ascii", "replace").decode("ascii")[:_LONGEST_LINE]
    for mark in "\\()":
        plain = plain.replace(mark, f"\\{mark}")
    return "".join(each if each.isprintable() else " " for each in plain)


def _assembled(*objects: bytes) -> bytes:
    """Write the objects, the table of their places, and the trailer."""
    whole, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(whole))
        whole += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return whole + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n"
        b"<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    ) % (size, table, size, len(whole))
