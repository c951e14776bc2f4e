"""The size of the project, and the code that one call runs: ``make measure``.

It prints files, lines and lines of code by package, and the functions and files of the library that run
while one cold token is acquired and while one request is sent with a cached token. The
sandbox, which serves these calls in the same process, is not counted.
"""

import ast
import asyncio
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Awaitable, Callable
from operator import sub
from pathlib import Path
from types import CodeType, FrameType

from persona_share import PersonaClient, Scope, ScopedTokenManager
from persona_share.sandbox import Sandbox


CHECKOUT = Path(__file__).parents[1]
LIBRARY = CHECKOUT / "persona_share"
SANDBOX = LIBRARY / "sandbox"
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT),
    *(tokenize.DEDENT, tokenize.ENDMARKER),
}
COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}


def files_and_lines(folder: Path) -> tuple[int, int, int]:
    """Return the number of Python files in a folder, of their lines, and of code lines."""
    paths = [folder] if folder.is_file() else list(folder.rglob("*.py"))
    texts = [path.read_text("utf-8") for path in paths]
    lines = sum(len(text.splitlines()) for text in texts)
    return len(paths), lines, sum(map(lines_of_code, texts))


def lines_of_code(text: str) -> int:
    """Return the number of lines that are not empty, a comment or a docstring."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            code.difference_update(range(docstring.lineno, docstring.end_lineno + 1))
    return len(code)


def print_sizes() -> None:
    """Print files and lines of each package, of the library, and of the rest."""
    parts = sorted(
        path
        for path in LIBRARY.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    )
    print(f"{'package':<28}{'files':>7}{'lines':>8}{'code':>8}")
    whole, sandbox = files_and_lines(LIBRARY), files_and_lines(SANDBOX)
    rows = {
        part.relative_to(CHECKOUT).as_posix(): files_and_lines(part) for part in parts
    }
    rows |= {
        "persona_share, all": whole,
        "without the sandbox": tuple(map(sub, whole, sandbox)),
        "tests": files_and_lines(CHECKOUT / "tests"),
        "benchmarks and examples": tuple(
            map(
                sum,
                zip(
                    files_and_lines(CHECKOUT / "benchmarks"),
                    files_and_lines(CHECKOUT / "examples"),
                    strict=True,
                ),
            )
        ),
    }
    for name, (files, lines, code) in rows.items():
        print(f"{name:<28}{files:>7}{lines:>8}{code:>8}")


class Crossed:
    """The functions of the library that ran, by package."""

    def __init__(self) -> None:
        self.codes: set[CodeType] = set()

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call; `sys.setprofile` calls this.

        A comprehension is a part of its function, as it is since Python 3.12.
        """
        if event == "call" and frame.f_code.co_name not in COMPREHENSIONS:
            self.codes.add(frame.f_code)

    def report(self) -> str:
        """Return the numbers of functions and files, and those of each package."""
        ours = []
        for code in self.codes:
            path = Path(code.co_filename)
            if path.is_relative_to(LIBRARY) and not path.is_relative_to(SANDBOX):
                ours.append((path.relative_to(LIBRARY), code))
        files = {path for path, _ in ours}
        functions = Counter(path.parts[0] for path, _ in ours)
        parts = ", ".join(
            f"{part} {functions[part]} in {sum(each.parts[0] == part for each in files)}"
            for part in sorted(functions)
        )
        return f"{len(ours)} functions in {len(files)} files ({parts})"


async def crossed(call: Callable[[], Awaitable[object]]) -> str:
    """Return what one call crossed."""
    found = Crossed()
    sys.setprofile(found.note)
    try:
        await call()
    finally:
        sys.setprofile(None)
    return found.report()


async def print_crossings() -> None:
    """Print what a cold token and a warm request cross."""
    async with Sandbox() as sandbox:
        scopes = [Scope.read(sandbox.add_inquiry().id) for _ in range(2)]
        options = {"base_url": sandbox.url, "insecure_local": True}

        async def ask_partner(scope: Scope) -> object:
            # The partner's own request is not what is measured.
            profile = sys.getprofile()
            sys.setprofile(None)
            try:
                return await source.oauth.authorize(
                    client_id=sandbox.destination.id, scope=scope
                )
            finally:
                sys.setprofile(profile)

        async with (
            PersonaClient(sandbox.source.api_key, **options) as source,
            PersonaClient(sandbox.destination.api_key, **options) as client,
            ScopedTokenManager(client, codes=ask_partner) as manager,
        ):
            await manager.token(scopes[0])  # imports, and opens a connection
            [inquiry_id] = scopes[1].object_ids()
            session = manager.session(scopes[1])
            print("cold token:", await crossed(lambda: manager.token(scopes[1])))
            await session.inquiries.retrieve(inquiry_id)
            warm = await crossed(lambda: session.inquiries.retrieve(inquiry_id))
            print("warm request:", warm)


if __name__ == "__main__":
    print_sizes()
    asyncio.run(print_crossings())
