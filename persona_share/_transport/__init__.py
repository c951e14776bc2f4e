"""Input and output: the HTTP client, TLS, files, the clock and randomness.

`http` is the only module that imports the client side of aiohttp, and no exception of
aiohttp leaves it. `runtime` is the only module that asks the operating system for the
time, for random numbers and for new keys. Only `_compose` knows these classes by name.
"""
