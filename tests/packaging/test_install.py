"""The installed package works in an environment with nothing else."""

import shutil

import pytest

from tests.packaging.conftest import CHECKOUT, PROJECT, run


pytestmark = pytest.mark.slow

DOWNSTREAM = CHECKOUT / "tests" / "downstream"
NOT_THERE = [
    "click",
    "cryptography",
    "httpx",
    "joserfc",
    "opentelemetry",
    "pytest",
    "redis",
    "rich",
    "rich_click",
    "starlette",
]


def test_core_dependencies_suffice_without_extras(environment):
    python = environment()
    code, output = run(
        python,
        "-Ic",
        f"""
import asyncio, importlib.util
missing = {NOT_THERE!r}
assert not [name for name in missing if importlib.util.find_spec(name)]
import persona_share
for name in persona_share.__all__:
    getattr(persona_share, name)
for name in persona_share.testing.__all__:
    getattr(persona_share.testing, name)
import persona_share.integrations.aiohttp, persona_share.integrations.aiohttp_client
from persona_share import PersonaClient
from persona_share.sandbox import Sandbox

async def main():
    async with Sandbox() as sandbox:
        inquiry = sandbox.add_inquiry()
        options = dict(base_url=sandbox.url, insecure_local=True)
        async with PersonaClient(sandbox.source.api_key, **options) as client:
            print((await client.inquiries.retrieve(inquiry.id)).status)
            print(persona_share.__version__)

asyncio.run(main())
""",
    )
    assert code == 0, output
    assert output.split() == ["completed", PROJECT["version"]]


def test_separate_project_uses_the_plugin(environment, tmp_path):
    python = environment("pytest", "pytest-asyncio")
    project = tmp_path / "downstream"
    shutil.copytree(DOWNSTREAM, project, ignore=shutil.ignore_patterns("__pycache__"))
    code, output = run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error",
        "-o", "asyncio_default_fixture_loop_scope=function", cwd=project,
    )  # fmt: skip
    assert code == 1, output
    assert "1 failed, 1 passed" in output
    assert "LeakError: a planted secret reached the log shop" in output
