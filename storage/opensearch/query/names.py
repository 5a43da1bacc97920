"""Finds the archive's names in the index: `core.ports.engine.Names`.

This takes a few rounds of searches, one request each: first the folded text; if that is not a name,
names similar to it; then the codes and aliases of the names found. The replies have only spellings
in items that the caller sees, and the numbers of these items. So the rules in `known_names.py` (of
`storage/words/`) see nothing else.

Similar names are found by patterns for every keyword a few edits from a word;
`storage.words.names.NearWords` then checks what they find.

A word is cut into k + 1 parts with one letter between them. Each edit, even a swap of neighbours,
touches at most one part. So after at most k edits one part is unchanged, at most k places from its
old place (the pigeonhole principle; Wu and Manber, Fast text searching allowing errors, 1992). Each
part gives one regular expression. Together they find more than the near words and miss none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.callers import Caller
from core.entities import NAME_FIELDS, Entity, KnownName
from storage.opensearch.query.name_fields import NAMED
from storage.opensearch.seen import (
    Ask,
    Clause,
    Now,
    all_of,
    beginning_with,
    counted,
    literal,
    newest_first,
    seen_by,
    values_like,
)
from storage.record.facts import LINK
from storage.words.known_names import known_name, same_name, similar_name
from storage.words.names import (
    CLASSES,
    SHORTEST,
    VOWELS,
    NameBook,
    folded_words,
    key_of,
    most_edits,
    sound_of,
)

_SIGN = f"[^{LINK}]"  # any sign but LINK, which ends the key


def near_patterns(word: str) -> tuple[str, ...]:
    """Return Lucene regular expressions for keywords that begin with a word similar to `word`, with
    the same first letter, and then LINK; none if `word` is too short for edits.
    """
    edits = most_edits(len(word))
    return tuple(_around(word, start, stop, edits) for start, stop in _parts(len(word), edits))


def sounding_pattern(word: str) -> str:
    """Return the Lucene regular expression for keywords that begin with a word that sounds like
    `word`, and then LINK; "" if `word` is too short to sound like others.
    """
    if len(word) < SHORTEST:
        return ""
    sound = sound_of(word)
    found = _class(sound[0])
    for before, kind in pairwise(sound):
        found += f"[{VOWELS}]{'+' if before == kind else '*'}{_class(kind)}"
    return f"{found}[{VOWELS}]*{LINK}.*"


def _class(kind: str) -> str:
    return f"[{kind}]+" if kind == VOWELS or kind in CLASSES else f"{literal(kind)}+"


def _parts(length: int, edits: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts begin and end, as long as possible; none without edits."""
    if not edits:
        return
    letters, longer = divmod(length - edits, edits + 1)
    start = 0
    for part in range(edits + 1):
        stop = start + letters + (part < longer)
        yield start, stop
        start = stop + 1


def _around(word: str, start: int, stop: int, edits: int) -> str:
    part, rest = literal(word[start:stop]), len(word) - stop
    after = f"{_between(rest - edits, rest + edits)}{LINK}.*"
    first, found = literal(word[0]), []
    if start <= edits and word[start] == word[0]:
        found.append(f"{part}{after}")
    if start + edits > 0:
        before = _between(max(start - edits, 1) - 1, start + edits - 1)
        found.append(f"{first}{before}{part}{after}")
    return "|".join(found)


def _between(least: int, most: int) -> str:
    return f"{_SIGN}{{{max(least, 0)},{most}}}"


MOST_NAMES = 16  # the most visible names that one code may have
_MOST_SPELLINGS = 1_000  # of one name, and of names similar to a text
_MOST_BEARERS = 10_000  # names with one surname
_LONGEST = 200  # letters of a name to search for
_LONGEST_FUZZY = 64
_SAMPLED = (
    10_000  # items of each shard with a name; of a commoner name only the newest items are read
)
_SURNAME = "person_surname"
_MANY_KEYS = 9  # names that are searched for without asking first which of them exist


class IndexNames:
    """`core.ports.engine.Names.known` by searches. It keeps no state."""

    def __init__(self, ask: Ask, now: Now) -> None:
        self._ask = ask
        self._now = now

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """Return the archive's name for each entity."""
        seen = seen_by(caller, self._now())
        kinds = {field: FoundNames(field, self._ask, seen) for field in NAMED}
        keys = dict.fromkeys(_key(entity.text) for entity in entities)
        _take([(kind, key) for kind in kinds.values() for key in keys], self._ask)
        unsure = [
            (kinds[NAME_FIELDS[entity.label]], entity.text)
            for entity in entities
            if entity.label in NAME_FIELDS
            and not any(kind.book.same(entity.text) for kind in kinds.values())
        ]
        _take_similar(unsure, self._ask)

        def same(field: str, text: str) -> KnownName | None:
            return same_name(kinds[field], text)

        def similar(field: str, text: str) -> KnownName | None:
            _take_similar([(kinds[field], text)], self._ask)
            return similar_name(kinds[field], text)

        return tuple(known_name(entity, same, similar, NAMED) for entity in entities)


