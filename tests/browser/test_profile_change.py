"""A relevance engineer's day: fifty pairs are judged, two versions of a profile are compared by
them, and the new version goes into force by the gate and back out again.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from dateline.cli import app
from eval.judging.grades import Grades
from tests.browser.conftest import opened
from tests.browser.judging import RUN
from tests.conftest import new_folder
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines
from tests.demo_service import ROOT

pytestmark = [pytest.mark.deep, pytest.mark.browser]

DEMO = ROOT / "datasets/demo"
QUERIES, OTHERS = 6, 30
CHANGE = "lexical_weight=0.2"
FIRST, LEAST = 6, 50  # pairs that are judged before the first comparison, and before the second


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, str], int]:
    """The demo's grades by query and uri."""
    lines = (DEMO / "qrels/test.tsv").read_text("utf-8").splitlines()[1:]
    parts = [line.split("\t") for line in lines]
    return {(query, document): int(grade) for query, document, grade in parts}


@pytest.fixture
def folder(tmp_path: Path, known: dict[tuple[str, str], int]) -> Path:
    """A set to judge: some queries of the demo, and a part of its stories."""
    made = tmp_path / "mine"
    made.mkdir()
    queries = rows(DEMO / "queries.jsonl")[:QUERIES]
    asked = {query["_id"] for query in queries}
    wanted = {document for query, document in known if query in asked}
    stories = {row["uri"]: row for row in rows(DEMO / "stories.jsonl")}
    chosen = [*wanted, *[uri for uri in stories if uri not in wanted][:OTHERS]]
    write_lines(made / "queries.jsonl", *queries)
    write_lines(
        made / "corpus.jsonl",
        *(
            {
                "_id": uri,
                "title": said(stories[uri], "headlines"),
                "text": said(stories[uri], "bodies"),
            }
            for uri in chosen
        ),
    )
    return made


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line on an archive that is not there yet, with one encoder and no tagger."""
    monkeypatch.setenv("DATELINE_TAGGER", "")
    monkeypatch.setenv("DATELINE_SECOND_ENCODER", "")
    made = new_folder()
    yield Cli(made / "archive")
    shutil.rmtree(made)


def said(story: dict[str, Any], member: str) -> str:
    return next((one["value"] for one in story.get(member, [])), "")


@contextmanager
def judging(folder: Path, data: Path) -> Iterator[str]:
    """The address that the command prints."""
    flags = ("--judge", "ada", "--profiles", "lexical,hybrid", "--data", str(data))
    command = [sys.executable, "-P", "-c", RUN, "eval", "judge", str(folder), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(line.strip() for line in process.stdout if line.startswith("http://"))
        finally:
            process.terminate()


def evaluated(*arguments: str | Path) -> str:
    """What `dateline eval` prints, for commands without an archive."""
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


class Judge:
    """Grades what the page shows as the demo's judge did, by keys."""

    def __init__(self, page: Page, folder: Path, known: dict[tuple[str, str], int]) -> None:
        self._page, self._known = page, known
        self._query = {row["text"]: row["_id"] for row in rows(folder / "queries.jsonl")}
        self._document = {row["title"]: row["_id"] for row in rows(folder / "corpus.jsonl")}

    def grade(self, pairs: int) -> None:
        """Grade so many pairs more."""
        so_far = self._page.locator("#so-far")
        expect(so_far).to_contain_text("graded")
        done = int(so_far.inner_text().split()[0])
        for number in range(done, done + pairs):
            query = self._query[self._page.locator("#query").inner_text()]
            document = self._document[self._page.locator("#document h3").inner_text()]
            self._page.keyboard.press(str(self._known.get((query, document), 0)))
            expect(so_far).to_have_text(re.compile(rf"^{number + 1} of "))


def test_fifty_judged_pairs_change_what_two_versions_are_worth_and_one_goes_and_comes_back(
    browser: Browser, folder: Path, known: dict[tuple[str, str], int], cli: Cli, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("DATELINE_USE_LOG_ACCOUNTS", "*")

    def measured(name: str) -> float:
        """How much better the new version is, in nDCG@10 by the grades that are there."""
        for version, changes in (("old", ()), ("new", ("--set", f"profile.{CHANGE}"))):
            output = tmp_path / name / version
            cli("eval", "run", folder, "--profile", "hybrid", *changes, "--output", output)
        flags = ("--measure", "nDCG@10", "--no-slices", "--json")
        told = evaluated("compare", tmp_path / name / "old", tmp_path / name / "new", *flags)
        return float(json.loads(told)["outcomes"][0]["difference"])

    with judging(folder, cli.data) as address:
        for page in opened(browser, address.partition("#")[0], 1280, 900, "light"):
            page.goto(address)
            judge = Judge(page, folder, known)
            judge.grade(FIRST)
            first = measured("first")
            judge.grade(LEAST - FIRST)
            left = page.locator("#so-far").inner_text()
    assert int(left.split()[2]) > LEAST  # the judge goes before the end, and nothing is lost
    assert len(Grades(folder).all()) == LEAST
    assert measured("last") != first

    cli("ingest", write_lines(tmp_path / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    cli("experiment", "start", "weights", "--set", CHANGE)
    baseline = tmp_path / "baseline.json"
    evaluated("gate", tmp_path / "last/old", "--baseline", baseline, "--write")
    gate = ("--runs", tmp_path / "last/new", "--baseline", baseline, "--undecided")
    cli("experiment", "promote", "weights", *gate)
    assert cli.json("search", "ferry")["data"]["profile"] == "hybrid@1"
    cli("experiment", "rollback")
    assert cli.json("search", "ferry")["data"]["profile"] == "hybrid"
