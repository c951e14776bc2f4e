"""Scopes: sets of permissions on named objects.

A scope is written as ``permission:object_id`` pairs separated by spaces, or as bare
permissions for the client-credentials grant. Names are case-sensitive, order and
repetition are ignored (RFC 6749 §3.3), and no permission implies another.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Final, Self

import attrs

from persona_share._warnings import warn_user
from persona_share.errors import InvalidScopeError
from persona_share.model.ids import (
    MAX_ID_LENGTH,
    checked_id,
    is_id,
    kind_of_id,
    resource_of,
    with_article,
)


MAX_ATOMS: Final = 256
MAX_BYTES: Final = 16 * 1024

_WORD: Final = re.compile(r"[^ \t\r\n\v\f]+")
_PERMISSION: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def atom(permission: str, object_id: str | None = None) -> str:
    """Return the text of one permission, on an object if an id is given."""
    if object_id is None:
        return permission
    # An f-string would insert what the str() of a member of an Enum returns.
    return ":".join((permission, object_id))  # noqa: FLY002


def split_atom(text: str) -> tuple[str, str | None]:
    """Return the permission and the object id of one atom."""
    permission, colon, object_id = text.partition(":")
    return permission, object_id if colon else None


#: The permissions that Persona documents; it may add more at any time.
KNOWN_PERMISSIONS: Final = frozenset(
    {
        *(
            f"{family}.{verb}"
            for verb in ("read", "write")
            for family in (
                "account",
                "api_key",
                "case",
                "document",
                "importer",
                "inquiry",
                "list",
                "report",
                "txn",
                "verification",
                "webhook",
            )
        ),
        "account_type.read",
        "api_key.scim",
        "api_log.read",
        "case_template.read",
        "device.read",
        "event.read",
        "filing.write",
        "privacy_pass.write",
        "user_audit_log.read",
        "workflow.trigger",
    }
)


class ScopeWarning(UserWarning):
    """A scope is valid, but looks like a mistake."""


def warning_about(text: str) -> str | None:
    """Return a warning about a valid atom that looks like a mistake, or None."""
    permission, object_id = split_atom(text)
    if permission not in KNOWN_PERMISSIONS:
        close = difflib.get_close_matches(permission, KNOWN_PERMISSIONS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{permission!r} is not a permission that persona_share knows{hint}"
    family = resource_of(object_id or "")
    if family is None or family == permission.partition(".")[0]:
        return None
    kind = with_article(kind_of_id(object_id or "") or family)
    return f"{permission!r} is used with the id of {kind}"


def _problem_in(text: str) -> str | None:
    """Return why an atom is invalid, or None; the text never contains the atom."""
    permission, object_id = split_atom(text)
    if object_id is None and "." not in permission:
        return "has no ':' between permission and object id"
    if not _PERMISSION.fullmatch(permission):
        return "does not begin with a permission such as 'inquiry.read'"
    if object_id == "":
        return "has no object id after ':'"
    if object_id is not None and not is_id(object_id):
        return f"has an object id that is not 1 to {MAX_ID_LENGTH} letters, digits, _ and -"
    return None


@attrs.frozen(repr=False, eq=False, init=False, weakref_slot=False)
class Scope:
    """A canonical set of ``permission:object_id`` atoms (or of bare permissions).

    ``text`` contains the atoms in canonical order, separated by spaces.
    """

    # A str takes a third of the memory of a tuple, and caches its hash.
    text: str

    def __init__(self, atoms: Iterable[str] = ()) -> None:
        """Create a scope from single atoms; `parse` accepts text."""
        canonical = tuple(sorted(set(atoms)))
        for index, text in enumerate(canonical):
            if problem := _problem_in(text):
                message = f"atom {index + 1} {problem}"
                raise InvalidScopeError(message, index=index)
        if len(canonical) > MAX_ATOMS:
            message = (
                f"a scope has {MAX_ATOMS} permissions at most, not {len(canonical)}"
            )
            raise InvalidScopeError(message)
        if sum(map(len, canonical)) + len(canonical) > MAX_BYTES + 1:
            message = f"a scope has {MAX_BYTES} bytes at most"
            raise InvalidScopeError(message)
        self.__attrs_init__(" ".join(canonical))

    @classmethod
    def parse(cls, text: "str | Scope") -> Self:
        """Parse a scope, and warn about permissions that look like mistakes.

        Warns about a permission that Persona does not document or that does not fit the
        prefix of its object id. Raises `InvalidScopeError` with the ``index`` (from 0)
        and ``position`` of the first invalid atom.
        """
        scope = cls.from_text(text)
        if not isinstance(text, Scope):
            for warning in map(warning_about, scope.atoms):
                if warning is not None:
                    warn_user(warning, ScopeWarning)
        return scope

    @classmethod
    def from_text(cls, text: "str | Scope") -> Self:
        """Parse a scope from a response or a store, without warnings.

        Raises the same error as `parse`.
        """
        if isinstance(text, Scope):
            return cls(text.atoms) if type(text) is not cls else text
        given: object = text
        if not isinstance(given, str):
            message = f"a scope must be a str or a Scope, not {type(given).__name__}"
            raise InvalidScopeError(message)
        if len(text) > 4 * MAX_BYTES:
            message = f"a scope text has {len(text)} characters, which is too many"
            raise InvalidScopeError(message)
        words = list(_WORD.finditer(text))
        for index, word in enumerate(words):
            if problem := _problem_in(word[0]):
                message = f"atom {index + 1} at position {word.start()} {problem}"
                raise InvalidScopeError(message, index=index, position=word.start())
        return cls(word[0] for word in words)

    @classmethod
    def of(cls, permission: str, *object_ids: str) -> Self:
        """Return one permission on each of these objects, or a bare one without any."""
        if not object_ids:
            return cls((permission,))
        return cls(atom(permission, checked_id(each)) for each in object_ids)

    @classmethod
    def read(cls, *object_ids: str) -> Self:
        """Return the read permission of each object, by the prefix of its id."""
        return cls._by_prefix("read", object_ids)

    @classmethod
    def write(cls, *object_ids: str) -> Self:
        """Return the write permission of each object, by the prefix of its id."""
        return cls._by_prefix("write", object_ids)

    @classmethod
    def _by_prefix(cls, verb: str, object_ids: Iterable[str]) -> Self:
        atoms = []
        for index, object_id in enumerate(object_ids):
            family = resource_of(checked_id(object_id))
            if family is None:
                message = (
                    f"the prefix of id {index + 1} has no known permission; "
                    f"pass it as Scope.of('….{verb}', id)"
                )
                raise InvalidScopeError(message, index=index)
            atoms.append(atom(f"{family}.{verb}", object_id))
        return cls(atoms)

    @property
    def atoms(self) -> tuple[str, ...]:
        """The atoms in canonical order."""
        return tuple(self.text.split())

    def covers(self, permission: str, object_id: str) -> bool:
        """Return whether the scope has exactly this permission on this object."""
        return atom(permission, object_id) in self

    def pairs(self) -> Iterator[tuple[str, str | None]]:
        """Iterate over the atoms as (permission, object id) in canonical order."""
        return map(split_atom, self.atoms)

    def object_ids(self) -> tuple[str, ...]:
        """Return each object id once, in canonical order."""
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
            return self.text == other.text  # a proper subset is shorter
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
        """Return whether the scope contains an atom or another scope."""
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
        """Pickle the atoms, so that they are validated when loaded."""
        return Scope, (self.atoms,)
