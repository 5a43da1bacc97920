from __future__ import annotations

from pathlib import Path

import pytest

from tests.dateline.conftest import Cli

NOW = ("--now", "2026-03-18T10:00")


def test_what_is_understood_is_shown_without_an_archive(cli: Cli) -> None:
    shown = cli("understand", 'type:picture "cold furnaces" since tuesday C++', *NOW).stdout
    assert [line.split(maxsplit=1) for line in shown.splitlines() if line.strip()] == [
        ["words", '(+"cold furnaces" C++)'],
        ["vectors", "cold furnaces C++"],
        ["filters", "(+type is picture +versioncreated in [2026-03-17T00:00:00+00:00, …))"],
        ["date", '"since tuesday" at 29 to 42: 2026-03-17 00:00 to … UTC'],
    ]
    assert not cli.data.exists()


def test_what_is_understood_for_machines(cli: Cli) -> None:
    query = "ferry 03/04/2024 what: now"
    told = cli.json("understand", query, *NOW, "--tz", "America/New_York", "--locale", "en-US")
    notes = told.pop("notes")
    assert told == {
        "query": query,
        "now": "2026-03-18T10:00:00-04:00",
        "tz": "America/New_York",
        "locale": "en-US",
        "vector_text": "ferry what now",
        "lexical": "(ferry (what now))",
        "filters": "versioncreated in [2024-03-04T05:00:00+00:00, 2024-03-05T05:00:00+00:00)",
        "language": "en",
        "kinds": [],
        "entities": [],
        "dates": [
            {
                "text": "03/04/2024",
                "start": 6,
                "end": 16,
                "since": "2024-03-04T05:00:00+00:00",
                "until": "2024-03-05T05:00:00+00:00",
                "other": "2024-04-03",
                "ignored": False,
            }
        ],
    }
    assert "month before day" in notes[0]
    assert "no field 'what'" in notes[1]


def test_names_are_recognised_and_the_archive_knows_some(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_TAGGER", "distilbert-ner-news")
    archive = Cli(filled)
    (name,) = archive.json("understand", "angela merkel resigns yesterday")["entities"]
    assert (name["text"], name["start"], name["end"]) == ("angela merkel", 0, 13)
    assert (name["canonical"], name["field"], name["use"]) == ("Angela Merkel", "person", "boost")
    told = archive.json("understand", "angela merkel", "--entities", "filter")
    assert told["filters"] == "person is Angela Merkel"
    assert "person Angela Merkel (exact), boost" in archive("understand", "Angela Merkel").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x", "--tz", "Mars/Olympus"), "no time zone"),
        (("x", "--locale", "klingon!"), "not a locale"),
        (("x", "--now", "noon"), "not a time"),
        (("date:2024-13",), "not a date"),
        (("x" * 5000,), "characters"),
    ],
)
def test_what_can_not_be_read_is_said(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    refused = cli("understand", *arguments, code=2)
    assert says in refused.stderr
    assert "mend" in refused.stderr


def test_a_search_takes_the_zone_of_its_caller(filled: Path) -> None:
    archive = Cli(filled)
    assert archive.json("search", "31 december 2023")["data"]["total_items"] == 1
    tokyo = archive.json("search", "31 december 2023", "--tz", "Asia/Tokyo")["data"]
    assert tokyo["total_items"] == 0
    assert tokyo["understood"]["dates"][0]["since"] == "2023-12-30T15:00:00+00:00"
