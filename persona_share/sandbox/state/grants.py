"""Authorization codes and access tokens."""

import math
from collections.abc import Iterator
from typing import Final

import attrs

from persona_share.model.scope import Scope
from persona_share.sandbox.behavior.switches import drop_oldest
from persona_share.sandbox.runtime import Runtime
from persona_share.sandbox.state.organizations import ApiKey, Environment


TOKEN_PREFIX: Final = "localbox_access_token_"  # noqa: S105 - only the prefix
CLIENT_CREDENTIALS_PREFIX: Final = "localbox_oat_"


@attrs.define(eq=False)
class Code:
    """One authorization code."""

    value: str = attrs.field(repr=False)
    scope: str
    source: Environment
    issuer_key: ApiKey | None
    partner_id: str
    expires_at: float
    issued_at: float = 0.0
    used: bool = False


@attrs.define(eq=False)
class Token:
    """One access token; ``source`` is the environment whose objects it reads."""

    value: str = attrs.field(repr=False)
    digest: str
    scope: str
    atoms: frozenset[str]
    source: Environment
    holder: Environment
    issued_at: float
    expires_at: float
    issuer_key: ApiKey | None = None
    holder_key: ApiKey | None = None
    code: Code | None = None
    revoked: bool = False

    def allows(self, permission: str, object_id: str) -> bool:
        """Return whether the scope names this pair, or the bare permission."""
        return f"{permission}:{object_id}" in self.atoms or permission in self.atoms

    def allows_some(self, permission: str) -> bool:
        """Return whether the scope has this permission on any object."""
        return any(atom.partition(":")[0] == permission for atom in self.atoms)


def announced(lifetime: float) -> int:
    """Return a lifetime as ``expires-in`` announces it: one second less, at least 1."""
    return max(1, math.floor(lifetime - 1))


class Grants:
    """Every code and token, by value."""

    def __init__(self, runtime: Runtime, limit: int) -> None:
        self._runtime = runtime
        self._codes: dict[str, Code] = {}
        self._tokens: dict[str, Token] = {}
        self._limit = limit

    def keep_code(self, code: Code) -> None:
        """Store a code that was issued."""
        self._codes[code.value] = code
        drop_oldest(self._codes, self._limit)

    @property
    def codes(self) -> list[Code]:
        """Return all codes, oldest first."""
        return list(self._codes.values())

    @property
    def tokens(self) -> list[Token]:
        """Return all tokens, oldest first."""
        return list(self._tokens.values())

    def clear(self) -> None:
        """Drop all codes and tokens."""
        self._codes.clear()
        self._tokens.clear()

    def code(self, value: str) -> Code | None:
        """Return the code of this value."""
        return self._codes.get(value)

    def keep(self, token: Token) -> None:
        """Store an issued token."""
        self._tokens[token.value] = token
        drop_oldest(self._tokens, self._limit)

    def token(self, value: str) -> Token | None:
        """Return the token of this value, expired ones included."""
        return self._tokens.get(value)

    def of_code(self, code: Code) -> Iterator[Token]:
        """Yield the tokens that were issued for this code."""
        return (token for token in self._tokens.values() if token.code is code)

    def equivalent(self, token: Token) -> Iterator[Token]:
        """Yield the other tokens of the same holder, source and scope."""
        same = (token.atoms, token.source, token.holder)
        for other in self._tokens.values():
            if other is not token and same == (other.atoms, other.source, other.holder):
                yield other

    def revoke(self, token_or_scope: object) -> int:
        """Revoke one token, or all tokens of exactly this scope; return how many."""
        # The text of an `AccessToken` is masked; `reveal` returns the token.
        reveal = getattr(token_or_scope, "reveal", None)
        text = str(reveal() if callable(reveal) else token_or_scope)
        if text in self._tokens:
            matching = [self._tokens[text]]
        elif text.startswith("localbox_"):
            matching = []
        else:
            atoms = frozenset(Scope.from_text(text).atoms)
            matching = [each for each in self._tokens.values() if each.atoms == atoms]
        changed = [each for each in matching if not each.revoked]
        for token in changed:
            token.revoked = True
        return len(changed)

    def expire_codes(self) -> int:
        """Expire every unused code; return how many."""
        now = self._runtime.now()
        changed = [c for c in self._codes.values() if not c.used and c.expires_at > now]
        for code in changed:
            code.expires_at = now
        return len(changed)
