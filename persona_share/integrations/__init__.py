"""Glue for other people's programs; each file needs what it is named after.

`starlette` (FastAPI, too) and `aiohttp` keep one manager for a web application,
`aiohttp_client` and `httpx` add scoped tokens to requests of other clients, and `otel`
tells what happens as spans and metrics. Nothing here is imported unless it is asked
for by its full name.
"""
