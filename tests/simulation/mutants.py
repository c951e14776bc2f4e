"""Ten faults that are planted into the core: the seeds must catch each of them.

Each mutant replaces one function of the core while it is planted. ``python -m
tests.simulation`` plants them one after the other.
"""

import itertools
from contextlib import contextmanager
from unittest import mock

import attrs

from persona_share._tokens import exchange, record as records
from persona_share._tokens.cache import TokenCache
from persona_share._tokens.inflight import Operation
from persona_share._tokens.record import Wish
from persona_share.model.secret import Secret


_acquire, _begin_send = records.acquire, records.begin_send
_numbers = itertools.count()


def _new_key(_origin, _code, _epoch):
    return Secret(f"key-{next(_numbers)}")


def _ignores_leases(record, now, owner, wish, **options):
    return _acquire(attrs.evolve(record, lease=None), now, owner, wish, **options)


def _counts_from_now(record, now, owner, code, known, **options):
    begun = _begin_send(record, now, owner, code, known, **options)
    if not records.owns(begun, owner):
        return begun
    return attrs.evolve(begun, first_sent=(*begun.first_sent[:-1], now + 5.0))


def _hands_out_anything(self, text):
    return self.get(text)


def _ignores_the_scope(self, _text):
    return next(iter(self.values()), None)


def _nothing(*_args, **_options):
    return None


def _unextended(record, _now, _owner):
    return record


#: Each mutant: the object, the name of its function, and the faulty function.
MUTANTS = {
    "a new idempotency key for each send": (exchange, "exchange_key", _new_key),
    "leases are ignored": (records, "acquire", _ignores_leases),
    "the lifetime counts from the last send": (
        records, "begin_send", _counts_from_now,
    ),
    "expired tokens are handed out": (TokenCache, "usable", _hands_out_anything),
    "leases are not extended": (records, "extend", _unextended),
    "a token serves any scope": (TokenCache, "usable", _ignores_the_scope),
    "rejected tokens stay in the cache": (TokenCache, "reject", _nothing),
    "a better token of the store is not adopted": (Wish, "fulfilled_by", _nothing),
    "the end of an operation is not told": (Operation, "_resolve", _nothing),
    "the deadline of a caller is not kept": (Operation, "_end_wait_at", _nothing),
}  # fmt: skip


@contextmanager
def planted(name):
    """Plant one mutant while the block runs."""
    where, attribute, faulty = MUTANTS[name]
    with mock.patch.object(where, attribute, faulty):
        yield
