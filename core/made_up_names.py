"""Removes made-up names from a machine's description of a picture or a shot.

A model that describes pictures writes names that it guessed from a face. A name is kept only if the
agency's own text of the same item has it. Only a reader of the language can tell for certain what a
name is, so the rule is strict. A word counts as (a part of) a name if it

- has a capital letter, unless it is one of the few words that captions begin with, or, in German,
  a noun with its article,
- is of a script without capitals, of two scripts, or of letters and digits,
- or is within a name that a tagger found.

Such words, next to each other or joined by "von", "bin" and the like, are one name. The longest
part of a name that the agency's text has in the same order stays; the rest becomes "…". A text that
is mostly names is dropped.

A transcript of a machine has names as they sound, so it gets the same rule, with what its sentences
need: there, a capital says nothing at the beginning of a sentence, or of a noun in German, unless a
second one follows; and a script without capitals says nothing, so a tagger has to find its names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from core.items import Item, Shot
from core.media_words import Utterance

Span = tuple[int, int]  # characters of a text
Spans = Mapping[str, Sequence[Span]]
FoundNames = Callable[[Item], Spans]  # by text, the names in what machines say of an item

GONE = "…"
_MOST_BODY = 10_000  # characters of the agency's text that are read
_MOST_WORDS = 6  # of a name
_MOST_PARTICLES = 3
_LONGEST_TITLE = 4  # letters, as in "Prof."
_SHORTEST_END = 2  # letters of the last word of a sentence, at least one more
Word = re.Match[str]

_WORD = re.compile(r"[^\W_][\w\u0300-\u036f\u200c\u200d\u00ad]*")
_OWN_WORD = re.compile(rf"{_WORD.pattern}|\|")  # "|" separates lines
_SENTENCE_END = re.compile(r"[.!?…।。]")
_APART = re.compile(r"[\n,;:!?()\[\]{}\"“”„«»|]")  # these end a name
_GONE_AGAIN = re.compile(rf"{GONE}(?:[ ,'’.-]*{GONE})+")
_LISTED = re.compile(rf"^{GONE},\s*|,\s*{GONE}$", re.MULTILINE)  # at an end of a list of words
_PARTICLES = frozenset(
    """
    von vom van der den de del della di da do dos das du des la le les al el bin ben ibn abu of the
    zu zur und y e
    """.split()  # noqa: SIM905 - lists of words read better than one of a hundred strings
)
_WITH_CAPITAL_NOUNS = ("de", "lb")
_ARTICLES = frozenset(
    """
    ein eine einer eines einem einen der die das den dem des zwei drei vier mehrere viele en eng
    """.split()  # noqa: SIM905
)
# Words that captions begin with, and capitals that are not names; in the form of `_folded`, without
# accents.
_PLAIN = frozenset(
    """
    a an the this that these those some several many few all both each another other no one two
    three four five six seven eight nine ten dozens hundreds thousands there here it its he she
    they his her their in on at by with from under over near behind beside between inside outside
    above below around and or while as after before during against through along across
    man men woman women person people child children boy boys girl girls baby couple crowd crowds
    group groups team player players fan fans police officer officers soldier soldiers protester
    protesters demonstrators firefighter firefighters worker workers visitors spectators view
    photo picture image shot aerial close up closeup black white red blue green yellow young old
    passengers commuters residents students pupils workers guests travellers travelers tourists
    supporters voters migrants refugees rescuers mourners journalists photographers reporters
    customers shoppers drivers cyclists runners swimmers sailors fishermen farmers doctors nurses
    teachers families parents mothers fathers members athletes dancers
    musicians actors models politicians lawmakers delegates troops cranes trucks buses trains boats
    ships planes horses birds trees buildings houses flags candles flowers waves clouds
    elderly smiling standing sitting walking running dog dogs cat cats car cars ship boat smoke
    fire flames rain snow i t shirt tv x ray
    un une des le la les il elle ils deux trois plusieurs homme femme hommes femmes personne
    personnes enfant enfants foule vue
    el los las una unos unas dos tres varios hombre mujer hombres mujeres persona personas nino
    ninos vista
    um uma o os as homem mulher homens mulheres pessoa pessoas
    lo gli uno due tre uomo donna uomini donne persone
    een het twee drie vrouw mannen vrouwen mensen
    ein eine einer eines einem einen der die das den dem zwei drei vier mehrere viele im am auf mit
    neben vor hinter mann frau manner frauen person personen menschen kind kinder junge madchen
    gruppe menge blick
    """.split()  # noqa: SIM905
)
# Words with a capital in a transcript that are no names of anybody.
_HEARD = frozenset(
    """
    monday tuesday wednesday thursday friday saturday sunday january february march april may june
    july august september october november december ok god i we you
    """.split()  # noqa: SIM905
)


def without_made_up_names(item: Item, found: Spans | None = None) -> Item:
    """Return the item, without the names in its machine texts that the agency's own text lacks.
    `found` are the names that a tagger found in these texts.
    """
    said = machine_texts(item)
    if not said:
        return item
    own = _OwnText(item)
    capital_nouns = own.has_capital_nouns
    kept = {text: _kept(text, (found or {}).get(text, ()), own, capital_nouns) for text in said}
    if all(text == after for text, after in kept.items()):
        return item
    caption = kept.get(item.caption, "")
    shots = tuple(_reworded(shot, kept) if shot.described_by else shot for shot in item.shots)
    return replace(
        item, caption=caption, caption_by=item.caption_by if caption else "", shots=shots
    )


def without_misheard_names(item: Item, found: Spans | None = None) -> Item:
    """Return the item, without the names in a machine's transcript that the agency's own text
    lacks. `found` are the names that a tagger found in its utterances.
    """
    if not heard_texts(item):
        return item
    own = _OwnText(item)
    kept = [_heard_again(one, _kept_of_speech(one, found or {}, own)) for one in item.speech]
    speech = tuple(one for one in kept if one.text)
    return replace(item, speech=speech, speech_by=item.speech_by if speech else "")


def _kept_of_speech(one: Utterance, found: Spans, own: _OwnText) -> str:
    """Return the text of an utterance without the names that `own` lacks, by the rules of the
    language that is spoken, if that is known.
    """
    capital_nouns = _has_capital_nouns(one.language) if one.language else own.has_capital_nouns
    return _kept(one.text, found.get(one.text, ()), own, capital_nouns, heard=True)


def heard_texts(item: Item) -> tuple[str, ...]:
    """Return the utterances in a machine's transcript, each text once; none of the agency's own."""
    said = (one.text for one in item.speech if item.speech_by)
    return tuple(dict.fromkeys(text for text in said if text))


def _heard_again(one: Utterance, text: str) -> Utterance:
    """Return an utterance with another text, and only those timed words that the text still has."""
    if text == one.text:
        return one
    words, place = [], 0
    for start, end, word in one.words:
        found = text.find(word.strip(), place)
        if found >= 0:
            words.append((start, end, word))
            place = found + len(word.strip())
    return replace(one, text=text, words=tuple(words))


def machine_texts(item: Item) -> tuple[str, ...]:
    """Return all that machines say of an item, each text once."""
    said = (item.caption, *(shot.description for shot in item.shots if shot.described_by))
    return tuple(dict.fromkeys(text for text in said if text))


def _reworded(shot: Shot, kept: Mapping[str, str]) -> Shot:
    text = kept.get(shot.description, "")
    return replace(shot, description=text, described_by=shot.described_by if text else "")


class _OwnText:
    """The words of the agency's own text of an item, read when they are first needed."""

    def __init__(self, item: Item) -> None:
        self._item = item
        self._stretches: frozenset[tuple[str, ...]] | None = None
        self.has_capital_nouns = _has_capital_nouns(item.language)

    def has(self, words: Sequence[str]) -> bool:
        """Return whether the text has these folded words, at most `_MOST_WORDS`, one after the
        other.
        """
        if self._stretches is None:
            found = _OWN_WORD.findall(" | ".join(_own_lines(self._item)))
            own = [_folded(word) for word in found]
            self._stretches = frozenset(
                tuple(own[start : start + size])
                for size in range(1, _MOST_WORDS + 1)
                for start in range(len(own) - size + 1)
            )
        return tuple(words) in self._stretches


