"""Modules that the server of `tests.processes` imports once, before it forks processes.

Commands import what they need when they run; here they find it imported.
"""

import gc
import importlib
from pathlib import Path

import persona_share


PACKAGES = ("cli", "model", "partner", "resources")
MODULES = (
    *("aiohttp.web", "anyio._backends._asyncio", "rich.columns", "rich.panel"),
    *("rich.progress", "rich.traceback", "rich_click.rich_help_rendering"),
    *("persona_share._compose_batch", "persona_share.browsing"),
    *("persona_share.integrations.health", "persona_share.webhooks"),
    *("tests.fleet.workers", "tests.batch.saved"),
)


def names():
    """Return the names of the modules, those of packages sorted."""
    for package in PACKAGES:
        for path in sorted(Path(persona_share.__file__).parent.glob(f"{package}/*.py")):
            if not path.stem.startswith("__"):
                yield f"persona_share.{package}.{path.stem}"
    yield from MODULES


for each in names():
    importlib.import_module(each)
gc.collect()
gc.freeze()  # or the first collection of each process would copy all pages
