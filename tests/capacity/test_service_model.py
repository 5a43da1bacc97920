"""From measured searches to stations and work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capacity.instances import End
from capacity.measurements import HTTP
from capacity.service_model import (
    Elsewhere,
    ServiceModel,
    constant,
    growing,
    high_end,
    on_measured,
    stages_of,
)
from capacity.simulator import poisson
from tests.capacity.made_measurements import MACHINE, MEASURED

HOST = on_measured(MACHINE, 2)
HYBRID = MEASURED.of_profile("hybrid")
MODEL = ServiceModel(MACHINE, HYBRID)
SIZE = 100_000


def seconds_apart(size: int) -> np.ndarray:
    return np.arange(size) * 10_000.0


def test_a_search_alone_takes_what_was_measured() -> None:
    """The client's own share is left out, as it is not on the service's machine."""
    found = MODEL.play(HOST, SIZE, seconds_apart(300), load_ms=HYBRID[-1].load_ms)
    stages = stages_of(HYBRID[-1])
    measured = sum(stages.values(), np.zeros(60))
    assert found.milliseconds.mean() == pytest.approx(measured.mean(), rel=0.05)
    apart = MODEL.play(HOST, SIZE, seconds_apart(300))
    less = found.milliseconds.mean() - apart.milliseconds.mean()
    assert less == pytest.approx(HYBRID[-1].load_ms, rel=0.1)


def test_what_overlaps_inside_of_retrieval_counts_once() -> None:
    stages = stages_of(HYBRID[-1])
    inner = sum(stages[name] for name in ("encode", "lexical", "vectors", "rest of retrieve"))
    assert inner == pytest.approx(HYBRID[-1].of("retrieve"))
    assert HTTP in stages
    assert "retrieve" not in stages


def test_stages_grow_by_their_laws_only() -> None:
    laws = growing(HYBRID)
    assert laws.times("lexical", SIZE) == pytest.approx(1)
    assert laws.times("page", 1e8) == 1
    assert laws.times("lexical", 1e6) > laws.times("vectors", 1e6) > 1


def test_words_take_a_dated_time_among_a_million_if_no_archive_is_as_large() -> None:
    means = [float(each.of("lexical").mean()) for each in HYBRID]
    high = constant("words_million_ms").high
    found = growing(HYBRID).laws["lexical"].at(1e6)
    assert found == pytest.approx(high, rel=0.1)
    slow = [
        replace(each, rows=tuple(tuple(20 * ms for ms in r) for r in each.rows)) for each in HYBRID
    ]
    assert growing(slow).laws["lexical"].at(1e6) > 2 * high
    assert max(means) < high


def test_beyond_a_million_rows_there_are_several_graphs() -> None:
    laws = growing(HYBRID)
    assert laws.times("vectors", 4e6) == pytest.approx(4 * laws.times("vectors", 1e6))


def test_one_size_shows_no_growth() -> None:
    assert growing(HYBRID[:1]).times("lexical", 1e9) == 1


def test_more_load_is_never_faster() -> None:
    means = [MODEL.play(HOST, SIZE, poisson(rate, 1500, 3)).at(95) for rate in (5.0, 40.0, 80.0)]
    assert means == sorted(means)


def test_a_shorter_deadline_answers_sooner_and_cuts_more() -> None:
    searches = MEASURED.of_profile("hybrid-rerank")
    arrivals = poisson(10.0, 800, 3)
    plays = [
        ServiceModel(MACHINE, searches, deadline=ms).play(HOST, SIZE, arrivals) for ms in (60, 250)
    ]
    assert plays[0].at(95) < plays[1].at(95)
    assert plays[0].cut > plays[1].cut


def test_each_call_of_a_model_elsewhere_waits_and_takes_work_of_both_sides() -> None:
    """A search asks two models."""
    speed = dict.fromkeys(("int8", "memory", "python"), 1.0)
    near, far = (Elsewhere("models", (1.0,), speed, ms) for ms in (0.0, 5.0))
    at_once, later = (
        MODEL.play(HOST, SIZE, seconds_apart(200), remote=remote).milliseconds.mean()
        for remote in (near, far)
    )
    assert later == pytest.approx(at_once + 10)
    both = MODEL.mean_work(HOST, SIZE, remote=far) + MODEL.model_work(HOST, SIZE, far)
    calls = 2 * 2 * constant("call_work_ms").at(high_end(HOST.end))
    assert both == pytest.approx(MODEL.mean_work(HOST, SIZE) + calls)


def test_what_a_deadline_leaves_behind_takes_time_of_others() -> None:
    searches = MEASURED.of_profile("hybrid-rerank")
    arrivals = poisson(25.0, 1500, 3)
    means = [
        ServiceModel(MACHINE, searches, deadline=40.0, batch_ms=ms)
        .play(HOST, SIZE, arrivals)
        .milliseconds.mean()
        for ms in (0.0, 30.0)
    ]
    assert means[0] < means[1]


def test_filtered_searches_are_drawn_and_grow_as_others_do() -> None:
    slow = replace(HYBRID[-1], rows=tuple(tuple(2 * ms for ms in row) for row in HYBRID[-1].rows))
    model = ServiceModel(MACHINE, HYBRID, drawn=replace(slow, filter="date", allowed=0.1))
    assert model.growing == MODEL.growing
    assert model.mean_work(HOST, SIZE) > 1.8 * MODEL.mean_work(HOST, SIZE)


def test_a_full_queue_refuses() -> None:
    flood = poisson(2000.0, 800, 3)
    assert MODEL.play(HOST, SIZE, flood, waiting=4).refused > 0.5
    assert MODEL.play(HOST, SIZE, flood, waiting=4000).refused == 0


def test_lists_grow_with_the_archive_whatever_the_graphs_took() -> None:
    model = ServiceModel(MACHINE, HYBRID, lists=True)
    few, many = (model.scaled(n)["vectors"] for n in (2e6, 6e6))
    assert many == pytest.approx(3 * few)
    assert few.mean() == pytest.approx(2 * constant("lists_ms").high)


def test_a_reranking_uses_threads_that_it_did_not_have_up_to_a_limit() -> None:
    slow, fast = (MODEL.score_width(8, end) for end in (End.SLOW, End.FAST))
    assert MODEL.score_width(2, End.SLOW) == MODEL.width < slow < fast < 8
    assert MODEL.score_width(64, End.SLOW) == slow


def test_nodes_work_at_once_on_their_own_machines() -> None:
    speed = dict.fromkeys(("int8", "memory", "python"), 1.0)
    plays = [
        MODEL.play(
            HOST,
            SIZE,
            seconds_apart(200),
            nodes=Elsewhere("nodes", (1.0, 2.0, 3.0, 4.0), speed, 0.0, work=80.0, width=width),
        )
        for width in (1.0, 4.0)
    ]
    less = plays[0].milliseconds.mean() - plays[1].milliseconds.mean()
    assert less == pytest.approx(60, rel=0.05)