def _has_capital_nouns(language: str) -> bool:
    return language.lower().split("-")[0] in _WITH_CAPITAL_NOUNS


def _own_lines(item: Item) -> Iterator[str]:
    yield from (item.headline, item.description, item.located, item.agency_shotlist)
    yield item.body[:_MOST_BODY]
    yield "" if item.speech_by else item.speech_text[:_MOST_BODY]
    for concept in (*item.person, *item.organisation, *item.place, *item.subject):
        yield concept.name
        last, _, first = concept.name.partition(",")
        yield f"{first} {last}"


def _kept(
    text: str, found: Sequence[Span], own: _OwnText, capital_nouns: bool, *, heard: bool = False
) -> str:
    """Return one text without the names that `own` lacks; "" if more than half of its words are
    lost. `capital_nouns` is as in `_names`; `heard` says that it is of a transcript.
    """
    words = list(_WORD.finditer(text))
    pieces: list[str] = []
    end = lost = 0
    names = _names_in_speech if heard else _names
    for name in names(text, words, found, capital_nouns):
        first, last = _longest_known([_folded(word[0]) for word in name], own)
        lost += len(name) - (last - first)
        known = text[name[first].start() : name[last - 1].end()] if last > first else ""
        parts = (GONE if first else "", known, GONE if last < len(name) else "")
        pieces += [text[end : name[0].start()], " ".join(filter(None, parts))]
        end = name[-1].end()
    if not lost:
        return text
    if 2 * lost > len(words):
        return ""
    return _LISTED.sub("", _GONE_AGAIN.sub(GONE, "".join([*pieces, text[end:]]))).strip()


