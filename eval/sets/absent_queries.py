"""Makes queries about nothing in a collection: nonsense, names that are not there, other topics.

They are made at random from the lists below, and kept only if none of their distinctive words is in
the collection. The same seed gives the same queries. The second half of each kind is sealed: it is
made of other subjects and other names than the first, so that a floor that was learned on the first
half is judged on the second.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from eval.sets.lines import read_lines

_WORD = re.compile(r"[^\W\d_]+")
_MEMBERS = ("title", "text", "headline", "body_text", "body_xhtml", "description_text")

_ONSETS = "b br c ch cl d dr f fl g gl gr h j k kl kr l m n p pl pr qu r s sh sk st t tr v w z"
_VOWELS = "a e i o u ai ea ie oo ou"
_ENDS = "b ck d ft g k ll lm mp n nd ng nk p rk rn rst sk ss st t x zz"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SUFFIXES = "ov ovic sen berg ström wala dottir escu inho yan idze ski etti oğlu nen strand quist"
_FIRST = (
    "Aino Beatriz Cornelius Dagmar Eoin Fatoumata Giancarlo Hyacinth Ignatius Jadwiga Kwabena "
    "Leopoldine Mireille Nkechi Ottoline Pelagia Quentin Rosalind Sigrid Thaddeus Ulrike Vasanti "
    "Wilhelmina Xiomara Yevgenia Zebulon Ambrose Birgitta Casimir Delphine Emmerich Freya"
)
_ABOUT = ("{}", "{}", "{} interview", "{} resigns", "mayor {}", "photos of {}", "{} biography")
_ASKED = (
    "how to {verb} {thing}",
    "best {thing} for beginners",
    "{thing} {detail}",
    "{detail} of {thing}",
    "what is the right {detail} for {thing}",
    "{thing}",
)
_VERBS = "repair choose clean store learn build teach compare measure sharpen"
_DETAILS = "technique history pattern recipe tuning glossary ratio catalogue workshop restoration"
_THINGS = (
    "sourdough starter|macrame knots|ukulele chords|origami cranes|bonsai pruning|crochet doilies|"
    "fly fishing lures|kombucha brewing|terrarium moss|calligraphy nibs|harpsichord strings|"
    "falconry hoods|beekeeping smokers|kimchi jars|marzipan figurines|yodelling lessons|"
    "geocaching trackables|backgammon openings|lacrosse sticks|didgeridoo breathing|"
    "tarot spreads|bouldering chalk|quilting hoops|sudoku strategies|taxidermy mounts|"
    "hydroponic lettuce|banjo rolls|snorkelling fins|pilates reformers|cribbage scoring|"
    "woodturning lathes|mandolin tremolo|cheesemaking rennet|scrimshaw carving|fencing sabres|"
    "hopscotch rules|campanology changes|ikebana vases|trampoline somersaults|tatting shuttles|"
    "glassblowing pontils|dulcimer hammers|pickleball paddles|marquetry veneers|zither plucking|"
    "petanque boules|bookbinding awls|limerick rhymes|gnocchi dough|unicycle saddles|"
    "accordion bellows|papercraft dragons|sauerkraut crocks|curling brooms|mosaic grout|"
    "kazoo buzzing|topiary shears|sundial gnomons|bagpipe drones|crossbow quivers"
)


class Kind(StrEnum):
    """Why a query has no answer."""

    NONSENSE = "nonsense"
    NAME = "name"
    TOPIC = "topic"


COUNTS = {Kind.NONSENSE: 100, Kind.NAME: 200, Kind.TOPIC: 200}


@dataclass(frozen=True, slots=True)
class AbsentQuery:
    """A query that nothing in the collection answers; nothing may be chosen on a `sealed` one."""

    text: str
    kind: Kind
    sealed: bool


def absent_queries(words: Set[str], seed: int = 1) -> tuple[AbsentQuery, ...]:
    """Return the queries, `COUNTS` of each kind, for a collection of these lower-case words."""
    chance = random.Random(seed)  # noqa: S311 - queries, not secrets
    made: list[AbsentQuery] = []
    for kind, count in COUNTS.items():
        for sealed in (False, True):
            texts = _distinct(_MAKERS[kind], chance, words, sealed)
            made += [AbsentQuery(text, kind, sealed) for text in islice(texts, count // 2)]
    return tuple(made)


def words_of(corpus: Path) -> frozenset[str]:
    """Return the lower-case words of the documents in a file of JSON lines."""
    found: set[str] = set()
    for line in read_lines(corpus):
        row = line.json_object()
        for member in _MEMBERS:
            if isinstance(text := row.get(member), str):
                found.update(_WORD.findall(text.lower()))
    return frozenset(found)


_Maker = Callable[[random.Random, Set[str], bool], str]


def _distinct(make: _Maker, chance: random.Random, words: Set[str], sealed: bool) -> Iterator[str]:
    """Yield different texts. The attempts are bounded, because a large collection may have
    everything.
    """
    known: set[str] = set()
    for _ in range(20_000):
        text = make(chance, words, sealed)
        if text and text not in known:
            known.add(text)
            yield text


def _nonsense(chance: random.Random, words: Set[str], sealed: bool) -> str:
    parts = [
        "".join(chance.choices(_LETTERS, k=chance.randint(5, 9)))
        if chance.random() < 0.5
        else _made_word(chance, chance.randint(2, 3))
        for _ in range(chance.randint(1, 3))
    ]
    return "" if words & set(parts) else " ".join(parts)


def _name(chance: random.Random, words: Set[str], sealed: bool) -> str:
    first = chance.choice(_half(_FIRST.split(), sealed))
    last = (_made_word(chance, 1) + chance.choice(_half(_SUFFIXES.split(), sealed))).capitalize()
    if last.lower() in words:
        return ""
    text = chance.choice(_ABOUT).format(f"{first} {last}")
    return text.lower() if chance.random() < 0.5 else text


def _topic(chance: random.Random, words: Set[str], sealed: bool) -> str:
    thing = chance.choice(_half(_THINGS.split("|"), sealed))
    if words & set(thing.split()):
        return ""
    form = chance.choice(_ASKED)
    return form.format(
        thing=thing, verb=chance.choice(_VERBS.split()), detail=chance.choice(_DETAILS.split())
    )


_MAKERS: dict[Kind, _Maker] = {Kind.NONSENSE: _nonsense, Kind.NAME: _name, Kind.TOPIC: _topic}


def _made_word(chance: random.Random, syllables: int) -> str:
    return "".join(
        "".join(chance.choice(part.split()) for part in (_ONSETS, _VOWELS, _ENDS))
        for _ in range(syllables)
    )


def _half(listed: list[str], sealed: bool) -> list[str]:
    """Return every second entry: the odd ones are sealed."""
    return listed[1 if sealed else 0 :: 2]
