"""Words that are found in media."""

from __future__ import annotations

import pytest

from core.media_words import lines_of, words_of_file


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/in/HarbourBridge_2026-03-01.final.jpg", "Harbour Bridge 2026 03 01 final"),
        ("s3://bucket/a b/AFP-%C3%9Cberschwemmung Ko\u0308ln.TIFF", "AFP Überschwemmung Köln"),
        ("IMG2041.JPG", "IMG 2041"),
        ("https://x.example/элефантБелый.png", "элефант Белый"),
        ("___.jpg", ""),
        ("", ""),
    ],
)
def test_words_of_a_files_name(location: str, words: str) -> None:
    assert words_of_file(location) == words


def test_each_text_is_one_line_of_its_own_length() -> None:
    texts = ["a\nb", "", "c\r\nd"]
    assert lines_of(texts).split("\n") == ["a b", "", "c  d"]
