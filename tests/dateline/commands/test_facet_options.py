"""Facets from the shell: open ones, by week, with broader topics; and what was read in a query."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import new_folder
from tests.dateline.conftest import Cli, write_lines

PLAIN = ("--profile", "lexical")
FOOTBALL = [{"name": "football", "code": "medtop:20001065"}]
ROWING = [{"name": "rowing", "code": "medtop:20000998"}]


@pytest.fixture(scope="module")
def sports() -> Iterator[Cli]:
    """Five stories of three weeks, two places and two subjects."""
    folder = new_folder()
    cli = Cli(folder / "archive")
    documents = [
        {
            "uri": f"urn:{number}",
            "headline": "Cup final",
            "versioncreated": f"2024-03-{day:02}T12:00:00Z",
            "place": [{"name": place}],
            "subject": subject,
        }
        for number, (day, place, subject) in enumerate(
            [
                (4, "Oslo", FOOTBALL),
                (5, "Rome", FOOTBALL),
                (12, "Rome", ROWING),
                (13, "Rome", ROWING),
                (20, "Bern", []),
            ]
        )
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATELINE_TAGGER", "")
        patch.setenv("DATELINE_SECOND_ENCODER", "")
        path = write_lines(cli.data.parent / "in.jsonl", *documents)
        cli("ingest", path, "--products", "wire")
    yield cli
    shutil.rmtree(folder)


def facet(cli: Cli, name: str, *arguments: str) -> dict[str, int]:
    data = cli.json("search", *arguments, *PLAIN)["data"]
    return {one["value"]: one["count"] for one in data["facets"][name]}


def test_an_open_facet(sports: Cli) -> None:
    chosen = ("cup", "--place", "Oslo")
    assert facet(sports, "place", *chosen, "--facet", "place") == {"Oslo": 1}
    opened = facet(sports, "place", *chosen, "--open-facet", "place")
    assert opened == {"Rome": 3, "Oslo": 1, "Bern": 1}
    assert len(facet(sports, "place", *chosen, "--open-facet", "place", "--facet-limit", "2")) == 2
    assert (
        "place: Rome 3, Bern 1, Oslo 1" in sports("search", *chosen, "--open-facet", "place").stdout
    )


def test_one_date_is_taken_as_words(sports: Cli) -> None:
    query = ("cup final on 4 march 2024 since 2020", *PLAIN)
    assert sports.found(*query) == ["urn:0"]
    ignored = (*query, "--ignore", "on 4 March 2024")
    assert len(sports.found(*ignored)) == 5
    shown = sports("search", *ignored).stdout
    assert "on 4 march 2024: taken as words" in shown
    told = sports("understand", query[0], "--ignore", "on 4 march 2024").stdout
    assert "2024-03-05 00:00 UTC, ignored" in told
    assert "since 2020" in told


def test_a_kind_that_the_archive_lacks_is_said(sports: Cli) -> None:
    shown = sports("search", "photos of the cup final", *PLAIN).stdout
    assert "photos of: no picture with this, other kinds are shown" in shown
    kinds = sports.json("search", "photos of the cup final", *PLAIN)["data"]["understood"]["kinds"]
    assert [(one["types"], one["widened"]) for one in kinds] == [(["picture"], True)]
    assert "only picture" in sports("search", "photos of the opera", *PLAIN).stdout
