"""Runs with understanding off: what each request says, and that the result tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import pytest

from core.callers import Caller
from core.errors import QueryError
from dateline.measuring.evaluate import RunPlan
from dateline.measuring.run_sets import Changes, system_name
from eval.runs.answering import PipelineAnswers
from eval.runs.remote_search import ServiceAnswers
from eval.sets.datasets import read_judged_set
from search.answers import DateUse, EntityUse, SearchRequest, SearchResponse
from tests.eval.conftest import MakeFolder

NOTHING = Changes({}, {})
READER = Caller("reader", frozenset())


@dataclass
class Listening:
    """Refuses every search, and keeps what was asked."""

    heard: list[SearchRequest] = field(default_factory=list)

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        self.heard.append(request)
        raise QueryError("nothing is answered here")


@pytest.mark.parametrize("entities", list(EntityUse))
@pytest.mark.parametrize("dates", list(DateUse))
def test_the_pipeline_is_asked_as_the_plan_says(entities: EntityUse, dates: DateUse) -> None:
    listening = Listening()
    answering = PipelineAnswers(listening, "hybrid", READER, entities)
    assert answering.answer("opec in june", 10, dates).refused
    assert [(each.entities, each.dates) for each in listening.heard] == [(entities, dates)]


@pytest.mark.parametrize(
    ("entities", "dates", "sent"),
    [
        (EntityUse.BOOST, DateUse.FILTER, {}),  # an older service has no such parameters
        (EntityUse.OFF, DateUse.OFF, {"entities": "off", "dates": "off"}),
    ],
)
def test_a_service_is_asked_as_the_plan_says(
    entities: EntityUse, dates: DateUse, sent: dict[str, str]
) -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        data = {"items": [], "cursor": "", "degraded": [], "profile": "hybrid"}
        return httpx.Response(200, content=orjson.dumps({"data": data}))

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://it") as client:
        ServiceAnswers(client, entities=entities).answer("opec in june", 10, dates)
    (url,) = asked
    assert {name: url.params[name] for name in ("entities", "dates") if name in url.params} == sent


@pytest.mark.parametrize("dates", [None, *DateUse])
def test_the_plan_is_stronger_than_the_set(make_folder: MakeFolder, dates: DateUse | None) -> None:
    judged = read_judged_set(str(make_folder()))
    assert judged.dates is DateUse.OFF
    assert RunPlan("hybrid", dates=dates).asking(judged).dates is (dates or DateUse.OFF)


def test_what_was_asked_is_told() -> None:
    assert RunPlan("hybrid").requests == {}
    off = RunPlan("hybrid", dates=DateUse.OFF, entities=EntityUse.OFF)
    assert off.requests == {"request.dates": "off", "request.entities": "off"}
    assert system_name("hybrid", None, NOTHING) == "hybrid"
    named = system_name("hybrid", Path("a.toml"), NOTHING, DateUse.OFF, EntityUse.OFF)
    assert named == "hybrid@a,dates=off,entities=off"
