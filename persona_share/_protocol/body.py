"""A response's body as it arrives: decoded, counted, and refused in time (T18)."""

import zlib
from typing import Final


#: So much is read at once, so that a bomb is seen before it has grown.
CHUNK: Final = 64 * 1024
#: An answer that reports an error needs no more than this.
ERROR_CAP: Final = 64 * 1024

_RATIO: Final = 200
_RATIO_COUNTS_FROM: Final = 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyTooLargeError(Exception):
    """The body is over its cap, or grew out of next to nothing."""


class BodyUndecodableError(Exception):
    """The body is not what its Content-Encoding says; asking again may help."""


class UnknownCodingError(BodyUndecodableError):
    """The body is encoded in a way that was not asked for; it would be again."""


class Intake:
    """Takes a body in piece by piece and never holds more than its cap.

    The cap counts decoded bytes. ``head`` is what was decoded so far.
    """

    def __init__(self, cap: int, coding: str = "") -> None:
        self._cap = cap
        self._unzip = None
        self._pieces: list[bytes] = []
        self._received = 0
        self._decoded = 0
        if coding:
            self._unzip = _decompressor(coding.strip().lower())

    @property
    def head(self) -> bytes:
        """What was decoded so far, up to the cap."""
        return b"".join(self._pieces)[: self._cap]

    def feed(self, piece: bytes) -> None:
        """Take in the next piece."""
        self._received += len(piece)
        if self._unzip is None:
            self._keep(piece)
            return
        while piece and not self._unzip.eof:
            self._inflate(self._unzip, piece)
            piece = self._unzip.unconsumed_tail
        if self._unzip.unused_data or piece:
            message = "something follows the compressed body"
            raise BodyUndecodableError(message)

    def drain(self) -> bytes:
        """Answer what was decoded since the last time, and let go of it."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

    def end(self) -> bytes:
        """Answer the whole body, or what was not drained of it."""
        if self._unzip is not None and self._received:
            while not self._unzip.eof:  # its last piece may have filled a chunk
                if not self._inflate(self._unzip, b""):
                    message = "the compressed body ends too early"
                    raise BodyUndecodableError(message)
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _inflate(self, unzip: "zlib._Decompress", piece: bytes) -> bool:
        try:
            decoded = unzip.decompress(piece, CHUNK)
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
            grown and self._decoded > _RATIO * self._unpacked()
        ):
            raise BodyTooLargeError

    def _unpacked(self) -> int:
        """Answer of how many received bytes that was made which was decoded."""
        waiting = len(self._unzip.unconsumed_tail) if self._unzip is not None else 0
        return self._received - waiting


def _decompressor(coding: str) -> "zlib._Decompress | None":
    if coding in ("", "identity"):
        return None
    if coding in ("gzip", "x-gzip"):
        return zlib.decompressobj(_GZIP)
    message = "a content coding that was not asked for"
    raise UnknownCodingError(message)
