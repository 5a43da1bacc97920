"""`dateline search --explain` prints a table that adds up, within 80 columns."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from core.items import Item, ItemType
from dateline.shown.explained_table import days, explained
from search.answers import DateSpan, Explanation, Hit, RerankMix, VectorShare
from tests.dateline.conftest import Cli

WHEN = datetime(2026, 3, 15, 16, tzinfo=UTC)
ITEM = Item("urn:a", 1, ItemType.TEXT, WHEN, WHEN, "urn:a", headline="Ferry")
VECTORS = (
    VectorShare("text", 0.25, 2, 0.456, 0.688),
    VectorShare("second-encoder", 0.25, 0, None, 0.0),
)
MIXED = Explanation(2, 10.302, 0.695, 0.4, VECTORS, 0.512, 2, -3.25, 1, 1.0, 0.1, 0.5)


def printed(told: Explanation, score: float) -> list[list[str]]:
    """The cells of each line."""
    stream = io.StringIO()
    Console(file=stream, width=80).print(explained(Hit(ITEM, 1, score, explanation=told)))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


def test_every_stage_has_its_line() -> None:
    told = Explanation(
        **{name: getattr(MIXED, name) for name in MIXED.__slots__ if name != "mix"},
        mix=RerankMix(0.5, 0.1, 0.6, 0.9),
    )
    assert printed(told, 0.85) == [
        ["stage", "rank", "score", "on 0 to 1", "weight", "gives"],
        ["bm25", "2", "10.302", "0.695", "0.400", "+0.278"],
        ["vectors text", "2", "0.456", "0.688", "0.250", "+0.172"],
        ["vectors second-encoder", "–", "–", "0.000", "0.250", "+0.000"],
        ["names", "1.000", "0.100", "+0.100"],
        ["fused", "2", "0.512"],
        ["recency keeps", "× 0.500"],
        ["fused, among the reranked", "0.600", "0.500", "+0.300"],
        ["reranked", "1", "-3.250", "0.900", "0.500", "+0.450"],
        ["read in time", "+0.100"],
        ["score", "0.850"],
    ]


def test_what_plays_no_part_has_no_line() -> None:
    told = Explanation(1, 4.2, 1.0, 1.0, (), 1.0, 1)
    assert [line[0] for line in printed(told, 1.0)] == ["stage", "bm25", "fused", "score"]


BERLIN, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("since", "until", "zone", "shown"),
    [
        (
            "2024-02-29T23:00:00+00:00",
            "2024-03-31T22:00:00+00:00",
            BERLIN,
            "2024-03-01 to 2024-03-31",
        ),
        ("2024-03-04T23:00:00+00:00", "2024-03-05T23:00:00+00:00", BERLIN, "2024-03-05"),
        ("2024-03-04T23:00:00+00:00", "", BERLIN, "2024-03-05 to …"),
        ("", "2024-03-04T23:00:00+00:00", BERLIN, "… to 2024-03-04"),
        (
            "2024-03-04T17:00:00+00:00",
            "2024-03-05T05:00:00+00:00",
            BERLIN,
            "2024-03-04 18:00 to 2024-03-05 06:00",
        ),
        ("2024-03-04T15:00:00+00:00", "2024-03-05T15:00:00+00:00", TOKYO, "2024-03-05"),
    ],
)
def test_days_are_those_of_the_zone(since: str, until: str, zone: ZoneInfo, shown: str) -> None:
    assert days(DateSpan("then", 0, 4, since, until), zone) == shown


def test_the_command_says_dates_in_the_zone_and_the_other_reading(reading: Cli) -> None:
    said = reading(
        "search", "ferry since 03/04/2020", "--explain", "--tz", "Asia/Tokyo", "--locale", "en-US"
    ).stdout
    assert "since 03/04/2020: 2020-03-04 to … (Asia/Tokyo)" in said
    assert "the other reading: since 2020-04-03" in said
    assert "meaning: ferry" in said
    assert re.search(r"ms: understand [\d.]+", said)


def test_days_of_flags_are_those_of_the_zone(reading: Cli) -> None:
    """urn:ferry was written at a time that is another day in one zone than in the other."""
    (when,) = [
        hit["item"]["versioncreated"]
        for hit in reading.json("search", "ferry aground")["data"]["items"][:1]
    ]
    moment = datetime.fromisoformat(when)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        day = f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d}"
        found = reading.json(
            "search", "ferry aground", "--since", day, "--until", day, "--tz", zone
        )["data"]["items"]
        assert when in [hit["item"]["versioncreated"] for hit in found]
