"""Tells the language of a query or a text. A query is short, so only characteristic words, letters
and endings count.

Evidence is a word that is common in one language only, a letter or an ending. What languages share
counts little. Names count nothing: "Angela Merkel Berlin" is in no language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from core.languages import TOLD, Language
from core.languages.scripts import FIRST_OF, LATIN, script_of
from storage.words.stop_words import is_stop_word

LANGUAGES = tuple(one.code for one in TOLD)
_BY_STOP_WORDS = tuple(one.code for one in TOLD if not one.tells_alone)
Bar = tuple[float, float]  # the least evidence, and how many times that of the other side it is
_LEAST = 0.9  # evidence: about one word of this language alone
_LEAD = 1.3  # times the evidence for English
_CHARACTERS = 600  # characters of a text that show its language
_PLAIN, _PLAIN_LEAD = 5.0, 2.0  # likewise, for a text of several sentences
_WORD = re.compile(r"[^\W\d_]+(?:['’](?=[^\W\d_]))?")


def _speakers(words: Callable[[Language], Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Return the languages that each of their words, letters or endings speaks for."""
    found: dict[str, tuple[str, ...]] = {}
    for one in TOLD:
        found |= {word: (*found.get(word, ()), one.code) for word in words(one)}
    return found


_LETTERS = _speakers(lambda one: one.letters)  # a word counts once
_ENDINGS = _speakers(lambda one: sorted(one.endings.split(), key=len))
_ELIDED = _speakers(lambda one: one.elided.split())  # "d'un" is French or Italian
_NEWS = _speakers(lambda one: one.telling.casefold().split())
_OF_AN_ENDING = 0.6
_OF_A_NAME = 0.5  # a letter of a name such as Müller, which every language keeps
_LONGER_THAN_A_NAME = 9
_SHORTEST = 6  # letters of a word whose ending counts


def language_of_query(text: str) -> str:
    """Return the ISO 639-1 code of one of LANGUAGES, or of the commonest one in the query's script;
    "" if the words do not tell.
    """
    return _told(text, (_LEAST, _LEAD), (0.0, 1.0))


def told_language(*texts: str) -> str:
    """Return the language of texts of several sentences, as of a query; "" unless it is plain."""
    text = " ".join(filter(None, texts))[:_CHARACTERS]
    return _told(text, (_PLAIN, _PLAIN_LEAD), (_PLAIN, _PLAIN_LEAD))


def _told(text: str, another: Bar, english: Bar) -> str:
    """Return the language of a text; "" if no language passes its threshold."""
    if (script := script_of(text)) != LATIN:
        return FIRST_OF.get(script, "")
    own, best, others = _weighed(text)
    if others >= another[0] and others > another[1] * own:
        return best
    return "en" if own >= english[0] and own > english[1] * others else ""


def _weighed(text: str) -> tuple[float, str, float]:
    """Return the evidence for English, the likeliest of the other languages, and the evidence for
    that one.
    """
    evidence: dict[str, float] = dict.fromkeys(LANGUAGES, 0.0)
    if "¿" in text or "¡" in text:
        evidence["es"] += 1
    for groups in filter(None, map(_told_by, _WORD.findall(text))):
        for codes, weight in groups:
            for code in codes:
                evidence[code] += weight / len(codes)
    english = evidence.pop("en", 0.0)
    best, others = max(evidence.items(), key=lambda found: found[1])
    return english, best, others


@lru_cache(maxsize=16_384)
def _told_by(word: str) -> tuple[tuple[tuple[str, ...], float], ...]:
    """Return groups of languages that a word suggests, each with the weight of its evidence."""
    return tuple(found for found in _suggested(word) if found[0])


def _suggested(word: str) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield such groups; some are empty."""
    lower = word.casefold()
    if lower[-1] in "'’":
        yield _ELIDED.get(lower[:-1], ()), 1.0
        return
    news = _NEWS.get(lower, ())
    yield news, 1.0
    if len(lower) > 1:  # "war" is a word of the news in English, and a stop word in German
        yield tuple(code for code in _with_stop_word(lower) if code not in news), 1.0
    letters = {_LETTERS[letter] for letter in word.lower() if letter in _LETTERS}  # "ß" as it is
    if letters:
        name = word[0].isupper() and len(word) < _LONGER_THAN_A_NAME
        yield min(sorted(letters), key=len), _OF_A_NAME if name else 1.0
    if len(lower) >= _SHORTEST:
        ending = next((end for end in _ENDINGS if lower.endswith(end)), "")
        if ending:
            yield _ENDINGS[ending], _OF_AN_ENDING


def _with_stop_word(word: str) -> tuple[str, ...]:
    """Return the languages of which a word is a stop word."""
    return tuple(code for code in _BY_STOP_WORDS if is_stop_word(word, (code,)))
