"""The flights that are under way, found by what they ask for and by what they carry."""

from collections import defaultdict
from collections.abc import Iterator

from persona_share._tokens.flight import Flight
from persona_share.model.scope import Scope


Key = Scope | bytes


class Flights(dict[Key, Flight]):
    """Flights by the scope that they ask for, or by the id of a delivered code.

    An index by atom finds the few that a scope has to do with: a thousand scopes that
    are asked for at once must not cost a million comparisons.
    """

    def __init__(self) -> None:
        super().__init__()
        self._by_atom: defaultdict[str, dict[Key, Flight]] = defaultdict(dict)
        self._atoms: dict[Key, set[str]] = {}

    def begin(self, key: Key, flight: Flight) -> None:
        """Add a flight; one for a scope is found by that scope's atoms."""
        self[key] = flight
        self._atoms[key] = set()
        if isinstance(key, Scope):
            self.note(key, key)

    def note(self, key: Key, hint: Scope) -> None:
        """Find a flight by the atoms of this scope, too: its code may bring them."""
        flight, atoms = self[key], self._atoms[key]
        for atom in hint:
            if atom not in atoms:
                atoms.add(atom)
                self._by_atom[atom][key] = flight

    def end(self, key: Key) -> None:
        """Take a flight out."""
        self.pop(key, None)
        for atom in self._atoms.pop(key, ()):
            found = self._by_atom[atom]
            found.pop(key, None)
            if not found:
                del self._by_atom[atom]

    def clear(self) -> None:
        """Take all of them out."""
        super().clear()
        self._by_atom.clear()
        self._atoms.clear()

    def touching(self, scope: Scope) -> Iterator[tuple[Key, Flight]]:
        """Go through the flights that have an atom in common with this scope."""
        found: dict[Key, Flight] = {}
        for atom in scope:
            if atom in self._by_atom:
                found |= self._by_atom[atom]
        return iter(tuple(found.items()))

    def holding(self, scope: Scope) -> Iterator[tuple[Key, Flight]]:
        """Go through the flights that may have all atoms of this scope."""
        first = next(iter(scope), None)
        found = self._by_atom.get(first) if first is not None else None
        return iter(tuple(found.items()) if found else ())
