"""The tables of docs/query-language.md mean what they say, and docs/ranking.md's numbers add up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest

from core.query_tree import Bool, DateRange, Node
from rerank.deadline import mix, mixing_of
from search.understanding.dates import calendar_of
from search.understanding.understand import Meaning, Understanding
from tests.demo_service import ROOT

pytestmark = pytest.mark.service

QUERIES = (ROOT / "docs" / "query-language.md").read_text("utf-8")
RANKING = (ROOT / "docs" / "ranking.md").read_text("utf-8")
NOW = datetime(2026, 3, 18, 10, tzinfo=UTC)


def rows(page: str, head: str) -> list[tuple[str, ...]]:
    """The cells of the table whose first line is `head`, without backticks."""
    _, found, table = page.partition(f"\n{head}\n")
    assert found, f"there is no table {head}"
    lines = table.split("\n\n")[0].splitlines()[1:]
    return [tuple(cell.strip().strip("`") for cell in line.split("|")[1:-1]) for line in lines]


def understood(query: str, tz: str = "", locale: str = "") -> Meaning:
    return Understanding(None).understand(query, calendar=calendar_of(NOW, tz, locale))


@pytest.mark.parametrize(
    ("what", "query", "words", "embedded", "note"),
    rows(QUERIES, "| what it is | you write | words | what is embedded | noted |"),
)
def test_an_operator_by_accident(
    what: str, query: str, words: str, embedded: str, note: str
) -> None:
    said = understood(query).said
    assert said.lexical == words, what
    assert " ".join(said.vector_text.split()) == embedded
    assert note in " ".join(said.notes)
    assert bool(said.notes) == bool(note)


_ZONES = "| asked in | `tz` | `locale` | you write | from | up to, not with | the other reading |"


@pytest.mark.parametrize(
    ("asked_in", "tz", "locale", "query", "since", "until", "other"), rows(QUERIES, _ZONES)
)
def test_a_date_in_its_readers_zone(
    asked_in: str, tz: str, locale: str, query: str, since: str, until: str, other: str
) -> None:
    meaning = understood(query, tz, locale)
    (span,) = spans(meaning.filters)
    assert (shown(span.since), shown(span.until)) == (since, until), asked_in
    assert [date.other for date in meaning.said.dates if date.other] == ([other] if other else [])


def spans(node: Node) -> list[DateRange]:
    if isinstance(node, DateRange):
        return [node]
    return [span for child in node.must for span in spans(child)] if isinstance(node, Bool) else []


def shown(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def answered(service: str, key: str = "demo-reader", **params: str) -> Any:
    answer = httpx.get(
        f"{service}/content/search", params=params, headers={"x-api-key": key}, timeout=240
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@pytest.mark.parametrize(
    ("what", "query", "text", "canonical", "field", "match"),
    rows(QUERIES, "| the name is | you write | found | `canonical` | `field` | `match` |"),
)
def test_a_name(
    service: str, what: str, query: str, text: str, canonical: str, field: str, match: str
) -> None:
    (found,) = answered(service, q=query)["understood"]["entities"]
    told = [found[name] for name in ("text", "canonical", "field", "match")]
    assert told == [text, canonical, field, match], what


@pytest.mark.parametrize(
    ("what", "query", "language", "note"),
    rows(QUERIES, "| the query is | you write | `language` | noted |"),
)
def test_a_language(service: str, what: str, query: str, language: str, note: str) -> None:
    params = {"q": query} | ({"language": language} if language else {})
    notes = answered(service, **params)["understood"]["notes"]
    assert note in " ".join(notes), what
    assert bool(notes) == bool(note)


@pytest.mark.parametrize(
    ("what", "query", "suggested"), rows(QUERIES, "| what happened | you write | suggested |")
)
def test_a_spelling(service: str, what: str, query: str, suggested: str) -> None:
    assert answered(service, q=query)["suggestion"] == suggested, what


# --- docs/ranking.md

STAGES = rows(RANKING, "| stage | rank | its own score | on 0 to 1 | weight | gives |")


def numbers(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d*\.?\d+", text)]


def stage(name: str) -> list[float]:
    """The numbers of a line of the worked example."""
    (line,) = [row for row in STAGES if row[0] == name]
    return [number for cell in line[1:] for number in numbers(cell)]


def test_the_worked_example_adds_up() -> None:
    gives = []
    for name in ("BM25", "vectors", "names"):
        share, weight, given = stage(name)[-3:]
        assert share * weight == pytest.approx(given, abs=6e-4)
        gives.append(given)
    fused = stage("fused")[-1]
    assert sum(gives) == pytest.approx(fused, abs=1.6e-3)  # three roundings and one
    assert fused * stage("recency")[-1] == pytest.approx(stage("score")[-1], abs=1e-3)


def test_the_worked_example_is_what_the_demo_answers(service: str) -> None:
    asked = {"q": "ferry in kalymira", "profile": "breaking", "explain": "true"}
    data = answered(service, key="demo-ingest", **asked)
    best, told = (data["items"][at]["meta"]["explanation"] for at in (0, 1))
    rank, bm25, share, weight, _ = stage("BM25")
    lexical = told["lexical"]
    assert [lexical["rank"], lexical["weight"]] == [rank, pytest.approx(weight, abs=1e-3)]
    # Other examples may have added stories to this service, which moves BM25 a little.
    assert lexical["bm25"] == pytest.approx(bm25, rel=0.03)
    assert lexical["normalized"] == pytest.approx(share, abs=0.03)
    assert share == pytest.approx(bm25 / best["lexical"]["bm25"], abs=0.01)
    rank, cosine, share, weight, _ = stage("vectors")
    (vector,) = told["vectors"]
    assert [vector["rank"], vector["weight"]] == [rank, pytest.approx(weight, abs=1e-3)]
    assert [vector["cosine"], vector["normalized"]] == pytest.approx([cosine, share], abs=0.03)
    share, weight, _ = stage("names")
    assert told["names"] == {"share": share, "weight": pytest.approx(weight, abs=1e-3)}
    rank, fused = stage("fused")
    assert told["fused"] == {"rank": rank, "score": pytest.approx(fused, abs=0.03)}
    assert data["items"][1]["meta"]["score"] == pytest.approx(
        told["fused"]["score"] * told["recency"], abs=1e-5
    )


def test_the_mix_is_as_it_is_worked_out() -> None:
    table = rows(RANKING, "| story | fused | on 0 to 1 | reranker | on 0 to 1 | score |")
    cells = np.array([[float(cell) for cell in row[1:]] for row in table], np.float32)
    fused, unit, reranked, rerank_unit, score = cells.T
    mixing = mixing_of(fused, reranked, 0.5)
    assert mixing is not None
    pairs: Sequence[tuple[float, float]] = [
        mixing.shares(float(one), float(other)) for one, other in zip(fused, reranked, strict=True)
    ]
    assert np.array(pairs) == pytest.approx(np.stack([unit, rerank_unit], axis=1), abs=1e-3)
    assert mix(fused, reranked, 0.5) == pytest.approx(score, abs=1e-3)


def test_totals_are_what_the_page_says(service: str) -> None:
    for _, query, profile, relation in rows(
        RANKING, "| when | you write | `profile` | `total_relation` |"
    ):
        data = answered(service, q=query, profile=profile)
        assert data["total_relation"] == relation, query


def test_what_is_missing_is_told_as_the_page_says(service: str) -> None:
    for query, uri, named in rows(RANKING, "| query | `why_missing` | `stage` |"):
        assert answered(service, q=query, why_missing=uri)["missing"]["stage"] == named, uri
