"""OpenTelemetry: what clients and managers do, as spans and metrics (extra ``otel``).

One hook hears of everything::

    telemetry = Telemetry()
    async with PersonaClient(key, hooks=[telemetry]) as client:
        async with ScopedTokenManager(client, hooks=[telemetry]) as manager:
            telemetry.observe(manager)

Only the API package is needed; which SDK and exporter there are is the program's own
choice. No secret, no id of an object and no scope is in any of it.
"""

from persona_share.integrations.otel.telemetry import Telemetry


__all__ = ["Telemetry"]
