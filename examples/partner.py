"""Source: run a service that issues codes to partners.

uvicorn --app-dir examples partner:app --workers 2
"""

from persona_share import PersonaClient
from persona_share.partner import AuditLog, CodeIssuer, Consents
from persona_share.stores import SQLiteStore


store = SQLiteStore("partner.db")
issuer = CodeIssuer(
    PersonaClient.from_env(),
    agreements="agreements.toml",
    consents=Consents(store),
    audit=AuditLog("audit.jsonl"),
    store=store,
    url="http://127.0.0.1:8081/codes",
)
app = issuer.asgi()
