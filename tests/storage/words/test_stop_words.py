"""The stop words that languages declare, and those of the stemmers."""

from __future__ import annotations

import pytest

from core.languages import LANGUAGES
from storage.words.stop_words import is_stop_word


@pytest.mark.parametrize(
    ("language", "stops", "telling"),
    [
        ("en", "the who what where of", "ferry minister"),
        ("es", "cómo como dónde cuál quién según tras hacia puede", "barco ministro guerra mañana"),
        ("fr", "où comment pourquoi quand combien chez depuis selon est", "bateau grève ministre"),
        ("de", "wer wann warum wem beim seit dass wurde fuer", "fähre wahl minister hochwasser"),
        ("it", "il della", "traghetto"),
    ],
)
def test_words_that_do_not_rank(language: str, stops: str, telling: str) -> None:
    assert [word for word in stops.split() if not is_stop_word(word, (language,))] == []
    assert [word for word in telling.split() if is_stop_word(word, (language,))] == []


def test_a_region_has_the_words_of_its_language() -> None:
    assert is_stop_word("dónde", ("es-MX",))
    assert not is_stop_word("dónde", ("es-MX", "en"))
    assert not is_stop_word("dónde", ())


def test_every_declared_language_has_stop_words_a_stemmer_dates_and_kinds() -> None:
    for code in ("en", "es", "fr", "de"):
        one = LANGUAGES[code]
        assert one.stemmer
        assert one.stop_words
        assert one.dates is not None
        assert one.kinds is not None
        assert len(one.dates.months) == 12
        assert len(one.dates.weekdays) == 7
