"""Docstrings, comments, messages and names use standard terms and none of the forbidden words."""

import ast
import re
import tokenize

import pytest

from tests.packaging.conftest import CHECKOUT


pytestmark = pytest.mark.slow  # `make lint` runs it


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
#: "Response" is the standard term.
ANSWER = re.compile(r"\b(answer(?:s|ed|ing)?)\b", re.IGNORECASE)
#: Idioms that a reader has to read twice.
IDIOM = re.compile(
    r"\b(is to be|are to be|of (?:our|its|their|your|my) own(?! \w)|of ours|theirs|anew|twins?"
    r"|look(?:s|ed)? (?:at|after)|goes on|go on|as (?:it is|they are)(?= \(|[.,;:]|\Z)|for ever|at the most"
    r"|at most so many|somewhere|anybody|everybody|everybody else|meanwhile|alike|hence"
    r"|stands?|stood)\b",
    re.IGNORECASE,
)
#: A sentence that starts so is a question, or can be said without the pronoun.
START = re.compile(r"(?:\A|(?<=[.;:] ))(What|Whoever|Who|Where)\b(?![^.;]*\?)")
#: Private words in the names of functions, classes, arguments and variables.
NAME = re.compile(
    r"(?:\A|_)(told|tell|hear|heard|house|box|crew|stage|rooms?|look|looks|twins?"
    r"|kin|usual|mine|ours|theirs|doomed|alive|bag|moments?|wished|anew|(?<!at_)most|longest"
    r"|shortest|ways|acts|truth|why|answers?|answered)(?=_|\Z)",
    re.IGNORECASE,
)
#: Public names that keep a word, and names that another library prescribes.
ALLOWED_NAMES = {
    "shortest_for",
    "longest_reset",
    "look_at",
    "look_at_error",
    "answer",
    "lose_answer",
    "LOSE_ANSWER",
    "ANSWER",
    "STORED_ANSWER",
    "ANSWERED",
}
#: The values of these names and their documentation.
ALLOWED_TEXTS = re.compile(
    r"faults\.answer|lose_answer|'answer'|\"answer\"|\Aanswered\Z"
)

PACKAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in (CHECKOUT / "persona_share").iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
)
#: Pages that are written by hand; the others are generated from docstrings.
GENERATED = {"_build", "_generated", "resources", "models"}
PAGES = [
    *("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"),
    *sorted(
        path.relative_to(CHECKOUT).as_posix()
        for folder in ("docs", "examples", "tests")
        for path in (CHECKOUT / folder).rglob("*.md")
        if not GENERATED & set(path.relative_to(CHECKOUT / folder).parts)
    ),
]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
#: A string literal with at least this many words is a message.
MESSAGE_WORDS = 3


def files_of(name):
    path = CHECKOUT / name
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def docstrings(file):
    """Yield each docstring of a module, with its line."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if text:
            yield getattr(node, "lineno", 1), text


def messages(file):
    """Yield each string literal that is a sentence, docstrings excepted."""
    tree = ast.parse(file.read_text("utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documented
            and len(node.value.split()) >= MESSAGE_WORDS
        ):
            yield node.lineno, node.value


def comments(file):
    """Yield each block of comments, and each comment behind code, as one text."""
    block, begin, last = [], 0, 0
    with file.open("rb") as source:
        found = [
            each
            for each in tokenize.tokenize(source.readline)
            if each.type == tokenize.COMMENT
        ]
    for token in found:
        alone = not token.line[: token.start[1]].strip()
        if block and alone and token.start[0] == last + 1:
            block.append(token.string.lstrip("#: "))
        else:
            if block:
                yield begin, " ".join(block)
            block, begin = [token.string.lstrip("#: ")], token.start[0]
        last = token.start[0] if alone else -1
    if block:
        yield begin, " ".join(block)


def names(file):
    """Yield each name that a module defines: functions, classes, arguments, variables."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def paragraphs(page):
    """Return the prose of a Markdown page, without code and without link targets."""
    text = re.sub(
        r"^(`{3,}).*?^\1", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)", " code ", text)
    return re.split(r"\n\s*\n|\n(?=[-|#])", text)


def words_in(text, *patterns):
    """Return the forbidden words in a text, each once."""
    plain = " ".join(text.split())
    return sorted({each[0] for pattern in patterns for each in pattern.finditer(plain)})


@pytest.mark.parametrize("name", PACKAGES)
def test_every_text_uses_standard_terms(name):
    found = [
        f"{file.relative_to(CHECKOUT)}:{line}: {word}"
        for file in files_of(name)
        for read in (docstrings, comments, messages)
        for line, text in read(file)
        if not ALLOWED_TEXTS.search(text)
        for word in words_in(text, DROPPED, COLLOQUIAL, ANSWER, IDIOM, START)
    ]

    assert found == []


@pytest.mark.parametrize("name", PACKAGES)
def test_names_are_standard_terms(name):
    found = [
        f"{file.relative_to(CHECKOUT)}:{line}: {defined}"
        for file in files_of(name)
        for line, defined in names(file)
        if NAME.search(defined) and defined not in ALLOWED_NAMES
    ]

    assert found == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_use_standard_terms(name):
    found = [
        f"{' '.join(text.split())[:80]}: {word}"
        for text in paragraphs(CHECKOUT / name)
        for word in words_in(text, DROPPED, COLLOQUIAL, IDIOM)
    ]

    assert found == []


def test_forbidden_word_is_found():
    assert words_in("Whoever mints in the Cellar", DROPPED) == [
        "Cellar",
        "Whoever",
        "mints",
    ]
    assert words_in("An in-flight token; an exchange in flight", DROPPED) == []
    assert words_in("Nobody tells the caller", COLLOQUIAL) == ["Nobody", "tells"]
    assert words_in("Answer the\nrequest", ANSWER) == ["Answer"]
    assert words_in("It is looked\nat anew", IDIOM) == ["anew", "looked at"]
    assert words_in("What a store keeps. Where to send?", START) == ["What"]


def test_comments_are_read_by_block(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("# It is\n# told.\nx = 1  # here\n# one\n\n# two\n", "utf-8")

    assert list(comments(path)) == [
        (1, "It is told."),
        (3, "here"),
        (4, "one"),
        (6, "two"),
    ]


def test_private_words_in_names_are_found():
    given = [
        "told",
        "_kin",
        "by_lot",
        "box",
        "most_rows",
        "almost",
        "inbox",
        "timestamps",
    ]

    assert [each for each in given if NAME.search(each)] == [
        "told",
        "_kin",
        "box",
        "most_rows",
    ]
