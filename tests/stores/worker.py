"""A process that uses a store."""

import asyncio
import gc
import os
import threading
from contextlib import contextmanager

from persona_share.stores import PostgresStore, RedisStore, SQLiteStore
from persona_share.stores.base import PerLoop, PerProcess
from tests.processes import FORKSERVER, LONGEST


KEY = "scope/5d41402abc4b2a76b9719d911017c592"


def store_at(place):
    """Return the store at a place, which is a path or a URL."""
    if place.startswith("redis://"):
        return RedisStore(place)
    if place.startswith("postgresql://"):
        return PostgresStore(place, create=True)
    return SQLiteStore(place)


class Worker:
    """A process that does a job with the store at a place, and what it sends."""

    def __init__(self, job, place, *arguments):
        self._pipe, theirs = FORKSERVER.Pipe()
        task = (theirs, job, place, arguments)
        self._process = FORKSERVER.Process(target=_work, args=task)
        self._process.start()
        theirs.close()  # the process has it; with its last copy the pipe ends

    def send(self, word):
        self._pipe.send(word)

    def receive(self):
        """Return the next thing that the process sent; raise EOFError at its end."""
        assert self._pipe.poll(LONGEST), "the process sends nothing"
        return self._pipe.recv()

    def kill(self):
        """Kill the process, and return what it sent before."""
        self._process.kill()
        self._process.join()
        sent = []
        try:
            while True:
                sent.append(self._pipe.recv())
        except (EOFError, OSError):  # the last one may be cut off
            return sent


@contextmanager
def worker(job, place, *arguments):
    """Run a job of this module in a process until the block ends."""
    running = Worker(job, place, *arguments)
    try:
        yield running
    finally:
        running.kill()


def _work(pipe, job, place, arguments):
    work = job(pipe, store_at(place), *arguments)
    if work is not None:
        asyncio.run(work)


async def count(pipe, store, left):
    """Increment a shared number repeatedly, and report when it is done."""
    await store.open()
    pipe.send("ready")
    pipe.recv()
    while left:
        found = await store.read(KEY)
        value = b"%d" % (int(found.value or b"0") + 1)
        left -= await store.write(KEY, value, if_etag=found.etag, ttl=60)
    pipe.send("done")
    await store.aclose()


async def write(pipe, store, number):
    """Write one record after the other and report each that was acknowledged."""
    while True:
        value = b"%d" % number
        if await store.write(f"scope/{number}", value, if_etag="", ttl=600):
            pipe.send(number)
        number += 1


async def keep(store, key):
    """Write a record and read it back."""
    await store.open()
    assert await store.write(key, key.encode(), if_etag="", ttl=60)
    assert (await store.read(key)).value == key.encode()


async def read_all(store):
    """Return whether each child's record is there."""
    found = [await store.read(f"scope/child{number}") for number in range(8)]
    await store.aclose()
    return all(each.value for each in found)


def fork(pipe, store):
    """Fork with an open store, use it in both processes, and report whether both succeeded."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(keep(store, "scope/parent"))
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            failed = 1
            try:
                asyncio.run(keep(store, f"scope/child{number}"))
                failed = 0
            finally:
                os._exit(failed)
        children.append(child)
    loop.run_until_complete(keep(store, "scope/again"))
    failures = sum(os.waitpid(child, 0)[1] for child in children)
    pipe.send((failures, loop.run_until_complete(read_all(store))))
    loop.close()


def fork_amid(pipe, store):
    """Fork while a thread writes, and report the exit codes of the children."""
    ending = threading.Event()

    async def write_on():
        while not ending.is_set():
            etag = (await store.read(KEY)).etag
            await store.write(KEY, bytes(20_000), if_etag=etag, ttl=60)

    writer = threading.Thread(target=asyncio.run, args=(write_on(),))
    writer.start()
    codes = []
    for number in range(8):
        ending.wait(0.01 + 0.003 * number)
        child = os.fork()
        if child == 0:
            failed = 1
            try:
                asyncio.run(keep(store, f"scope/child{number}"))
                failed = 0
            finally:
                os._exit(failed)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    ending.set()
    writer.join()
    pipe.send(codes)


def drop(pipe, _store, is_used):
    """Fork, drop all objects in the child, and report how many of the parent's it finalized."""
    parent, finalized = os.getpid(), []

    class Connection:
        def __init__(self):
            self.process = os.getpid()

        def __del__(self):
            if self.process == parent:
                finalized.append(self)

    holders = [PerProcess(Connection), PerLoop(Connection)]

    async def use():
        for each in holders:
            each.get()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(use())
    child = os.fork()
    if child == 0:
        status = 99
        try:
            if is_used:
                asyncio.run(use())
            holders.clear()
            gc.collect()
            status = len(finalized)
        finally:
            os._exit(status)
    pipe.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    loop.close()
