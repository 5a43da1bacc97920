"""Tells the language of a query. A query is short, so only characteristic words, letters and
endings count.

Evidence is a word that is common in one language only, a letter or an ending. What languages share
counts little. Names count nothing: "Angela Merkel Berlin" is in no language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from core.languages import TOLD, Language
from core.ports.models import TextAnalysis

LANGUAGES = tuple(one.code for one in TOLD)
# Languages that are not written in Latin letters, the commonest of a script first. The script is
# the first word of a letter's Unicode name.
SCRIPTS = {
    "ru": "CYRILLIC",
    "bg": "CYRILLIC",
    "uk": "CYRILLIC",
    "ar": "ARABIC",
    "fa": "ARABIC",
    "ur": "ARABIC",
    "el": "GREEK",
    "he": "HEBREW",
    "hi": "DEVANAGARI",
    "zh": "CJK",
    "ja": "CJK",
    "ka": "GEORGIAN",
    "ko": "HANGUL",
    "th": "THAI",
}
_LATIN = "LATIN"
_JAPANESE = ("HIRAGANA", "KATAKANA", "CJK")
NAMES = {
    **{one.code: one.name for one in TOLD},
    **{code: f"{script.capitalize()} letters" for code, script in SCRIPTS.items()},
}
_OF_SCRIPT = {script: code for code, script in reversed(SCRIPTS.items())}  # its first language
Bar = tuple[float, float]  # the least evidence, and how many times that of the other side it is
_LEAST = 0.9  # evidence: about one word of this language alone
_LEAD = 1.3  # times the evidence for English
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
_NEWS = _speakers(lambda one: one.telling.split())
_OF_AN_ENDING = 0.6
_OF_A_NAME = 0.5  # a letter of a name such as Müller, which every language keeps
_LONGER_THAN_A_NAME = 9
_SHORTEST = 6  # letters of a word whose ending counts


def script_of(text: str) -> str:
    """Return the script of most letters, in capitals as Unicode names it; LATIN if there are
    none.
    """
    if text.isascii():
        return _LATIN
    scripts = [_script(letter) for letter in text if letter.isalpha()]
    return max(sorted(set(scripts)), key=scripts.count, default=_LATIN)


def _script(letter: str) -> str:
    name = unicodedata.name(letter, _LATIN).split()[0]
    return "CJK" if name in _JAPANESE else name


@dataclass(frozen=True, slots=True)
class QueryLanguages:
    """Tells the language of queries. `analysis` knows each language's stop words."""

    analysis: TextAnalysis

    def of(self, text: str) -> str:
        """Return the ISO 639-1 code of one of LANGUAGES, or of the commonest one in the query's
        script; "" if the words do not tell.
        """
        return self._told(text, (_LEAST, _LEAD), (0.0, 1.0))

    def of_text(self, text: str) -> str:
        """Return the language of a text of several sentences, as `of` gives it; "" unless it is
        plain.
        """
        return self._told(text, (_PLAIN, _PLAIN_LEAD), (_PLAIN, _PLAIN_LEAD))

    def _told(self, text: str, another: Bar, english: Bar) -> str:
        """Return the language of a text; "" if no language passes its threshold."""
        if (script := script_of(text)) != _LATIN:
            return _OF_SCRIPT.get(script, "")
        own, best, others = self._weighed(text)
        if others >= another[0] and others > another[1] * own:
            return best
        return "en" if own >= english[0] and own > english[1] * others else ""

    def _weighed(self, text: str) -> tuple[float, str, float]:
        """Return the evidence for English, the likeliest of the other languages, and the evidence
        for that one.
        """
        evidence: dict[str, float] = dict.fromkeys(LANGUAGES, 0.0)
        if "¿" in text or "¡" in text:
            evidence["es"] += 1
        for word in _WORD.findall(text):
            for codes, weight in self._told_by(word):
                for code in codes:
                    evidence[code] += weight / len(codes)
        english = evidence.pop("en", 0.0)
        best, others = max(evidence.items(), key=lambda found: found[1])
        return english, best, others

    def _told_by(self, word: str) -> Iterator[tuple[tuple[str, ...], float]]:
        """Yield the languages that a word speaks for, each group with its weight."""
        lower = word.casefold()
        if lower[-1] in "'’":
            yield _ELIDED.get(lower[:-1], ()), 1.0
            return
        if lower in _NEWS:
            yield _NEWS[lower], 1.0
        elif len(lower) > 1 and (stops := self._with_stop_word(lower)):
            yield stops, 1.0
        if letters := {_LETTERS[letter] for letter in lower if letter in _LETTERS}:
            name = word[0].isupper() and len(word) < _LONGER_THAN_A_NAME
            yield min(sorted(letters), key=len), _OF_A_NAME if name else 1.0
        if len(lower) >= _SHORTEST:
            ending = next((end for end in _ENDINGS if lower.endswith(end)), "")
            if ending:
                yield _ENDINGS[ending], _OF_AN_ENDING

    def _with_stop_word(self, word: str) -> tuple[str, ...]:
        """Return the languages of which a word is a stop word."""
        return tuple(code for code in LANGUAGES if self.analysis.is_stop_word(word, code))
