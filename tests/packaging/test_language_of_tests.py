"""Tests and benchmarks use standard terms in names, docstrings and comments."""

import ast
import io
import re
import tokenize

import pytest

from tests.packaging.conftest import CHECKOUT
from tests.packaging.test_language import ANSWER, COLLOQUIAL, DROPPED, START


pytestmark = pytest.mark.slow  # `make lint` runs it


#: Private words for standard terms: sandbox, harness, scenario, worker, response and so on.
NAME = re.compile(
    r"(?:\A|_)(answers?|answered|answering|box|boxes|crews?|desks?|dice|ears?|goals"
    r"|hasty|hear|heard|houses?|journey|lively|mint|minted|mints|mouths?|nobody"
    r"|poured|pouring|rooms?|scene|spoil|spoilt|stage|stranger|tell|teller|tells|told"
    r"|toll|whatever|whoever)(?=_|\Z)",
    re.IGNORECASE,
)
#: Public names of the library, and names that belong to its fakes.
ALLOWED_NAMES = {"ANSWER", "_answers", "_answered"}
#: Test ids that lead nowhere; only ids of faults (f1 to f148) are allowed.
DEAD_ID = re.compile(r"\Atest_(?:f\d+[a-f]?_)*[a-eg-z]\d+_")
#: The name of a public switch.
ALLOWED_TEXT = re.compile(r"lose_answer|faults\.answer")
FOLDERS = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for parent in ("tests", "benchmarks")
    for path in (CHECKOUT / parent).iterdir()
    if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
)


def files_of(folder):
    path = CHECKOUT / folder
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    # These two modules contain the words.
    return [file for file in files if "test_language" not in file.name]


def texts(source):
    """Yield each docstring and comment of a module, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(
            node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        ):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#: ")


def defined_names(source):
    """Yield each name that a module defines, with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.arg(arg=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
            ):
                yield node.lineno, name


def faults_in(source):
    """Return the line and the word of each violation in a module."""
    found = []
    for line, text in texts(source):
        text = ALLOWED_TEXT.sub("", text)  # noqa: PLW2901 - without public names
        for pattern in (DROPPED, COLLOQUIAL, ANSWER, START):
            found += [(line, match[0]) for match in pattern.finditer(text)]
    for line, name in defined_names(source):
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
        if name not in ALLOWED_NAMES and (NAME.search(snake) or DEAD_ID.match(name)):
            found.append((line, name))
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_names_and_comments_use_standard_terms(folder):
    found = [
        f"{file.relative_to(CHECKOUT)}:{line}: {word}"
        for file in files_of(folder)
        for line, word in faults_in(file.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_have_standard_names(folder):
    assert [file.name for file in files_of(folder) if NAME.search(file.stem)] == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("def stage(): pass", "stage"),
        ("class RunningBox: pass", "RunningBox"),
        ("def f(told): pass", "told"),
        ("x.answers = 1", "answers"),
        ("def test_r4_x(): pass", "test_r4_x"),
        ("# nobody waits", "nobody"),
        ('"""Answer the token."""', "Answer"),
    ],
)
def test_private_word_is_found(source, word):
    assert [found for _, found in faults_in(source)] == [word]


def test_standard_terms_are_allowed():
    source = '"""Return the response."""\nsandbox = inbox = respond()  # in-flight\n'
    assert faults_in(source + "def test_f39a_x(): pass") == []
