"""What a language declares. One `Language` holds its stemmer, its stop words, its words for dates
and for kinds of items, and what tells it from other languages.

A group of words is a string, with blanks between the words and "_" for a blank within one. Words
are written with their accents in lower case; a reader may leave accents out, or write "ae" for "ä".
A template is a string with `(a|b)` for alternatives, `[x]` for what may be left out and `{name}`
for the words of a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KindForms:
    """The words for one kind of item: those that may end any short query, those that may end a very
    short one, and those that only stand before "of".
    """

    many: str
    short: str = ""
    one: str = ""


@dataclass(frozen=True, slots=True)
class KindWords:
    """How people ask for kinds of items.

    `forms` are by item type. `before` are the templates of what stands between a kind and its
    subject, `joined` the words that join two kinds, `asked` the templates of a request, and `which`
    the words that may stand before a kind. `subjects` are words after which a kind at the end names
    a subject, or is what the query does not want; `names` are templates of names that begin with a
    kind. `moments` are the templates of what asks for a moment of a recording, with {asked} for a
    request; after one of them `who` may speak, and a word of `says` follows: "find where", "she",
    "says". What `things` say is written: "find where it says exit".
    """

    forms: Mapping[str, KindForms]
    before: tuple[str, ...]
    joined: str
    asked: tuple[str, ...] = ()
    which: str = ""
    subjects: str = ""
    names: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    who: str = ""
    says: str = ""
    things: str = ""


@dataclass(frozen=True, slots=True)
class DateWords:
    """How dates are written in plain words.

    Groups: twelve `months` and seven `weekdays` (from Monday); `doubtful_months` are other words
    without a day beside them; `bare_weekdays` are read at the end of a query without another word.
    `seasons` are by their first month in the north, `units` have singular forms and plural forms,
    `numbers` and `ordinals` are by value, `decades` by first year, `days` by how many days they lie
    back.

    Templates: `moments` are parts of days, each with the days back and the part; `day_parts` follow
    a word for a day. The words of units, weekdays, months and seasons have templates for the last
    one, the current one and the next one. `thirds` are early, mid and late. Words around a date:
    `within_months` and `within_days` stand before months and days, `within` before both.
    """

    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    seasons: Mapping[int, str]
    units: Mapping[str, tuple[str, str]]
    numbers: Mapping[int, str]
    days: Mapping[int, str]
    doubtful_months: str = ""
    short_weekdays: tuple[str, ...] = ()
    bare_weekdays: str = ""
    ordinals: Mapping[int, str] = field(default_factory=dict)
    decades: Mapping[int, str] = field(default_factory=dict)
    quarters: Mapping[int, str] = field(default_factory=dict)  # by months: 3 and 6
    day_parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    moments: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    thirds: tuple[tuple[str, ...], ...] = ((), (), ())
    ago: tuple[str, ...] = ()
    past: tuple[str, ...] = ()  # several units up to now, such as the last three days
    past_one: tuple[str, ...] = ()  # one unit up to now, such as the past week
    last: tuple[str, ...] = ()  # templates with {unit}
    this: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    before_last: tuple[str, ...] = ()
    so_far: tuple[str, ...] = ()  # from the beginning of the current unit
    third_of: tuple[str, ...] = ()  # a unit after a third, which is the current one
    last_weekday: tuple[str, ...] = ()
    this_weekday: tuple[str, ...] = ()
    next_weekday: tuple[str, ...] = ()
    the_weekday: tuple[str, ...] = ()  # the last one, today included
    night_before: tuple[str, ...] = ()  # from a {first} to a {weekday}
    weekday_of_last_week: tuple[str, ...] = ()
    weekday_of_this_week: tuple[str, ...] = ()
    last_named: tuple[str, ...] = ()  # templates with {named}, a month or a season
    this_named: tuple[str, ...] = ()
    next_named: tuple[str, ...] = ()
    of_last_year: tuple[str, ...] = ()
    of_this_year: tuple[str, ...] = ()
    the_weekend: tuple[str, ...] = ()
    decade: tuple[str, ...] = ()  # templates with {decade}, as 1990 or 90, and {decade_word}
    last_before: str = ""  # before a day of a month: the past 5 of march
    last_after: str = ""
    first_day: str = ""  # the first of a month in letters
    article: str = ""
    of: str = ""
    year: tuple[str, ...] = ()  # what may stand between a month, or nothing, and its year
    since: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    start: tuple[str, ...] = ()  # from, in "from a to b"
    to: tuple[str, ...] = ()
    joined: str = ""  # and, in "between a and b"
    within: tuple[str, ...] = ()
    within_months: tuple[str, ...] = ()
    within_days: tuple[str, ...] = ()
    counted: str = ""  # words for counted things: a number before one is neither a day nor a year


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its ISO 639-1 `code`, its English `name`, and the name of its Snowball `stemmer`.

    `stop_words` are too common to rank by; None stands for the stemmer's own list. `telling` are
    words of dates and news that no list of stop words has, `letters` those that English lacks,
    `endings` those of its words, and `elided` what stands before an apostrophe. With `tells_alone`
    stop words do not tell the language.
    """

    code: str
    name: str
    stemmer: str = ""
    stop_words: frozenset[str] | None = None
    telling: str = ""
    letters: str = ""
    endings: str = ""
    elided: str = ""
    tells_alone: bool = False
    kinds: KindWords | None = None
    dates: DateWords | None = None