def _names(
    text: str, words: Sequence[Word], found: Sequence[Span], capital_nouns: bool
) -> Iterator[list[Word]]:
    """Yield the words of each name in a text. `capital_nouns` says that the language writes nouns
    with a capital, as German does.
    """
    name: list[Word] = []
    between: list[Word] = []
    for number, word in enumerate(words):
        goes_on = bool(name) and _goes_on(text, (between or name)[-1], word)
        is_noun = capital_nouns and not goes_on and _has_article(words[:number][-2:], word)
        if (_is_of_name(word, goes_on=goes_on) and not is_noun) or _is_within(word, found):
            if not goes_on:
                yield from (name,) if name else ()
                name = []
            name += [*(between if goes_on else ()), word]
            between = []
        elif goes_on and len(between) < _MOST_PARTICLES and _folded(word[0]) in _PARTICLES:
            between.append(word)
        else:
            yield from (name,) if name else ()
            name, between = [], []
    yield from (name,) if name else ()


def _names_in_speech(
    text: str, words: Sequence[Word], found: Sequence[Span], capital_nouns: bool
) -> Iterator[list[Word]]:
    """Yield the words of each name in an utterance, as `_names` does for a description."""
    pairs = zip((None, *words), words, strict=False)
    begins = [_begins_sentence(text, before, word) for before, word in pairs]
    capital = [any(char.isupper() for char in word[0]) for word in words]
    plain = [_folded(word[0]) in _PLAIN or _folded(word[0]) in _HEARD for word in words]
    joined = [  # whether a word may go on from the one before it
        number > 0 and not begins[number] and _goes_on(text, words[number - 1], word)
        for number, word in enumerate(words)
    ]
    sure = [one and not is_plain for one, is_plain in zip(capital, plain, strict=True)]
    name: list[Word] = []
    for number, word in enumerate(words):
        goes_on = bool(name) and joined[number]
        follows = any(sure[number + 1 : number + 2]) and joined[number + 1]
        tells = follows or _is_initials(word[0]) or not (capital_nouns or begins[number])
        is_name = (capital[number] and goes_on) or (sure[number] and tells)
        if is_name or _is_within(word, found):
            if not goes_on:
                yield from (name,) if name else ()
                name = []
            name.append(word)
        else:
            yield from (name,) if name else ()
            name = []
    yield from (name,) if name else ()


def _is_initials(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _begins_sentence(text: str, before: Word | None, word: Word) -> bool:
    """Return whether a word is the first of a sentence. A full stop after a few letters may be one
    of a title, as in "Dr. May".
    """
    if before is None:
        return True
    ends = _SENTENCE_END.search(text[before.end() : word.start()])
    return bool(ends) and len(before[0]) > _SHORTEST_END


def _goes_on(text: str, before: Word, word: Word) -> bool:
    """Return whether a name may go on from one word to the next: in "Dr. May", not in "at noon.
    May".
    """
    gap = text[before.end() : word.start()]
    ends = "." in gap and len(before[0]) > _LONGEST_TITLE
    return not ends and not _APART.search(gap)


def _longest_known(words: Sequence[str], own: _OwnText) -> Span:
    """Return the longest part of a name that `own` has, the first if several are as long; (0, 0) if
    `own` has none.
    """
    best = (0, 0)
    for first in range(len(words)):
        last = first
        while last < min(len(words), first + _MOST_WORDS) and own.has(words[first : last + 1]):
            last += 1
        best = max(best, (first, last), key=lambda span: span[1] - span[0])
    return best


def _has_article(before: Sequence[Word], word: Word) -> bool:
    """Return whether the word is a noun right after an article, or after an article and an
    adjective.
    """
    near = [_folded(one[0]) for one in before]
    adjective = before[-1][0].islower() and len(near) > 1 if near else False
    articled = bool(near) and (near[-1] in _ARTICLES or (adjective and near[0] in _ARTICLES))
    return articled and word[0][1:].islower()


def _is_within(word: Word, found: Sequence[Span]) -> bool:
    return any(start < word.end() and word.start() < end for start, end in found)


def _is_of_name(word: Word, *, goes_on: bool) -> bool:
    text = word[0]
    if text.isascii() and text.islower() and text.isalpha():
        return False
    if _folded(text) in _PLAIN:
        return (
            goes_on and text[0].isupper()
        )  # the next word may belong to the name, as in "Neil Young"
    return _looks_like_name(text)


@lru_cache(4096)
def _looks_like_name(word: str) -> bool:
    """Return whether the word has a capital, a letter of a script without capitals, letters of
    several scripts, or digits among its letters.
    """
    if word[0].isdigit():
        return any(char.isupper() for char in word[1:])
    if not all(unicodedata.category(char) in ("Ll", "Mn") for char in word):
        return True
    if unicodedata.normalize("NFKC", word) != unicodedata.normalize("NFC", word):
        return True
    letters = [char for char in word if char.isalpha()]
    return len({unicodedata.name(char, "?").split()[0] for char in letters}) > 1


@lru_cache(16_384)
def _folded(word: str) -> str:
    """Return a word without case, accents and invisible characters."""
    plain = unicodedata.normalize("NFKD", word)
    return "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf")).casefold()
