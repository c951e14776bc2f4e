"""The outside runtime: the one socket and the one clock.

`http` is the only file that imports the client side of aiohttp, and no exception of
aiohttp leaves it. `runtime` is the only file that asks for the time, rolls dice or draws
keys. Both stand behind a port, and only `_compose` knows them by name.
"""
