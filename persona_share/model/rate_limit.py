"""Rate limits: the requests that remain in the current window."""

from persona_share.model.attribute import Attribute
from persona_share.model.resource import Resource


class RateLimit(Resource):
    """One limit at this moment; it has no id."""

    __slots__ = ()
    _id_optional = True

    limit: Attribute[int] = Attribute(int)
    remaining: Attribute[int] = Attribute(int)
    seconds_to_reset: Attribute[int] = Attribute(int)
