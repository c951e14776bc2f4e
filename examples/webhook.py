"""Either side: receive webhooks and handle each event once.

PERSONA_WEBHOOK_SECRET=wbhsec_… uvicorn --app-dir examples webhook:app
"""

import os
from typing import Annotated

from fastapi import Depends, FastAPI

from persona_share.integrations.starlette import verified
from persona_share.stores import SQLiteStore
from persona_share.webhooks import Delivery, ReplayGuard, Verifier


guard = ReplayGuard(SQLiteStore("webhooks.db"))
verifier = Verifier(os.environ["PERSONA_WEBHOOK_SECRET"], guard=guard)
app = FastAPI()


@app.post("/webhook")
async def receive(delivery: Annotated[Delivery, Depends(verified(verifier))]) -> None:
    """Handle an event; if this raises, Persona sends it again."""
    if delivery.is_new:
        print(delivery.event.name, delivery.event.subject)