@dataclass(frozen=True, slots=True)
class _Like:
    """A search for at most `size` values of a field that match a pattern: `query` finds the items
    that have one.
    """

    field: str
    pattern: str
    size: int
    query: Clause


class FoundNames:
    """The names of one field that searches have found so far, within the clauses `seen`. Implements
    `storage.words.known_names.SeenNames`.
    """

    def __init__(self, field: str, ask: Ask, seen: Sequence[Clause]) -> None:
        self.field = field
        self.book = NameBook(people=field == "person")
        self._ask = ask
        self._seen = seen
        self._numbers: dict[str, int] = {}  # by the spelling, casefolded
        self._labels: list[str] = []
        self._keys: list[str] = []
        self._counts: list[int] = []
        self._codes: dict[str, frozenset[str]] = {}  # by key; only codes that were asked for
        self._coded: dict[str, Sequence[int]] = {}  # by code
        self._tried: set[str] = set()  # texts for which similar names were searched

    def label(self, number: int) -> str:
        """Return the name as written, in one of its cases."""
        return self._labels[number]

    def key(self, number: int) -> str:
        """Return the folded form of the spelling."""
        return self._keys[number]

    def is_seen(self, number: int) -> bool:
        """Return whether the caller sees an item with the spelling."""
        return self._counts[number] > 0

    def count(self, number: int) -> int:
        """Return how many items have the spelling."""
        return self._counts[number]

    def only_code(self, numbers: Iterable[int]) -> str:
        """Return the code of the spellings, "" if they have none or several."""
        keys = list(dict.fromkeys(self._keys[number] for number in numbers))
        _take([(self, key) for key in keys], self._ask)
        codes = frozenset[str]().union(*(self._codes.get(key, ()) for key in keys))
        if len(codes) != 1:
            return ""
        (code,) = codes
        return code if 0 < len(self.coded(code)) <= MOST_NAMES else ""

    def coded(self, code: str) -> Sequence[int]:
        """Return the spellings that have the code, after reading all about their names; none if the
        code has more than MOST_NAMES names.
        """
        if code not in self._coded:
            field = f"{self.field}_link"
            (reply,) = self._ask([self.counting(_with(field, code, _MOST_SPELLINGS))])
            values = [_tail(value) for value, _ in counted(reply, field)]
            names = {_tail(value).casefold(): value.partition(LINK)[0] for value in values}
            few = len(names) <= MOST_NAMES
            if few:
                _take([(self, key) for key in dict.fromkeys(names.values())], self._ask)
            known = [self._numbers[name] for name in names if name in self._numbers]
            self._coded[code] = known if few else ()
        return self._coded[code]

    def is_missing(self, key: str) -> bool:
        """Return whether a name was not searched for yet."""
        return 0 < len(key) <= _LONGEST and key not in self._codes

    def key_search(self, key: str) -> Clause:
        """Return the search for a name's spellings and codes."""
        name, coded = f"{self.field}_name", f"{self.field}_coded"
        aggs = {
            name: values_like(name, _beginning(key), _MOST_SPELLINGS),
            coded: values_like(coded, _beginning(key), MOST_NAMES + 1),
        }
        held = beginning_with(name, key + LINK)
        return newest_first(all_of(*self._seen, held), aggs, _SAMPLED)

    def beginning(self, key: str) -> Clause:
        """Return the clause for items with a name."""
        return beginning_with(f"{self.field}_name", key + LINK)

    def matching(self, clauses: Mapping[str, Clause]) -> Clause:
        """Return the search that counts the items that satisfy each clause."""
        return {
            "size": 0,
            "track_total_hits": False,
            "query": all_of(*self._seen, {"bool": {"should": [*clauses.values()]}}),
            "aggs": {"some": {"filters": {"filters": dict(clauses)}}},
        }

    def note_absent(self, key: str) -> None:
        """Note that the caller sees no item with this name."""
        self._codes[key] = frozenset()

    def note_key(self, key: str, reply: Clause) -> None:
        """Take in the reply to `key_search`."""
        self._add(counted(reply, f"{self.field}_name"))
        self._codes[key] = frozenset(_tail(v) for v, _ in counted(reply, f"{self.field}_coded"))

    def similar_searches(self, text: str) -> list[_Like]:
        """Return the searches for every name that is similar to `text`; none the second time."""
        words = folded_words(text)
        key = key_of(words, text)
        if not words or len(key) > _LONGEST_FUZZY or text in self._tried:
            return []
        self._tried.add(text)
        found = [_near(f"{self.field}_name", pattern) for pattern in _patterns(key)]
        if self.field == "person":
            found.append(_with(_SURNAME, words[-1], _MOST_BEARERS))
            found += [_near(_SURNAME, pattern) for pattern in _patterns(words[-1])]
        return found

    def note_similar(self, reply: Clause) -> None:
        """Take in the reply to one of `similar_searches`."""
        for field in reply["aggregations"]:
            found = counted(reply, field)
            bare = [(_tail(value), count) for value, count in found]
            self._add(bare if field == _SURNAME else found)

    def _add(self, found: Iterable[tuple[str, int]]) -> None:
        """Take in spellings, each as key, LINK and label; case variants are one spelling."""
        fresh: dict[str, int] = {}
        for value, count in found:
            key, _, label = value.partition(LINK)
            folded = label.casefold()
            if folded not in self._numbers:
                number = self._numbers[folded] = fresh[folded] = len(self._labels)
                self._labels.append(label)
                self._keys.append(key)
                self._counts.append(0)
                self.book.add(number, label)
            if folded in fresh:
                self._counts[fresh[folded]] += count

    def counting(self, like: _Like) -> Clause:
        """Return the search for the names that a pattern matches, with their numbers of items."""
        return {
            "size": 0,
            "track_total_hits": False,
            "query": all_of(*self._seen, like.query),
            "aggs": {like.field: values_like(like.field, like.pattern, like.size)},
        }


