"""Decoding of response bodies in pieces, with limits on size and compression ratio."""

import zlib
from typing import Final


#: The size of the pieces in which a body is decompressed, in bytes.
CHUNK: Final = 64 * 1024
#: The maximum size of the body of an error response, in bytes.
MAX_ERROR_BODY: Final = 64 * 1024

_MAX_RATIO: Final = 200
_RATIO_COUNTS_FROM: Final = 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"


class BodyTooLargeError(Exception):
    """The body exceeds its size limit or the maximum compression ratio."""


class BodyDecodingError(Exception):
    """The body does not match its Content-Encoding; a retry may help."""


class UnsupportedEncodingError(BodyDecodingError):
    """The body has an unsupported Content-Encoding; a retry does not help."""


class BodyDecoder:
    """Decodes a body in pieces, up to ``cap`` decoded bytes.

    A gzip body may have several members (RFC 1952 §2.2).
    """

    def __init__(self, cap: int, coding: str = "") -> None:
        self._cap = cap
        self._gzip = False
        self._member: zlib._Decompress | None = None
        self._rest = b""
        self._pieces: list[bytes] = []
        self._received = 0
        self._decoded = 0
        coding = coding.strip().lower()
        if coding in ("gzip", "x-gzip"):
            self._gzip = True
            self._member = zlib.decompressobj(_GZIP)
        elif coding not in ("", "identity"):
            message = "a content encoding that was not requested"
            raise UnsupportedEncodingError(message)

    @property
    def head(self) -> bytes:
        """The decoded bytes so far, up to the cap."""
        return b"".join(self._pieces)[: self._cap]

    def feed(self, piece: bytes) -> None:
        """Decode the next piece."""
        self._received += len(piece)
        if self._received > 2 * self._cap + CHUNK:  # of empty members and padding
            raise BodyTooLargeError
        if not self._gzip:
            self._append(piece)
            return
        piece = self._rest + piece if self._rest else piece
        self._rest = b""
        while piece:
            if self._member is None:
                piece = self._next_member(piece)
                continue
            self._inflate(self._member, piece)
            piece = self._member.unconsumed_tail
            if self._member.eof:
                piece = self._member.unused_data
                self._member = None

    def drain(self) -> bytes:
        """Return and discard the bytes that were decoded since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def end(self) -> bytes:
        """Return the rest of the body; raises `BodyDecodingError` if it is incomplete."""
        if self._member is not None and self._received:
            while not self._member.eof:  # the output may exceed one chunk
                if not self._inflate(self._member, b""):
                    message = "the compressed body is incomplete"
                    raise BodyDecodingError(message)
        if self._rest:
            message = "there are bytes after the compressed body"
            raise BodyDecodingError(message)
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _next_member(self, piece: bytes) -> bytes:
        """Start the next gzip member; zeros after a member are padding."""
        piece = piece.lstrip(b"\0")
        if len(piece) == 1 and piece == _GZIP_MAGIC[:1]:
            self._rest = piece  # the second byte is in the next piece
            return b""
        if not piece:
            return b""
        if not piece.startswith(_GZIP_MAGIC):
            message = "there are bytes after the compressed body"
            raise BodyDecodingError(message)
        self._member = zlib.decompressobj(_GZIP)
        return piece

    def _inflate(self, member: "zlib._Decompress", piece: bytes) -> bool:
        try:
            decoded = member.decompress(piece, CHUNK)
        except zlib.error:
            decoded = None
        if decoded is None:  # raised here, so that the error has no context
            message = "the body is not gzip"
            raise BodyDecodingError(message)
        if decoded:
            self._append(decoded)
        return bool(decoded)

    def _append(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._decoded += len(piece)
        large = self._decoded > _RATIO_COUNTS_FROM
        if self._decoded > self._cap or (
            large and self._decoded > _MAX_RATIO * self._consumed()
        ):
            raise BodyTooLargeError

    def _consumed(self) -> int:
        """Return how many received bytes have been decoded."""
        member = self._member
        waiting = len(member.unconsumed_tail) if member is not None else 0
        return self._received - waiting
