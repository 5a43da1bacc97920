"""The examples of docs/formats.md become what the page says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from indexing.formats import mapping
from indexing.formats.advice import _BY_ENDING, how_to_convert
from indexing.sources import _KINDS, _PLAIN, _TABLES, Accepted, Sources

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text("utf-8")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
_BLOCK = re.compile(r"```(xml|csv|jsonl|text|toml|json)\n(.*?)```", re.DOTALL)
_ENDINGS = {"xml": ".xml", "csv": ".csv", "jsonl": ".jsonl", "text": ".txt"}


def examples() -> list[tuple[str, str, str, str]]:
    """(language, input, mapping, ninjs) of each section that shows what becomes what."""
    found = []
    for section in PAGE.split("\n## "):
        blocks = dict(_BLOCK.findall(section))
        for language in _ENDINGS.keys() & blocks.keys():
            found.append((language, blocks[language], blocks.get("toml", ""), blocks["json"]))
    return found


@pytest.mark.parametrize(("language", "given", "told", "becomes"), examples())
def test_an_example_becomes_what_the_page_says(
    tmp_path: Path, language: str, given: str, told: str, becomes: str
) -> None:
    path = tmp_path / f"example{_ENDINGS[language]}"
    path.write_text(given)
    rows = mapping.parse(told) if told else None
    [found] = Sources([path], lambda: NOW, mapping=rows)
    assert isinstance(found, Accepted), found
    assert found.item.source == orjson.loads(becomes)
    assert found.warnings == ()


def test_each_format_has_an_example() -> None:
    assert sorted(language for language, *_ in examples()) == [
        "csv",
        "jsonl",
        "text",
        "xml",
        "xml",
        "xml",
    ]


def test_the_page_names_every_ending_and_every_option() -> None:
    for ending in (*_KINDS, *_TABLES, *_PLAIN):
        assert f"`{ending}`" in PAGE
    options = {*mapping.Column.model_fields, *mapping.Csv.model_fields, "constants", "ignore"}
    for option in options - {"member"}:
        assert re.search(rf"`\[?{option}\b", PAGE), option


def test_each_kind_has_one_way_to_be_converted() -> None:
    endings = [ending for endings in _BY_ENDING.values() for ending in endings.split()]
    assert len(endings) == len(set(endings))
    assert all(how_to_convert(ending) for ending in (*endings, ".unknown"))
    assert how_to_convert("hidden") == ""
