"""Dates relative to now in Spanish, French and German: la semana pasada, il y a trois jours, letzte
Woche, hier.

A month, a year and a range in these languages are read by `absolute.py` and `phrases.py`.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from search.understanding.dates.absolute import Reader
from search.understanding.dates.calendar import Calendar
from search.understanding.dates.point import Point, Recurring, Standing
from search.understanding.dates.relative import rolling, unit_back
from search.understanding.dates.words import (
    FRENCH_WEEKDAYS,
    GERMAN_WEEKDAYS,
    OTHER_NUMBERS,
    OTHER_UNITS,
    PARTS_OF_DAY,
    SPANISH_WEEKDAYS,
    any_of,
)

_NUMBER = rf"(?P<number>[0-9]{{1,4}}|{any_of(OTHER_NUMBERS)})"
_UNIT = rf"(?P<unit>{any_of(OTHER_UNITS)})(?!\w)"
_SPANISH = rf"(?P<weekday>{any_of(SPANISH_WEEKDAYS)})(?!\w)"
_FRENCH = rf"(?P<weekday>{any_of(FRENCH_WEEKDAYS)})(?!\w)"
_GERMAN = rf"(?P<weekday>{any_of(GERMAN_WEEKDAYS)})(?!\w)"
_WEEKDAYS = {**SPANISH_WEEKDAYS, **FRENCH_WEEKDAYS, **GERMAN_WEEKDAYS}
_OF_LAST = r"(?:letzte|vergangene|vorige)[nrsm]?"
_DAYS_BACK = {
    **dict.fromkeys(("hoy", "aujourd'hui", "heute"), 0),
    **dict.fromkeys(("ayer", "hier", "anoche"), 1),
    **dict.fromkeys(("anteayer", "antier", "avant-hier", "vorgestern"), 2),
}
# Words that show German, where "hier" means here.
_GERMAN_WORDS = re.compile(
    r"\b(?:und|ist|sind|war|wird|nicht|der|das|dem|den|ein|eine|wer|was|wie|wo|für|mit|auf|im|am|"
    r"vom|zum|zur|von|ich|wir|es)\b",
    re.IGNORECASE,
)
_AFTER_CAPITAL = re.compile(r"\b[A-Z]\w*\s+$")


def _ago(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Reads "hace 3 días" as that day, "vor 3 Wochen" as that week, "il y a 3 heures" as that
    hour.
    """
    unit, count = _unit(match), _number(match["number"])
    if unit in ("minute", "hour"):
        step = timedelta(minutes=count) if unit == "minute" else timedelta(hours=count)
        since = calendar.now - step
        return Point(since, since + step / count if count else calendar.now, match.end())
    return Point(*unit_back(calendar, unit, count), match.end())


