"""Source: run a service that issues codes to partners.

uvicorn --app-dir examples --port 8480 --workers 2 partner:app
"""

from persona_share import PersonaClient
from persona_share.partner import CodeIssuer
from persona_share.stores import SQLiteStore


app = CodeIssuer(
    PersonaClient.from_env(),
    agreements="agreements.toml",
    audit="audit.jsonl",
    store=SQLiteStore("partner.db"),
    url="http://127.0.0.1:8480/codes",
).asgi()
