"""The life of scoped tokens: acquire, keep, refresh, share and reject them.

The parts are documented in ``docs/architecture.md``; `provider` is where to start.
"""
