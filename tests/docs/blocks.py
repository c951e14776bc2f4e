"""Run the Python blocks of a page against the sandbox."""

import re
from pathlib import Path

from persona_share import PersonaClient


ROOT = Path(__file__).parents[2]
FROM_ENVIRONMENT = "PersonaClient.from_env()"


def blocks_of(page):
    """Return the Python blocks of a page of this project."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def names_of(block, page, sandbox=None, organization=None, **given):
    """Return the names that a block defines, with credentials from the sandbox."""

    def client():
        key = organization.api_key
        return PersonaClient(api_key=key, base_url=sandbox.url, insecure_local=True)

    names = {"from_the_sandbox": client} | given
    code = block.replace(FROM_ENVIRONMENT, "from_the_sandbox()")
    exec(compile(code, page, "exec"), names)  # noqa: S102 - our own page
    return names


def page_names(page, **given):
    """Return the names that all blocks of a page define, on the sandbox.

    The only change is that plain http to this machine is allowed.
    """
    names = dict(given)
    for block in blocks_of(page):
        code = block.replace("from_env()", "from_env(insecure_local=True)")
        code = code.replace("from_env(http=", "from_env(insecure_local=True, http=")
        exec(compile(code, page, "exec"), names)  # noqa: S102 - our own page
    return names
