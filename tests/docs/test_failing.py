"""The page "When things fail" has every public error, and says what is so."""

import re
from pathlib import Path

import pytest

from persona_share import errors
from persona_share.cli.exit_codes import exit_code_of
from persona_share.errors import PersonaError, Phase


PAGE = (Path(__file__).parents[2] / "docs/howto/failing.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (\w+) \| (.+) \| (\d+) \|$", re.MULTILINE)
ROWS = {row[0]: row[1:] for row in ROW.findall(PAGE)}
SENT = {Phase.NOT_SENT: "no", Phase.AMBIGUOUS: "perhaps", Phase.ANSWERED: "yes"}
NEEDED = {
    "CodeSourceError": {"reason": "OSError"},
    "OutageError": {"waiting_for": "service", "seconds": 901.0},
    "RedemptionFailedError": {"reason": None},
    "ScopeNotCoveredError": {"missing": ""},
    "ScopeNotGrantedError": {"missing": ""},
    "SignatureError": {"reason": "expired"},
}
PUBLIC = [
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type)
    and issubclass(kind, PersonaError)
    and kind is not PersonaError
]


def test_every_public_error_stands_there_once_and_nothing_else_does():
    assert [name for name, *_ in ROW.findall(PAGE)].count("UsageError") == 1
    assert sorted(ROWS) == sorted(PUBLIC)
    assert len(ROW.findall(PAGE)) == len(ROWS)


@pytest.mark.parametrize("name", PUBLIC)
def test_it_says_whether_anything_was_sent_and_how_a_command_ends(name):
    error = getattr(errors, name)("what happened", **NEEDED.get(name, {}))
    _, sent, _, code = ROWS[name]

    assert sent == SENT[error.phase]
    assert int(code) == exit_code_of(error)
