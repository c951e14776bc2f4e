"""Docstrings and pages use standard terms and none of the forbidden words."""

import ast
import re

import pytest

from tests.packaging.conftest import CHECKOUT


#: Words that once stood for something else. "Socket" and "street" are not among them, as
#: both are also the standard terms for what they name here.
DROPPED = re.compile(
    r"\b(houses?|rooms?|cellar|workshop|fuse box|belts?|brakes?|crews?|desks?"
    r"|(?<!in-)(?<!in )flights?|mint(?:s|ed|ing)?|vaults?|dice|worlds?|by lot|whoever)\b",
    re.IGNORECASE,
)
#: Verbs and pronouns in place of standard terms.
COLLOQUIAL = re.compile(
    r"\b(in hand|at hand|tells?|told|carr(?:y|ies|ied)|brings?|brought|handed|hands"
    r"|nobody|somebody|rolled)\b",
    re.IGNORECASE,
)
ANSWER = re.compile(r"\AAnswers? ")
PACKAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (CHECKOUT / "persona_share").iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(name):
    """Yield each docstring of a module or package, with where it stands."""
    path = CHECKOUT / name
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            if text:
                line = getattr(node, "lineno", 1)
                yield f"{file.relative_to(CHECKOUT)}:{line}", text


def faults_in(name):
    """Return the docstrings with a dropped word, or that begin with "Answer"."""
    found = []
    for place, text in docstrings(name):
        words = {found[0] for found in DROPPED.finditer(text)}
        words |= {"Answer …"} if ANSWER.match(text) else set()
        words |= {found[0] for found in COLLOQUIAL.finditer(text)}
        found += [f"{place}: {word}" for word in sorted(words)]
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_docstrings_use_standard_terms(name):
    assert faults_in(name) == []


def test_forbidden_word_is_found():
    assert DROPPED.findall("Whoever mints in the Cellar") == [
        "Whoever",
        "mints",
        "Cellar",
    ]
    assert DROPPED.findall("An in-flight token; an exchange in flight") == []
    assert COLLOQUIAL.findall("Nobody tells the caller") == ["Nobody", "tells"]
    assert ANSWER.match("Answer the token.")
    assert not ANSWER.match("Return the answer.")
