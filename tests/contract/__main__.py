"""Print which operations of Persona's description are typed, generic and served."""

import sys

from tests.contract.description import PATH
from tests.contract.table import lines


if not PATH.is_file():
    sys.exit(f"Persona's description is not at {PATH}; set PERSONA_OPENAPI_SPEC")
sys.stdout.writelines(f"{line}\n" for line in lines())
