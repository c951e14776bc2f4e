"""Lazy imports: a package imports each of its public names on first use (PEP 562).

Such a package names its contents three times: in ``if TYPE_CHECKING:`` for type
checkers, in ``__all__``, and in the table that it passes to `lazy_names`. A test
compares the three.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final


_NO_EXTRAS: Final[Mapping[str, str]] = MappingProxyType({})


def lazy_names(
    package: str,
    names_of: Mapping[str, str],
    *,
    submodules: Sequence[str] = (),
    extras: Mapping[str, str] = _NO_EXTRAS,
    distribution: str | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package.

    ``names_of`` maps a module to the names in it, separated by spaces; a leading dot
    means a module of the package. ``submodules`` are modules that are public
    themselves. ``extras`` maps a name to the extra that it needs. ``__version__`` is
    the version of ``distribution``.
    """
    loaders: dict[str, Callable[[], Any]] = {
        name: partial(_attribute, package, module, name)
        for module, names in names_of.items()
        for name in names.split()
    }
    for name in submodules:
        loaders[name] = partial(import_module, f"{package}.{name}")
    if distribution is not None:
        loaders["__version__"] = partial(_version, distribution)

    def get(name: str) -> Any:
        """Import a name on first use."""
        if name not in loaders:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        try:
            value = loaders[name]()
        except ImportError as error:
            if name not in extras or str(error.name).startswith("persona_share"):
                raise
            errors = import_module("persona_share.errors")
            raise errors.MissingExtraError.of(error, name, extras[name]) from None
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *loaders})


def _attribute(package: str, module: str, name: str) -> Any:
    return getattr(import_module(module, package), name)


def _version(distribution: str) -> str:
    metadata = import_module("importlib.metadata")  # slow to import
    version: str = metadata.version(distribution)
    return version
