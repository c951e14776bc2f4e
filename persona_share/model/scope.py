"""Scope: a set of permissions on named objects, as one frozen value.

The grammar is Persona's: ``permission:object_id`` pairs separated by spaces, or bare
permissions for the client-credentials grant. Names are case-sensitive, order and
repetition mean nothing (RFC 6749 §3.3), and no permission implies another.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Self

import attrs

from persona_share.errors import InvalidScopeError
from persona_share.model.ids import checked_id, is_id, resource_of


MAX_ATOMS: Final = 256
MAX_BYTES: Final = 16 * 1024

_WORD: Final = re.compile(r"[^ \t\r\n\v\f]+")
_PERMISSION: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def atom(permission: str, object_id: str | None = None) -> str:
    """Answer the text of one permission, on one object where an id is given."""
    return permission if object_id is None else f"{permission}:{object_id}"


def split_atom(text: str) -> tuple[str, str | None]:
    """Answer the permission and the object id of one atom."""
    permission, colon, object_id = text.partition(":")
    return permission, object_id if colon else None


def _complaint(text: str) -> str | None:
    """Say what is wrong with an atom without repeating it: it may be a secret."""
    permission, object_id = split_atom(text)
    if object_id is None and "." not in permission:
        return "has no ':' between permission and object id"
    if not _PERMISSION.fullmatch(permission):
        return "does not begin with a permission such as 'inquiry.read'"
    if object_id == "":
        return "has no object id after ':'"
    if object_id is not None and not is_id(object_id):
        return "has an object id with characters that ids never have, or over 128"
    return None


@attrs.frozen(repr=False, eq=False, init=False, weakref_slot=False)
class Scope:
    """A canonical set of ``permission:object_id`` atoms (or of bare permissions).

    ``text`` is all of them in canonical order, with one space between two.
    """

    # A third of the memory of a tuple, and its hash is reckoned once.
    text: str

    def __init__(self, atoms: Iterable[str] = ()) -> None:
        """Build from single atoms; `Scope.parse` reads text."""
        canonical = tuple(sorted(set(atoms)))
        for index, text in enumerate(canonical):
            if complaint := _complaint(text):
                message = f"atom {index + 1} {complaint}"
                raise InvalidScopeError(message, index=index)
        if len(canonical) > MAX_ATOMS:
            message = f"a scope of {len(canonical)} atoms; {MAX_ATOMS} are the most"
            raise InvalidScopeError(message)
        if sum(map(len, canonical)) + len(canonical) > MAX_BYTES + 1:
            message = f"a scope over {MAX_BYTES} bytes"
            raise InvalidScopeError(message)
        self.__attrs_init__(" ".join(canonical))

    @classmethod
    def parse(cls, text: "str | Scope") -> Self:
        """Read a scope from text.

        Raises `InvalidScopeError` with the ``index`` (from 0) and ``position`` of the
        first atom that cannot be read; the atom itself is not repeated.
        """
        if isinstance(text, Scope):
            return cls(text.atoms) if type(text) is not cls else text
        given: object = text
        if not isinstance(given, str):
            message = f"a scope must be a str or a Scope, not {type(given).__name__}"
            raise InvalidScopeError(message)
        if len(text) > 4 * MAX_BYTES:
            message = f"a scope text of {len(text)} characters"
            raise InvalidScopeError(message)
        words = list(_WORD.finditer(text))
        for index, word in enumerate(words):
            if complaint := _complaint(word[0]):
                message = f"atom {index + 1} at position {word.start()} {complaint}"
                raise InvalidScopeError(message, index=index, position=word.start())
        return cls(word[0] for word in words)

    @classmethod
    def of(cls, permission: str, *object_ids: str) -> Self:
        """Answer one permission on each of these objects, or bare when none is given."""
        if not object_ids:
            return cls((permission,))
        return cls(atom(permission, checked_id(each)) for each in object_ids)

    @classmethod
    def read(cls, *object_ids: str) -> Self:
        """Answer the read permission of each object, found by its id's prefix."""
        return cls._by_prefix("read", object_ids)

    @classmethod
    def write(cls, *object_ids: str) -> Self:
        """Answer the write permission of each object, found by its id's prefix."""
        return cls._by_prefix("write", object_ids)

    @classmethod
    def _by_prefix(cls, verb: str, object_ids: Iterable[str]) -> Self:
        atoms = []
        for index, object_id in enumerate(object_ids):
            family = resource_of(checked_id(object_id))
            if family is None:
                message = (
                    f"id {index + 1} has a prefix whose permission is not known here; "
                    f"name it with Scope.of('….{verb}', id)"
                )
                raise InvalidScopeError(message, index=index)
            atoms.append(atom(f"{family}.{verb}", object_id))
        return cls(atoms)

    @property
    def atoms(self) -> tuple[str, ...]:
        """The atoms in canonical order."""
        return tuple(self.text.split())

    def covers(self, permission: str, object_id: str) -> bool:
        """Answer whether exactly this permission on exactly this object is in it."""
        return atom(permission, object_id) in self

    def pairs(self) -> Iterator[tuple[str, str | None]]:
        """Go through the atoms as (permission, object id) in canonical order."""
        return map(split_atom, self.atoms)

    def object_ids(self) -> tuple[str, ...]:
        """Answer each object once, in canonical order."""
        named = (object_id for _, object_id in self.pairs() if object_id is not None)
        return tuple(dict.fromkeys(named))

    def __or__(self, other: "Scope") -> "Scope":
        if not isinstance(other, Scope):
            return NotImplemented
        return Scope((*self.atoms, *other.atoms))

    def __and__(self, other: "Scope") -> "Scope":
        if not isinstance(other, Scope):
            return NotImplemented
        return Scope(set(self.atoms).intersection(other.atoms))

    def __sub__(self, other: "Scope") -> "Scope":
        if not isinstance(other, Scope):
            return NotImplemented
        return Scope(set(self.atoms).difference(other.atoms))

    def __le__(self, other: "Scope") -> bool:
        if other is self:
            return True
        if not isinstance(other, Scope):
            return NotImplemented
        if len(self.text) >= len(other.text):
            return self.text == other.text  # a true part is shorter
        return set(other.atoms).issuperset(self.atoms)

    def __ge__(self, other: "Scope") -> bool:
        if not isinstance(other, Scope):
            return NotImplemented
        return other <= self

    def __lt__(self, other: "Scope") -> bool:
        if not isinstance(other, Scope):
            return NotImplemented
        return self != other and self <= other

    def __gt__(self, other: "Scope") -> bool:
        if not isinstance(other, Scope):
            return NotImplemented
        return self != other and other <= self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scope):
            return NotImplemented
        return self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __contains__(self, text: object) -> bool:
        """Answer for one atom as text, or for a whole scope."""
        if isinstance(text, Scope):
            return self >= text
        if not isinstance(text, str) or not text or " " in text:
            return False
        return f" {text} " in f" {self.text} "

    def __iter__(self) -> Iterator[str]:
        return iter(self.atoms)

    def __len__(self) -> int:
        return self.text.count(" ") + 1 if self.text else 0

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Scope({str(self)!r})"

    def __reduce__(self) -> tuple[type["Scope"], tuple[tuple[str, ...]]]:
        """Pickle by atoms, so that they are checked on the way back."""
        return Scope, (self.atoms,)
