"""Each package with lazy names lists the same names for Python and for type checkers."""

import ast
import importlib
from pathlib import Path

import pytest

from persona_share._lazy import lazy_names


CHECKOUT = Path(__file__).parents[1]
PACKAGES = [
    "persona_share",
    "persona_share.model",
    "persona_share.partner",
    "persona_share.resources",
    "persona_share.stores",
    "persona_share.testing",
]


def tree_of(package):
    path = CHECKOUT / package.replace(".", "/") / "__init__.py"
    return ast.parse(path.read_text("utf-8"))


def names_for_type_checkers(package):
    """Return the names that the block ``if TYPE_CHECKING:`` imports."""
    [block] = (
        node
        for node in tree_of(package).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    imports = (node for node in block.body if isinstance(node, ast.ImportFrom))
    return {alias.name for node in imports for alias in node.names}


def call_of_lazy_names(package):
    """Return the call of `lazy_names`, evaluated."""
    [call] = (
        node
        for node in ast.walk(tree_of(package))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy_names"
    )
    table = ast.literal_eval(call.args[1])
    options = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    return table, options


def names_at_runtime(package):
    table, options = call_of_lazy_names(package)
    names = {name for names in table.values() for name in names.split()}
    return names | set(options.get("submodules", ()))


@pytest.mark.parametrize("package", PACKAGES)
def test_both_lists_and_all_have_the_same_names(package):
    public = set(importlib.import_module(package).__all__)

    assert names_for_type_checkers(package) == names_at_runtime(package) == public


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_can_be_imported(package):
    module = importlib.import_module(package)

    for name in module.__all__:
        assert getattr(module, name) is vars(module)[name]
    assert set(module.__all__) <= set(dir(module))


def test_every_package_with_lazy_names_is_listed_here():
    found = [
        path.parent.relative_to(CHECKOUT).as_posix().replace("/", ".")
        for path in (CHECKOUT / "persona_share").rglob("__init__.py")
        if "lazy_names(" in path.read_text("utf-8")
    ]

    assert sorted(found) == PACKAGES


def test_extra_is_named_when_its_package_is_missing():
    get, _ = lazy_names(
        "persona_share",
        {"a_package_that_is_not_installed": "Thing"},
        extras={"Thing": "things"},
    )

    with pytest.raises(ModuleNotFoundError, match=r"'persona-share\[things\]'"):
        get("Thing")


def test_import_error_of_the_library_itself_is_not_hidden():
    get, _ = lazy_names(
        "persona_share", {".no_such_module": "Thing"}, extras={"Thing": "things"}
    )

    with pytest.raises(ModuleNotFoundError, match=r"persona_share\.no_such_module"):
        get("Thing")
