"""The words of dates in all languages that declare them (`core.languages`), as tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from core.languages import LANGUAGES, DateWords
from search.understanding.templates import (
    any_of,
    any_template,
    spellings,
    spelt,
    table,
    ways,
    words_of,
)

DATED = {code: one.dates for code, one in LANGUAGES.items() if one.dates is not None}
PARTS_OF_DAY = {
    "small hours": (0, 6),
    "morning": (0, 12),
    "afternoon": (12, 18),
    "evening": (18, 24),
    "night": (18, 30),
}


@dataclass(frozen=True, slots=True)
class WordTables:
    """The words of one language: the number or the name of each spelling of a word. `units` are of
    one, `plurals` of several.
    """

    code: str
    words: DateWords
    months: dict[str, int]
    weekdays: dict[str, int]
    short_weekdays: dict[str, int]
    seasons: dict[str, int]
    units: dict[str, str]
    plurals: dict[str, str]
    numbers: dict[str, int]
    days: dict[str, int]
    decades: dict[str, int]


def tables_of(code: str, words: DateWords) -> WordTables:
    """Return the tables of a language's words."""
    return WordTables(
        code=code,
        words=words,
        months=table(dict(enumerate(words.months, 1))),
        weekdays=table(dict(enumerate(words.weekdays))),
        short_weekdays=table(dict(enumerate(words.short_weekdays))),
        seasons=table(words.seasons),
        units=table({name: one for name, (one, _) in words.units.items()}),
        plurals=table({name: many for name, (_, many) in words.units.items()}),
        numbers=table(words.numbers),
        days=table(words.days),
        decades=table(words.decades),
    )


TABLES = {code: tables_of(code, words) for code, words in DATED.items()}
_ALL = tuple(TABLES.values())
_ENGLISH = TABLES["en"]


def _merged(tables: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the tables as one; if two languages share a word, the first one keeps it."""
    return {word: value for each in reversed(list(tables)) for word, value in each.items()}


DAY_MONTHS = _merged(one.months for one in _ALL)
# Without a day beside it, a month that is also another word is not read ("mars", the planet).
DOUBTFUL_MONTHS = {word: one.code for one in _ALL for word in words_of(one.words.doubtful_months)}
MONTHS = {word: number for word, number in DAY_MONTHS.items() if word not in DOUBTFUL_MONTHS}
WEEKDAYS = _merged(one.weekdays for one in _ALL)
SHORT_WEEKDAYS = _merged(one.short_weekdays for one in _ALL)
SEASONS = _merged(one.seasons for one in _ALL)  # by the first month, in the north
YEARS = [
    word for one in _ALL if one.code != "en" for word, unit in one.units.items() if unit == "year"
]
DECADES = _ENGLISH.decades
ORDINALS = _merged(table(one.words.ordinals) for one in _ALL)
QUARTERS = _merged(table(one.words.quarters) for one in _ALL)  # months of each
FIRST_DAYS = table({1: " ".join(one.words.first_day for one in _ALL)})
ARTICLES = [word for one in _ALL for word in words_of(one.words.article)]
PAST_BEFORE = [word for one in _ALL for word in spelt(one.words.last_before)]
PAST_AFTER = [word for one in _ALL for word in spelt(one.words.last_after)]
OF = [word for one in _ALL for word in words_of(one.words.of)]
COUNTED_WORDS = [word for one in _ALL for word in spelt(one.words.counted)]


def every(name: str) -> tuple[str, ...]:
    """Return the templates of all languages under one name of `DateWords`."""
    return tuple(template for one in _ALL for template in getattr(one.words, name))


def _first_words() -> frozenset[str]:
    """Return the words with which the texts of a declaration begin, and all words of its groups."""
    texts = [
        text
        for one in _ALL
        for name in DateWords.__dataclass_fields__
        for text in _texts(getattr(one.words, name))
    ]
    first = [word[0] for text in texts if (word := re.match(r"\w+", text))]
    return frozenset(spelling for word in first for spelling in spellings(word))


def _texts(value: object) -> Iterable[str]:
    """Yield the texts of a value of `DateWords`: the words of groups, and every form of a template.
    Templates are in tuples or have a blank.
    """
    match value:
        case str():
            yield from (word for each in value.split() for word in words_of(each))
            yield from ways(value)
        case Mapping():
            yield from (text for pair in value.items() for one in pair for text in _texts(one))
        case tuple():
            yield from (text for one in value for text in _texts(one))


def _evenings(own: WordTables) -> list[str]:
    """Read weekdays with a part of the day in one word, as in German: montagabend."""
    parts = [way for texts in own.words.day_parts.values() for text in texts for way in ways(text)]
    return [f"{day}{part}" for day in own.weekdays for part in parts if " " not in part]


# Other first words of a date, besides those of the declarations.
_OTHERS = "q1 q2 q3 q4 h1 h2 t1 t2 t3 t4 s1 s2 published dated for"
_BEGINNINGS = frozenset(
    (*_first_words(), *_OTHERS.split(), *(word for one in _ALL for word in _evenings(one)))
)


def _time_words(own: WordTables) -> str:
    """Return a pattern of words of time: a date in this language has one of them, or a number."""
    named = (own.months, own.seasons, own.weekdays, own.short_weekdays, own.days)
    counted = (own.units, own.plurals, own.decades)
    words = any_of(word for each in (*named, *counted, _evenings(own)) for word in each)
    return "|".join((words, *filter(None, [any_template(own.words.moments)])))


TIME_WORDS = {code: _time_words(own) for code, own in TABLES.items()}
_IN_TEXT = {
    code: re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)
    for code, words in TIME_WORDS.items()
}


@lru_cache(maxsize=64)
def languages_in(text: str) -> frozenset[str]:
    """Return the languages of which a text has a word of time."""
    return frozenset(code for code, words in _IN_TEXT.items() if words.search(text))


def can_begin(word: str) -> bool:
    """Return whether a date may begin with this word."""
    return word[0].isdigit() or word.casefold() in _BEGINNINGS
