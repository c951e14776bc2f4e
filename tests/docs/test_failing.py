"""The page "Handle errors" lists every public error with the facts of its class."""

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


def summary_of(name):
    """Return the first paragraph of an error's docstring, as Markdown."""
    text = getattr(errors, name).__doc__.partition("\n\n")[0]
    return " ".join(text.replace("``", "`").split())


def test_page_lists_every_public_error_once():
    assert sorted(ROWS) == sorted(PUBLIC)
    assert len(ROW.findall(PAGE)) == len(ROWS)


@pytest.mark.parametrize("name", PUBLIC)
def test_row_has_meaning_phase_advice_and_exit_code_of_the_error(name):
    error = getattr(errors, name)("message", **NEEDED.get(name, {}))
    meaning, sent, advice, code = ROWS[name]

    assert meaning == summary_of(name)
    assert sent == SENT[error.phase]
    assert advice == type(error).advice or not type(error).advice
    assert int(code) == exit_code_of(error)
