"""Where tokens are kept between uses, behind one protocol (`ports.TokenStore`).

One file per place. No store knows another, and none decides anything: what a kept
token is still good for is decided in `_wire`.
"""