def _with(field: str, beginning: str, size: int) -> _Like:
    return _Like(field, _beginning(beginning), size, beginning_with(field, beginning + LINK))


def _near(field: str, pattern: str) -> _Like:
    return _Like(field, pattern, _MOST_SPELLINGS, {"regexp": {field: {"value": pattern}}})


def _take(wanted: Sequence[tuple[FoundNames, str]], ask: Ask) -> None:
    """Search by key, in one request, for the names that were not searched for yet."""
    missing = [(names, key) for names, key in wanted if names.is_missing(key)]
    if len(missing) > _MANY_KEYS:
        missing = _held(missing, ask)
    if missing:
        replies = ask([names.key_search(key) for names, key in missing])
        for (names, key), reply in zip(missing, replies, strict=True):
            names.note_key(key, reply)


def _held(missing: Sequence[tuple[FoundNames, str]], ask: Ask) -> list[tuple[FoundNames, str]]:
    """Return those of many names that some item has, and note the others as absent, because most
    groups of words are no name.
    """
    some = _matched([(names, names.beginning(key)) for names, key in missing], ask)
    for (names, key), any_item in zip(missing, some, strict=True):
        if not any_item:
            names.note_absent(key)
    return [each for each, any_item in zip(missing, some, strict=True) if any_item]


def _take_similar(wanted: Sequence[tuple[FoundNames, str]], ask: Ask) -> None:
    """Search in one request for the names that are similar to texts, each in its field; of very
    many searches only for those that find something. Equal searches are sent once.
    """
    every = [(names, one) for names, text in wanted for one in names.similar_searches(text)]
    found = {(names, one.field, one.pattern): one for names, one in every}
    if len(found) > _MANY_KEYS:
        some = _matched([(names, one.query) for (names, *_), one in found.items()], ask)
        found = dict(each for each, some_item in zip(found.items(), some, strict=True) if some_item)
    bodies = [names.counting(one) for (names, *_), one in found.items()]
    for (names, *_), reply in zip(found, ask(bodies) if bodies else (), strict=True):
        names.note_similar(reply)


def _matched(asked: Sequence[tuple[FoundNames, Clause]], ask: Ask) -> list[bool]:
    """Return which clauses any item satisfies that the caller sees: one search for each field,
    where each clause would be one of its own.
    """
    places: dict[FoundNames, list[int]] = {}
    for place, (names, _) in enumerate(asked):
        places.setdefault(names, []).append(place)
    replies = ask(
        [
            names.matching({str(place): asked[place][1] for place in own})
            for names, own in places.items()
        ]
    )
    some = [False] * len(asked)
    for reply in replies:
        for place, bucket in reply["aggregations"]["some"]["buckets"].items():
            some[int(place)] = bucket["doc_count"] > 0
    return some


def _patterns(word: str) -> list[str]:
    """Return patterns that find all that `word` may be a misspelling of."""
    return [*near_patterns(word), *filter(None, [sounding_pattern(word)])]


def _key(text: str) -> str:
    return key_of(folded_words(text), text)


def _beginning(text: str) -> str:
    return literal(text + LINK) + ".*"


def _tail(value: str) -> str:
    """Return what follows the first LINK."""
    return value.partition(LINK)[2]
