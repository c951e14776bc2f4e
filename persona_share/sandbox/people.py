"""People who do not exist, made from dice and lists of our own."""

from datetime import date, timedelta
from typing import Final

import attrs

from persona_share.sandbox.world import Dice


def words(text: str) -> tuple[str, ...]:
    """Answer the words of a text."""
    return tuple(text.split())


_FIRST: Final = words(
    "Adara Bastien Calla Dorian Elowen Farid Greta Hanno Ilse Jorun Kalila Lorcan "
    "Marisol Nikos Oona Piotr Quilla Ravi Saskia Tomaz Ulla Vasco Wren Ximena "
    "Yusuf Zora"
)
_MIDDLE: Final = words("Abel Brise Cato Dune Ember Fenn Gale Heath Ivo Jade Kit Lark")
_LAST: Final = words(
    "Abernethy Brandvold Castellane Drozd Eklund Fairweather Grimaldi Hartnell "
    "Imber Jankowiak Kestrel Lindqvist Marchetti Nordgren Okafor Pemberly Quarrie "
    "Rosenthal Sandoval Tamm Underhill Vasquez Whitlock Yardley Zielinski"
)
_STREETS: Final = words("Alder Bramble Copper Drover Elm Foundry Gannet Heron Ivy")
_TOWNS: Final = (
    ("Millbrook", "Oregon", "97001"),
    ("Saltmarsh", "Maine", "04002"),
    ("Copperfield", "Nevada", "89003"),
    ("Larkspur Bend", "Montana", "59004"),
    ("Harrowgate", "Vermont", "05005"),
    ("Pine Hollow", "Idaho", "83006"),
)
_TRADES: Final = words(
    "Bookbinder Cartographer Glazier Horologist Luthier Potter Surveyor Weaver"
)
_FIRMS: Final = words("Anvil Beacon Cobalt Dovetail Everglade Fathom Gable Hearth")
_BORN_FROM: Final = date(1950, 1, 1)
_DAYS: Final = 20_000


@attrs.frozen
class Person:
    """One invented person."""

    first: str
    middle: str
    last: str
    birthdate: str
    street: str
    unit: str
    town: str
    region: str
    postal_code: str
    email: str
    phone: str
    number: str
    trade: str
    firm: str


def person(dice: Dice) -> Person:
    """Roll one person; the mail is at ``example.com``, the phone in the 555 range."""
    first, last = dice.choice(_FIRST), dice.choice(_LAST)
    town, region, postal_code = dice.choice(_TOWNS)
    born = _BORN_FROM + timedelta(days=dice.randrange(_DAYS))
    return Person(
        first=first,
        middle=dice.choice(_MIDDLE),
        last=last,
        birthdate=born.isoformat(),
        street=f"{dice.randrange(1, 9999)} {dice.choice(_STREETS)} Street",
        unit=f"Unit {dice.randrange(1, 99)}",
        town=town,
        region=region,
        postal_code=postal_code,
        email=f"{first}.{last}{dice.randrange(1000)}@example.com".lower(),
        phone=f"+1202555{dice.randrange(100, 200):04d}",
        number=f"000-{dice.randrange(10, 99)}-{dice.randrange(1000, 9999)}",
        trade=dice.choice(_TRADES),
        firm=f"{dice.choice(_FIRMS)} & {dice.choice(_LAST)}",
    )
