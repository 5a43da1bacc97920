"""Spelling: suggests another spelling if few or no items have a word of the query.

A suggestion never changes the query. The words come from items that the caller may see
(`core.ports.engine.Vocabulary`), so no suggestion reveals a word that only hidden items have.
Quoted phrases, fielded words, wildcards, numbers and excluded words stay as typed.

Names come first. A name that the archive knows, and each word of it, is never doubted, however rare
it is. A misspelt name is corrected whole, as the archive writes it. A name that the archive does
not have never becomes a common word: a person or a place is corrected to words of names only, and
so is a word with a capital letter if only the order of its letters differs.

The tagger said which kind each of its names is, so they come first among the names. Neighbouring
doubtful words that it took for no name are tried as a name of each kind.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import islice, pairwise

from core.callers import Caller
from core.entities import NAME_FIELDS, Entity, EntityLabel, KnownName, NameMatch
from core.ports.engine import Names, Vocabulary
from core.ports.models import TextAnalysis
from core.query_tree import Bool, Node, Word
from core.standing import SeenWord
from search.answers import FoundName

_SHORTEST = 4  # letters; a shorter word is never doubted
_ANOTHER_LETTER = 6  # letters; in a shorter word another letter makes another word
_TWO_EDITS = 9  # letters; in a shorter word only one edit is allowed
_MOST_WORDS = 12  # in a query; longer ones are prose
_NAMES = "names"  # the text field of names, sluglines, bylines and subjects
_NEVER_WORDS = (EntityLabel.PER, EntityLabel.LOC)  # kinds of name that are corrected to names only
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r'("[^"]*"?)')
_STEMS_OF = "en"
_MOST_TRIED = 6  # groups of words, each as a name of three kinds


@dataclass(frozen=True, slots=True)
class Doubt:
    """When a word is doubted: at most `few` items have it. A word that some items have is doubted
    only for a word one edit away that `times` as many have, because a common error is in the
    archive too.
    """

    few: int = 3
    times: int = 50


NOT_DOUBTED = Doubt(few=-1)


class Speller:
    """Suggests other spellings from an archive's own words."""

    def __init__(
        self,
        archive: Vocabulary,
        analysis: TextAnalysis,
        doubt: Doubt | None = None,
        names: Names | None = None,
    ) -> None:
        self._archive = archive
        self._analysis = analysis
        self._doubt = doubt or Doubt()
        self._names = names

    def suggestion(
        self,
        query: str,
        tree: Node,
        caller: Caller,
        found: Sequence[FoundName] = (),
    ) -> str:
        """Return `query` with its doubtful words replaced, "" without a suggestion. `tree` is the
        parsed query, and `found` are the names in it.
        """
        if not query or self._doubt.few < 0:
            return ""
        words = list(dict.fromkeys(_bare_words(tree)))
        if not words or len(words) > _MOST_WORDS:
            return ""
        few = self._doubtful(words, found, caller)
        if not few:
            return ""
        names = misspelt_names(query, few, found, self._names, caller)
        taken = {word for name in names for word in name.words}
        suggested = with_names(query, names)
        rest = {word: count for word, count in few.items() if word not in taken}
        asked = [(word, _most_edits(word, count)) for word, count in rest.items()]
        near_words = self._archive.similar_words(asked, caller) if asked else ()
        tagged = _unknown_names(found)
        for (word, count), near in zip(rest.items(), near_words, strict=True):
            better = self._better(word, count, near)
            if not better or self._is_name(word, better, tagged, caller):
                continue
            suggested = _replaced(suggested, word, better)
        return suggested if suggested != query else ""

    def _doubtful(
        self, words: Sequence[str], found: Sequence[FoundName], caller: Caller
    ) -> dict[str, int]:
        """Return the doubtful words, each with the number of items that have it, at most `few`."""
        counts = self._archive.seen_counts(words, self._doubt.few, caller)
        few = {word: n for word, n in zip(words, counts, strict=True) if n <= self._doubt.few}
        in_names = self._archive.seen_counts(list(few), 0, caller, _NAMES) if few else ()
        few = {word: n for (word, n), named in zip(few.items(), in_names, strict=True) if not named}
        stemmed = (word for word in _stemmed_alike(found, self._analysis) if word in words)
        return few | dict.fromkeys(stemmed, 0)

    def _better(self, word: str, count: int, near: Sequence[SeenWord]) -> str:
        for seen in near:
            if _is_likely(word, seen) and seen.count >= count * self._doubt.times:
                return seen.text
        return ""

    def _is_name(self, word: str, better: str, tagged: Set[str], caller: Caller) -> bool:
        """Return whether `word` is probably a name that the archive does not have, and `better` is
        a common word: no name has it.
        """
        if word not in tagged and not _is_capitalised_anagram(word, better):
            return False
        (named,) = self._archive.seen_counts([better], 0, caller, _NAMES)
        return not named


def _unknown_names(found: Sequence[FoundName]) -> frozenset[str]:
    """Return the words in the query's people and places that the archive does not have."""
    names = [one.text for one in found if one.label in _NEVER_WORDS and one.known is None]
    return frozenset(word for name in names for word in _WORD.findall(name))


def _stemmed_alike(found: Sequence[FoundName], analysis: TextAnalysis) -> Iterator[str]:
    """Yield the words of misspelt names that an archive seems to have, because they have the stem
    of the right word: "solvan" and "solvane".
    """
    for one in found:
        if one.known is None or one.known.match is not NameMatch.FUZZY or one.ignored:
            continue
        own = _WORD.findall(one.known.read_as or one.known.name)
        plain = {analysis.terms(word, "und") for word in own}
        stems = {analysis.terms(word, _STEMS_OF) for word in own}
        for word in _WORD.findall(one.text):
            if (
                analysis.terms(word, "und") not in plain
                and analysis.terms(word, _STEMS_OF) in stems
            ):
                yield word


