"""Keys of OAuth clients; making an RSA key takes longer than most tests."""

from functools import cache

from joserfc import jwk


ALGORITHMS = ("RS256", "ES256")


@cache
def signing_key(algorithm):
    """Return the key of an algorithm, always the same one."""
    if algorithm == "RS256":
        return jwk.RSAKey.generate_key(2048)
    return jwk.ECKey.generate_key("P-256")
