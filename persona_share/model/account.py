"""An account: a person or a business, as one organization knows it."""

from datetime import datetime

from persona_share.model.attribute import Attribute, Link
from persona_share.model.fields import Fielded


class Account(Fielded):
    """An account; its status is a name that its organization chose."""

    __slots__ = ()

    account_type_name = Attribute[str](str)
    account_status = Attribute[str](str)
    reference_id = Attribute[str](str)
    country_code = Attribute[str](str)
    tags = Attribute[tuple[str, ...]](tuple[str, ...])
    created_at = Attribute[datetime](datetime)
    updated_at = Attribute[datetime](datetime)
    redacted_at = Attribute[datetime](datetime)

    workflow_run_id = Attribute[str](str, of="meta")

    account_type = Link()