def _past(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Los últimos tres días, les deux dernières semaines, die letzten 6 Monate: up to now."""
    count = _number(match["number"]) if "number" in match.groupdict() else 1
    found = rolling(calendar, _unit(match), count)
    return Point(found.since, found.until, match.end()) if found else None


def _whole(match: re.Match[str], calendar: Calendar) -> Point | None:
    """The last unit of the calendar, or the current one: esta semana, ce mois, dieses Jahr."""
    unit = _unit(match)
    if unit in ("minute", "hour", "day"):  # ces jours
        return None
    current = match["which"].casefold().startswith(("est", "ce", "dies"))
    return Point(*unit_back(calendar, unit, 0 if current else 1), match.end())


def _last_weekday(match: re.Match[str], calendar: Calendar) -> Point | None:
    """El lunes pasado, lundi dernier, letzten Montag: before today."""
    return _latest(match, calendar, calendar.today - timedelta(days=1), Standing.ALONE)


def _the_weekday(match: re.Match[str], calendar: Calendar) -> Point | None:
    """El lunes, am Montag: the last one, today included."""
    return _latest(match, calendar, calendar.today, Standing.ALONE)


def _bare_weekday(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Montag, lundi: at the beginning or the end of a query."""
    return _latest(match, calendar, calendar.today, Standing.AT_AN_END)


def _latest(
    match: re.Match[str], calendar: Calendar, limit: date, standing: Standing
) -> Point | None:
    again = Recurring(weekday=_WEEKDAYS[match["weekday"].casefold()])
    span = again.latest(calendar, limit)
    return Point(*span, match.end(), standing, again) if span else None


def _day_word(match: re.Match[str], calendar: Calendar) -> Point | None:
    """Hoy, ayer, aujourd'hui, avant-hier, heute, vorgestern; hier soir, gestern Abend, anoche. None
    for "hier" among German words, and in a name such as "La Hoy".
    """
    word = match["word"].casefold().replace("’", "'")
    rest = match.string[: match.start()] + match.string[match.end() :]
    if word == "hier" and _GERMAN_WORDS.search(rest):
        return None
    if match["word"][0].isupper() and _AFTER_CAPITAL.search(match.string, 0, match.start()):
        return None
    day = calendar.today - timedelta(days=_DAYS_BACK.get(word, 1))
    if word != "anoche" and not match["evening"]:
        return Point(*calendar.days(day), match.end())
    hours = PARTS_OF_DAY["night" if word == "anoche" else "evening"]
    since, until = (calendar.moment(day, hour) for hour in hours)
    return Point(since, until, match.end())


def _unit(match: re.Match[str]) -> str:
    return OTHER_UNITS[" ".join(match["unit"].casefold().split())]


def _number(text: str) -> int:
    word = text.casefold()
    return int(word) if word.isdecimal() else OTHER_NUMBERS[word]


PATTERNS: tuple[tuple[str, Reader], ...] = (
    (rf"(?:hace|il\s+y\s+a|vor)\s+{_NUMBER}\s+{_UNIT}", _ago),
    (rf"(?:en\s+)?(?:(?:los|las)\s+)?últim[oa]s\s+{_NUMBER}\s+{_UNIT}", _past),
    (rf"(?:dans\s+|pendant\s+)?(?:(?:les|ces)\s+)?{_NUMBER}\s+derni(?:er|ère)s\s+{_UNIT}", _past),
    (
        rf"(?:(?:in|während)\s+)?(?:(?:die|den|der)\s+)?(?:letzten|vergangenen)\s+{_NUMBER}\s+{_UNIT}",
        _past,
    ),
    (rf"(?:en\s+)?(?:el|la)\s+últim[oa]\s+{_UNIT}", _past),
    (rf"(?:en\s+)?(?:(?:el|la)\s+)?{_UNIT}\s+(?P<which>pasad[oa]|anterior)(?!\w)", _whole),
    (rf"(?:en\s+)?(?:el|la)\s+(?P<which>pasad[oa])\s+{_UNIT}", _whole),
    (rf"(?:en\s+)?(?P<which>est[ea])\s+{_UNIT}", _whole),
    (
        rf"(?:(?:le|la)\s+|l['’])?{_UNIT}\s+(?P<which>derni(?:er|ère)|passée?|précédente?)(?!\w)",
        _whole,
    ),
    (rf"(?:le|la)\s+(?P<which>derni(?:er|ère))\s+{_UNIT}", _whole),
    (rf"(?P<which>cette|cet|ce)\s+{_UNIT}(?:-ci)?", _whole),
    (
        (
            rf"(?:(?:in|im|am)\s+)?(?:(?:der|dem|den|die|das)\s+)?"
            rf"(?P<which>{_OF_LAST}|diese[nrsm]?)\s+{_UNIT}"
        ),
        _whole,
    ),
    (rf"(?:el\s+)?{_SPANISH}\s+pasado(?!\w)", _last_weekday),
    (rf"el\s+pasado\s+{_SPANISH}", _last_weekday),
    (rf"(?:le\s+)?{_FRENCH}\s+dernier(?!\w)", _last_weekday),
    (rf"(?:(?:am|den)\s+)?{_OF_LAST}\s+{_GERMAN}", _last_weekday),
    (rf"el\s+{_SPANISH}", _the_weekday),
    (rf"am\s+{_GERMAN}", _the_weekday),
    (rf"(?:{_FRENCH})", _bare_weekday),
    (rf"(?:{_GERMAN})", _bare_weekday),
    (
        (
            r"(?P<word>hoy|anteayer|antier|ayer|anoche|aujourd['’]hui|avant-hier|hier|heute|vorgestern|"
            r"gestern)(?!\w)(?P<evening>\s+(?:soir|abend)(?!\w))?"
        ),
        _day_word,
    ),
)
