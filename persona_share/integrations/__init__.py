"""Integrations with other libraries; each module needs the library of its name.

`starlette` (also for FastAPI) and `aiohttp` keep one manager for a web application,
`aiohttp_client` and `httpx` add scoped tokens to the requests of other clients, and
`otel` emits spans and metrics. Each is imported only by its full name.
"""
