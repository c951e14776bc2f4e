"""Writes a page for each resource and for each model, from the classes themselves."""

import enum
import inspect
import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Unpack, get_args, get_origin, get_type_hints

import attrs
from sphinx.pycode import ModuleAnalyzer

from persona_share import PersonaClient, errors, model, sandbox
from persona_share._protocol.routes import Route
from persona_share.model.attribute import Attribute, Link, Links
from persona_share.model.resource import Resource
from persona_share.resources import api
from persona_share.resources.query_options import CallOptions


COMMON: Final = CallOptions.__optional_keys__
# What the control API of a sandbox can do; it has a page of its own.
_CONTROL: Final = frozenset(
    {
        "describe",
        "disable_webhook",
        "latency",
        "plan_fault",
        "register_oauth_client",
        "resend_event",
        "revoke",
        "rotate_webhook_secret",
        "set_switch",
        "set_switches",
    }
)
# Base classes whose parts are described with the classes that inherit them.
_NO_PAGE: Final = frozenset({"Resource", "ResourceWithFields", "ResourceWithSchema"})


def write_pages(folder: Path) -> None:
    """Write ``resources/*.md`` and ``models/*.md`` below this folder."""
    for name, pages in {"resources": _resources(), "models": _models()}.items():
        target = folder / name
        target.mkdir(exist_ok=True)
        for old in target.glob("*.md"):
            old.unlink()
        titles = []
        for title, text in pages:
            titles.append(title)
            # They are many: listed in the sidebar, they would double every page.
            orphan = f"---\norphan: true\n---\n\n{text}"
            (target / f"{title}.md").write_text(orphan, "utf-8")
        (target / "index.md").write_text(_index(name, titles), "utf-8")


def _index(name: str, titles: list[str]) -> str:
    what = {
        "resources": (
            "Each page lists the methods of one property of a `PersonaClient` or a "
            "`ScopedSession`, with their endpoints."
        ),
        "models": "Each page lists the attributes of one kind of object.",
    }[name]
    pages = "\n".join(f"- [{title}]({title}.md)" for title in titles)
    return f"# {name.capitalize()}\n\n{what}\n\n{pages}\n"


# ── Resources ────────────────────────────────────────────────────────────────────


def _accessors() -> Iterator[tuple[str, str, type]]:
    """Return each property with the class of its value, and who has it."""
    for owner, who in ((PersonaClient, "client"), (api.ResourceAccessors, "")):
        for name, value in vars(owner).items():
            if isinstance(value, property) and not name.startswith("_"):
                kind = get_type_hints(value.fget, vars(api))["return"]
                if kind.__module__.startswith("persona_share.resources."):
                    yield name, who, kind


def _resources() -> Iterator[tuple[str, str]]:
    for name, who, kind in _accessors():
        where = f"`client.{name}`" + ("" if who else f" and `session.{name}`")
        parts = [f"# {name}", f"{where}.", _text(kind.__doc__)]
        for method_name, method in _methods(kind):
            parts += _method(name, method_name, method, kind)
        parts.append(f"The options of every call: {_code(*sorted(COMMON))}.")
        yield name, "\n\n".join(filter(None, parts)) + "\n"


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    for name in sorted(dir(kind)):
        if not name.startswith("_") and inspect.isfunction(getattr(kind, name)):
            yield name, getattr(kind, name)


