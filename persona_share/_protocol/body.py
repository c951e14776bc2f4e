"""A response's body as it arrives: decoded, counted, and refused in time."""

import zlib
from typing import Final


#: The body is read in pieces of this size, so a bomb is noticed before it has grown.
CHUNK: Final = 64 * 1024
#: The most that is read of a response that reports an error.
ERROR_CAP: Final = 64 * 1024

_MAX_RATIO: Final = 200
_RATIO_COUNTS_FROM: Final = 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"


class BodyTooLargeError(Exception):
    """The body is over its cap, or grew out of next to nothing."""


class BodyUndecodableError(Exception):
    """The body is not what its Content-Encoding says; a retry may help."""


class UnknownCodingError(BodyUndecodableError):
    """The body has a coding that was not asked for; a retry would not help."""


class BodyDecoder:
    """Decodes a body piece by piece and never holds more than its cap.

    The cap counts decoded bytes. A gzip body may have several members (RFC 1952 §2.2).
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
            message = "a content coding that was not asked for"
            raise UnknownCodingError(message)

    @property
    def head(self) -> bytes:
        """The decoded bytes so far, up to the cap."""
        return b"".join(self._pieces)[: self._cap]

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        self._received += len(piece)
        if not self._gzip:
            self._keep(piece)
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
        """Return the bytes decoded since the last call, and drop them."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def end(self) -> bytes:
        """Return the whole body, or the part that was not drained."""
        if self._member is not None and self._received:
            while not self._member.eof:  # its last piece may have filled a chunk
                if not self._inflate(self._member, b""):
                    message = "the compressed body ends too early"
                    raise BodyUndecodableError(message)
        if self._rest:
            message = "something follows the compressed body"
            raise BodyUndecodableError(message)
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _next_member(self, piece: bytes) -> bytes:
        """Begin the next gzip member; padding with zeros may come before the end."""
        piece = piece.lstrip(b"\0")
        if len(piece) == 1 and piece == _GZIP_MAGIC[:1]:
            self._rest = piece  # the other byte comes with the next piece
            return b""
        if not piece:
            return b""
        if not piece.startswith(_GZIP_MAGIC):
            message = "something follows the compressed body"
            raise BodyUndecodableError(message)
        self._member = zlib.decompressobj(_GZIP)
        return piece

    def _inflate(self, member: "zlib._Decompress", piece: bytes) -> bool:
        try:
            decoded = member.decompress(piece, CHUNK)
        except zlib.error:
            decoded = None
        if decoded is None:  # raised out here, so that no cause is carried along
            message = "the body is not gzip, though it says so"
            raise BodyUndecodableError(message)
        if decoded:
            self._keep(decoded)
        return bool(decoded)

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._decoded += len(piece)
        grown = self._decoded > _RATIO_COUNTS_FROM
        if self._decoded > self._cap or (
            grown and self._decoded > _MAX_RATIO * self._consumed()
        ):
            raise BodyTooLargeError

    def _consumed(self) -> int:
        """Return how many received bytes have been decoded."""
        member = self._member
        waiting = len(member.unconsumed_tail) if member is not None else 0
        return self._received - waiting