def _is_capitalised_anagram(word: str, better: str) -> bool:
    return word.istitle() and sorted(word.casefold()) == sorted(better.casefold())


def _most_edits(word: str, count: int) -> int:
    return 2 if len(word) >= _TWO_EDITS and not count else 1


def _bare_words(node: Node) -> Iterator[str]:
    """Yield the bare words of the query that are long enough to be doubted; excluded words are left
    out.
    """
    match node:
        case Word(text, "") if text.isalpha() and len(text) >= _SHORTEST:
            yield text
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from _bare_words(child)


def _is_likely(word: str, seen: SeenWord) -> bool:
    """Return whether a near word may be meant. Compared with a short word, it may lack a letter,
    have one more, or have them in another order; with another letter in it ("cops", "cope") it is
    probably another word.
    """
    text, typed = seen.text.casefold(), word.casefold()
    if text == typed or not text.isalpha() or len(text) < _SHORTEST:
        return False
    if len(typed) >= _ANOTHER_LETTER:
        return True
    return len(text) != len(typed) or sorted(text) == sorted(typed)


def _replaced(query: str, word: str, better: str) -> str:
    """Return `query` with `word` replaced where it stands outside quotes and names no field."""
    pattern = re.compile(rf"(?<![\w:]){re.escape(word)}(?![\w:*~])")
    parts = _QUOTED.split(query)
    return "".join(
        part if part.startswith('"') else pattern.sub(lambda _: _cased(word, better), part)
        for part in parts
    )


def _cased(word: str, better: str) -> str:
    """Return `better` in the case that `word` was typed in."""
    if word.islower():
        return better.lower()
    if word.isupper():
        return better.upper()
    rest = better[1:]  # capitals come from a story's dateline
    return better[:1].upper() + (rest.lower() if better.isupper() else rest)


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A name that `query[start:end]` misspells. `better` is the archive's spelling, "" if the words
    stay. `words` are the doubtful ones.
    """

    start: int
    end: int
    better: str
    words: frozenset[str]


def misspelt_names(
    query: str,
    doubtful: Collection[str],
    found: Sequence[FoundName],
    archive: Names | None,
    caller: Caller,
) -> list[Misspelt]:
    """Return the names of `query` with any of the `doubtful` words, in order, none over another."""
    names = [
        Misspelt(one.start, one.end, _better_name(query[one.start : one.end], one.known), words)
        for one in found
        if (words := _doubtful_in(query[one.start : one.end], doubtful))
        and (one.known or one.ignored)
    ]
    if archive is None:
        return names
    taken = {word for name in names for word in name.words}
    groups = [*islice(_groups(query, set(doubtful) - taken), _MOST_TRIED)]
    asked = [
        Entity(query[start:end], label, 0, end - start, 1.0)
        for start, end in groups
        for label in NAME_FIELDS
    ]
    answers = iter(archive.known(asked, caller) if asked else ())
    for start, end in groups:
        text = query[start:end]
        known = [name for name in islice(answers, len(NAME_FIELDS)) if name is not None]
        if known and not any(name.start < end and start < name.end for name in names):
            nearest = next((name for name in known if name.match is not NameMatch.FUZZY), known[0])
            words = _doubtful_in(text, doubtful)
            names.append(Misspelt(start, end, _better_name(text, nearest), words))
    return sorted(names, key=lambda name: name.start)


def has_misspelt_name(query: str, found: Sequence[FoundName]) -> bool:
    """Return whether the archive spells a name of `query` in another way. No request is made: the
    names were looked for with the search.
    """
    return any(
        not one.ignored and _better_name(query[one.start : one.end], one.known) for one in found
    )


def with_names(query: str, names: Sequence[Misspelt]) -> str:
    """Return `query` with the names as the archive spells them."""
    for name in sorted(names, key=lambda name: -name.start):
        if name.better:
            query = query[: name.start] + name.better + query[name.end :]
    return query


def _better_name(typed: str, known: KnownName | None) -> str:
    """Return the archive's spelling of a misspelt name, with as many words as were typed; "" if
    each typed word is in it.
    """
    if known is None or known.match is not NameMatch.FUZZY:
        return ""
    words, name = _WORD.findall(typed), known.read_as or known.name
    own = name.split()
    if {word.casefold() for word in words} <= {word.casefold() for word in _WORD.findall(name)}:
        return ""
    better = " ".join(own[-len(words) :])
    return better.lower() if len(words) == 1 and typed.islower() else better


def _doubtful_in(text: str, doubtful: Collection[str]) -> frozenset[str]:
    return frozenset(word for word in _WORD.findall(text) if word in doubtful)


def _groups(query: str, doubtful: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield where groups of words stand that may be a name: neighbours of which both are doubtful,
    then those of which one is, then doubtful words alone.
    """
    quoted = [found.span() for found in _QUOTED.finditer(query)]
    words = [
        found.span()
        for found in _WORD.finditer(query)
        if not any(start <= found.start() < end for start, end in quoted)
    ]
    doubted = [query[start:end] in doubtful for start, end in words]
    pairs = [
        (one + two, (words[place][0], words[place + 1][1]))
        for place, (one, two) in enumerate(pairwise(doubted))
        if query[words[place][1] : words[place + 1][0]].isspace() and (one or two)
    ]
    yield from (span for count, span in pairs if count == 2)
    yield from (span for count, span in pairs if count == 1)
    yield from (span for span, doubt in zip(words, doubted, strict=True) if doubt)