def _method(accessor: str, name: str, method: Any, kind: type) -> list[str]:
    hints = get_type_hints(method)
    arguments, named, options = [], {}, {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        hint = hints.get(parameter.name)
        if get_origin(hint) is Unpack:
            every = get_type_hints(get_args(hint)[0])
            options |= {k: v for k, v in every.items() if k not in COMMON}
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in arguments:
            arguments.append("*")
        default = "" if parameter.default is parameter.empty else "=…"
        arguments.append(parameter.name + default)
        named[parameter.name] = hint
    if options:
        arguments.append("**options")
    wait = "await " if inspect.iscoroutinefunction(method) else ""
    result = _type(hints.get("return"), kind)
    call = f"{wait}client.{accessor}.{name}({', '.join(arguments)}) -> {result}"
    endpoint = " ".join(f"Endpoint: `{each}`." for each in _operations(method, kind))
    rows = [(f"`{k}`", f"`{_type(v, kind)}`") for k, v in (named | options).items()]
    table = _table(("Argument", "Type"), rows)
    return [
        f"## {name}",
        f"```text\n{call}\n```",
        _text(method.__doc__),
        endpoint,
        table,
    ]


def _operations(method: Any, kind: type) -> list[str]:
    """Return the endpoints that a method names in its source."""
    named = re.findall(r"(\w+[rR]outes)\.([A-Z_]+)", inspect.getsource(method))
    found = (
        getattr(method.__globals__.get(owner, getattr(kind, owner, None)), name, None)
        for owner, name in named
    )
    return [each.operation for each in found if isinstance(each, Route)]


def error_table() -> str:
    """Return the table of all errors, with what to do about each."""
    rows = []
    for name, kind in vars(errors).items():
        if not isinstance(kind, type) or not issubclass(kind, errors.PersonaError):
            continue
        (base, *_) = kind.__bases__
        parent = base if issubclass(base, errors.PersonaError) else Exception
        cells = (_text(kind.__doc__).partition("\n\n")[0], kind.advice)
        meaning, advice = (cell.replace("\n", " ") for cell in cells)
        retry = "yes" if kind.retryable else ""
        rows.append((f"`{name}`", f"`{parent.__name__}`", meaning, advice, retry))
    head = ("Error", "Base", "Meaning", "What to do", "Retryable")
    return _table(head, rows) + "\n"


def switch_table() -> str:
    """Return the table of the sandbox's switches, from the comments beside them."""
    module = ModuleAnalyzer.for_module(sandbox.Switches.__module__)
    documented = module.find_attr_docs()
    rows = []
    for field in attrs.fields(sandbox.Switches):
        lines = documented.get((sandbox.Switches.__name__, field.name), [])
        default = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()
        meaning = " ".join(lines).strip()
        rows.append((f"`{field.name}`", f"`{default!r}`", meaning))
    return _table(("Switch", "Default", "Meaning"), rows) + "\n"


def sandbox_objects() -> str:
    """Return the directive for the methods that put objects into a sandbox."""
    return _sandbox(_adds, "   :no-index:")


def sandbox_control() -> str:
    """Return the directive for the methods that the control API has as well."""
    return _sandbox(_CONTROL.__contains__, "   :no-index:")


def sandbox_methods() -> str:
    """Return the directive for all other methods of a sandbox."""
    return _sandbox(lambda name: not _adds(name) and name not in _CONTROL)


def _adds(name: str) -> bool:
    return name.startswith(("add_", "populate"))


def _sandbox(wanted: Callable[[str], bool], *options: str) -> str:
    names = (name for name in dir(sandbox.Sandbox) if not name.startswith("_"))
    lines = [
        "```{eval-rst}",
        ".. autoclass:: persona_share.sandbox.Sandbox",
        f"   :members: {', '.join(filter(wanted, names))}",
        "   :inherited-members:",
        *options,
        "```",
    ]
    return "\n".join(lines) + "\n"


# ── Models ───────────────────────────────────────────────────────────────────────


def _models() -> Iterator[tuple[str, str]]:
    for name in model.__all__:
        kind = getattr(model, name)
        if not isinstance(kind, type) or name in _NO_PAGE:
            continue
        if issubclass(kind, Resource):
            yield name, _resource_page(kind)
        elif issubclass(kind, enum.Enum):
            values = [(f"`{each.name}`", f"`{each.value}`") for each in kind]
            yield name, _page(kind, _table(("Member", "Value"), values))
        elif attrs.has(kind):
            hints = get_type_hints(kind)
            rows = [
                (f"`{each.name}`", f"`{_type(hints[each.name], kind)}`")
                for each in attrs.fields(kind)
                if not each.name.startswith("_")
            ]
            yield name, _page(kind, _table(("Attribute", "Type"), rows))


def _resource_page(kind: type[Resource]) -> str:
    rows, links = [], []
    for name, member in kind._members.items():  # noqa: SLF001 — it is about the class
        if isinstance(member, Attribute):
            rows.append((f"`{name}`", f"`{_type(member.kind, kind)} | None`"))
        elif isinstance(member, Link):
            links.append((f"`{name}`", "`Reference | None`"))
        elif isinstance(member, Links):
            links.append((f"`{name}`", "`tuple[Reference, ...]`"))
    common = (
        "Every object has `id`, `type`, `attributes`, `raw`, `relationships`, "
        "`included`, `meta` and `response_info`, and the methods `get`, `read`, `reference`, "
        "`references`, `related` and `to_dict`."
    )
    linked = _table(("Relationship", "Type"), links)
    return _page(
        kind, _table(("Attribute", "Type"), rows), linked, _properties(kind), common
    )


def _page(kind: type, *parts: str) -> str:
    where = f"`from {_public_module(kind)} import {kind.__name__}`"
    whole = [f"# {kind.__name__}", _text(kind.__doc__), where, *parts]
    return "\n\n".join(filter(None, whole)) + "\n"


def _public_module(kind: type) -> str:
    import persona_share  # noqa: PLC0415 — its names only

    return (
        "persona_share"
        if kind.__name__ in persona_share.__all__
        else "persona_share.model"
    )


def _properties(kind: type) -> str:
    found = {
        name: value
        for base in reversed(kind.__mro__)
        if base not in Resource.__mro__
        for name, value in vars(base).items()
        if isinstance(value, property)
    }
    lines = [f"- `{name}`: {_text(each.__doc__)}" for name, each in found.items()]
    return "\n".join(["Computed:", "", *lines]) if lines else ""


# ── Text ─────────────────────────────────────────────────────────────────────────


def _type(kind: Any, owner: type) -> str:
    """Return a type as it is written in code, with type variables filled in."""
    own = getattr(owner, "_kind", None)
    if kind is types.NoneType or kind is None:
        return "None"
    if type(kind).__name__ == "TypeVar":
        return own.__name__ if own is not None else "object"
    arguments = get_args(kind)
    if isinstance(kind, types.UnionType) or str(get_origin(kind)) == "typing.Union":
        return " | ".join(_type(each, owner) for each in arguments)
    if arguments and "Literal" not in str(kind):
        name = getattr(get_origin(kind), "__name__", str(kind))
        inner = ", ".join("..." if x is ... else _type(x, owner) for x in arguments)
        return f"{name}[{inner}]"
    if isinstance(kind, type):
        return kind.__name__
    return re.sub(r"\b(typing|persona_share\.[\w.]+|collections\.abc)\.", "", str(kind))


def _text(docstring: str | None) -> str:
    text = inspect.cleandoc(docstring or "").replace("``", "`")
    head, _, raises = text.partition("\nRaises:\n")
    entries = re.split(r"\n(?=\S)", inspect.cleandoc(raises)) if raises else []
    bullets = [f"- Raises `{x.replace(':', '`:', 1)}" for x in entries]
    return "\n".join([head.strip(), *([""] if bullets else []), *bullets])


def _code(*names: str) -> str:
    return ", ".join(f"`{each}`" for each in names)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [head, tuple("---" for _ in head), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
