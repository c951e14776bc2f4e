"""G12 and G15: what cancelled calls leave behind, and the cost of a decompression bomb."""

import asyncio
import sys
import zlib

import pytest

from tests.servers import RawServer, http_response


MIB = 1024 * 1024
MEGABYTES = 512


async def measured(*arguments):
    """Run a measurement in its own process and return the printed lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "tests.guarantees.measurements", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await process.communicate()
    assert complaints.decode() == ""  # an unclosed socket would be reported here
    assert process.returncode == 0
    return [line.split("|") for line in printed.decode().splitlines()]


def the_bomb():
    """Make a gzip of zeros; after a full flush each mebibyte packs like the last."""
    zeros = bytes(MIB)
    zipper = zlib.compressobj(9, wbits=-15)
    pieces = [zipper.compress(zeros) + zipper.flush(zlib.Z_FULL_FLUSH) for _ in "12"]
    check = 0
    for _ in range(MEGABYTES):
        check = zlib.crc32(zeros, check)
    end = check.to_bytes(4, "little") + (MEGABYTES * MIB).to_bytes(4, "little")
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    body = pieces[0] + pieces[1] * (MEGABYTES - 1) + zipper.flush()
    return head + body + end


def unpacked(data):
    """Return how many bytes a gzip unpacks to, without holding them."""
    unzip, size = zlib.decompressobj(31), 0
    while data and not unzip.eof:
        size += len(unzip.decompress(data, 4 * MIB))
        data = unzip.unconsumed_tail
    assert unzip.eof
    return size


@pytest.mark.asyncio
async def test_f19_decompression_bomb_is_bounded_in_time_and_memory():
    packed = the_bomb()
    assert len(packed) < MIB
    assert unpacked(packed) == MEGABYTES * MIB
    coding = [("Content-Encoding", "gzip")]

    async def serve(connection):
        head = await connection.request()
        if b"/small" in head:
            await connection.send(http_response(200, b'{"data":null}'))
        else:
            status = 500 if b"/failing" in head else 200
            kind = "application/pdf" if b"/print" in head else "application/json"
            await connection.send(http_response(status, packed, coding, kind))

    async with RawServer(serve) as server:
        lines = await measured("bomb", server.api)
    assert [line[:2] for line in lines] == [
        ["JSON", "ResponseTooLargeError"],
        ["a code", "ResponseTooLargeError"],
        ["a PDF", "ResponseTooLargeError"],
        ["an error", "ServerError"],
    ]
    assert all(float(seconds) < 1 for _, _, seconds, _ in lines)
    assert sum(float(rise) for _, _, _, rise in lines) <= 16


@pytest.mark.slow
@pytest.mark.asyncio
async def test_two_thousand_cancelled_calls_leave_nothing_open():
    [[broken, whole, left, tasks, free]] = await measured("cancelled_calls", "2000")
    assert int(broken) >= 2_000
    assert int(whole) >= 20  # which were quick enough, and left connections to use
    assert (left, tasks, free) == ("0", "0", "True")
