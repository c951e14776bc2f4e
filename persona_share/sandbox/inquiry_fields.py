"""The fields of an inquiry: the usual ones, and those that a long form would add."""

from typing import Final

from persona_share.sandbox.people import Person, words
from persona_share.sandbox.records import Json
from persona_share.sandbox.world import Dice


_YES_OR_NO: Final = (
    "accepts-terms-of-service",
    "accepts-electronic-communication",
    "acts-on-own-behalf",
    "has-additional-citizenship",
    "has-changed-name",
    "holds-public-office",
    "is-beneficial-owner",
    "is-tax-resident-elsewhere",
    "lives-at-mailing-address",
    "plans-cross-border-transfers",
    "receives-marketing-by-email",
    "related-to-public-official",
    "uses-intermediary-bank",
)
_SENTENCES: Final = (
    "account-opening-reason",
    "additional-income-description",
    "business-activity-description",
    "description-of-relationship-to-beneficiary",
    "expected-account-activity",
    "expected-countries-of-transfer",
    "explanation-of-address-difference",
    "main-source-of-funds",
    "main-source-of-wealth",
    "nature-of-employment",
    "previous-employment-history",
    "remarks-of-the-applicant",
    "remarks-of-the-interviewer",
    "supporting-documents-overview",
    "tax-identification-explanation",
)
_NUMBERS: Final = (
    "expected-monthly-deposits",
    "expected-monthly-withdrawals",
    "gross-annual-income",
    "household-size",
    "largest-expected-transfer",
    "liquid-net-worth",
    "months-at-current-address",
    "months-at-current-employer",
    "number-of-dependants",
    "total-net-worth",
)
_WORDS: Final = words(
    "salary from a workshop that restores old instruments and sells them abroad "
    "savings held since the sale of a small orchard and two cottages by the river "
    "regular payments for teaching evening classes in drawing and letter carving"
)
_BEHAVIORS: Final = (
    "autofill-cancels",
    "autofill-starts",
    "debugger-attached",
    "devtools-open",
    "distraction-events",
    "hesitation-count",
    "hesitation-time",
    "mobile-sdk-version-less-than-minimum-count",
    "request-spoof-attempts",
    "shortcut-copies",
    "shortcut-pastes",
    "user-agent-spoof-attempts",
)


def fields_of(who: Person, dice: Dice) -> Json:
    """Answer some seventy filled fields."""
    return _usual(who) | _addresses(who) | _employment(who) | _answers(dice)


def behaviors(dice: Dice) -> Json:
    """Answer counters of how the form was filled in."""
    counters: Json = {name: dice.randrange(9) for name in _BEHAVIORS}
    return counters | {"completion-time": round(dice.uniform(20, 600), 3)}


def _text(value: str | None) -> Json:
    return {"type": "string", "value": value}


def _usual(who: Person) -> Json:
    return {
        "name-first": _text(who.first),
        "name-middle": _text(who.middle),
        "name-last": _text(who.last),
        "address-street-1": _text(who.street),
        "address-street-2": _text(who.unit),
        "address-city": _text(who.town),
        "address-subdivision": _text(who.region),
        "address-postal-code": _text(who.postal_code),
        "address-country-code": _text("US"),
        "birthdate": {"type": "date", "value": who.birthdate},
        "email-address": _text(who.email),
        "phone-number": _text(who.phone),
        "identification-number": _text(who.number),
    }


def _addresses(who: Person) -> Json:
    parts = {
        "street-1": who.street,
        "street-2": who.unit,
        "city": who.town,
        "subdivision": who.region,
        "postal-code": who.postal_code,
        "country-code": "US",
    }
    kinds = ("mailing-address", "previous-address", "employer-address")
    return {f"{k}-{name}": _text(value) for k in kinds for name, value in parts.items()}


def _employment(who: Person) -> Json:
    return {
        "employer-name": _text(who.firm),
        "occupation": _text(who.trade),
        "emergency-contact-name": _text(f"{who.middle} {who.last}"),
        "emergency-contact-phone-number": _text(who.phone),
        "selected-country-code": _text("US"),
        "selected-id-class": _text("dl"),
    }


def _answers(dice: Dice) -> Json:
    choices: Json = {
        name: {"type": "boolean", "value": dice.random() < 0.5}  # noqa: PLR2004 - a coin
        for name in _YES_OR_NO
    }
    figures: Json = {
        name: {"type": "number", "value": dice.randrange(1, 90_000)}
        for name in _NUMBERS
    }
    sentences: Json = {name: _text(_sentence(dice)) for name in _SENTENCES}
    return choices | figures | sentences


def _sentence(dice: Dice) -> str:
    return " ".join(dice.choices(_WORDS, k=31)).capitalize() + "."
