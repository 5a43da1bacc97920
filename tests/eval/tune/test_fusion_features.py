"""What is weighed apart from the pipeline comes out as the pipeline serves it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import search.ranking
from core.entities import Entity, EntityLabel
from core.errors import ModelError
from core.items import Concept, FloatMatrix
from eval.sets.datasets import Conventions, Doubts, JudgedSet
from eval.tune.fusion.features import (
    PATIENCE_MS,
    SetFeatures,
    every_top,
    gather,
    served_orders,
)
from eval.tune.fusion.files import FeatureFile
from eval.tune.fusion.settings import FusionSetting
from rerank.deadline import DeadlineReranker
from search.pipeline import SearchPipeline
from search.profiles import Profile, standard_profiles
from tests.conftest import new_folder
from tests.search.room import READER, FailingEncoder, Room, story, uris

QUERIES = {
    "words": "ferry harbour storm",
    "name": "varland ferry",
    "phrase": '"ferry service" harbour',
    "facts": "type:text",
    "nothing": "zebra",
    "refused": "colour:red",  # no field has this name
}
WORDS = "ferry harbour storm service rates bank islands coal trains visit varland port".split()  # noqa: SIM905


class Length:
    """A scorer that likes short passages."""

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        return np.array([[-len(passage)] for passage in passages], np.float32)


class Varland:
    """A tagger that knows one name."""

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        return tuple(
            (Entity("varland", EntityLabel.LOC, 0, 7, 0.9),) if text.startswith("varland") else ()
            for text in texts
        )


@pytest.fixture(scope="module")
def filled() -> Iterator[Room]:
    """Sixty stories of random words; some are of one chain, some are about Varland."""
    folder = new_folder()
    room, stories = Room(folder), []
    chance = np.random.default_rng(7)
    for number in range(60):
        body = " ".join(chance.choice(WORDS, int(chance.integers(4, 30))))
        place = (Concept("Varland"),) if number % 7 == 0 else ()
        chain = f"s{number - number % 3}" if number < 15 else f"s{number}"
        stories.append(story(f"s{number}", f"Story {number}", body=body, place=place, chain=chain))
    room.put(*stories)
    yield room
    room.engine.close()
    shutil.rmtree(folder)


def judged(queries: Mapping[str, str] = QUERIES) -> JudgedSet:
    return JudgedSet(
        name="room",
        split="test",
        corpus=Path("none"),
        documents=60,
        queries=dict(queries),
        qrels={query: {"s1": 1} for query in queries},
        uri_prefix="",
        conventions=Conventions(),
        doubts=Doubts(),
    )


def pipeline(room: Room, **changes: Any) -> SearchPipeline:
    return room.build(tagger=Varland(), reranker=DeadlineReranker(Length()), **changes)


def profile(name: str, **changes: Any) -> Profile:
    return replace(standard_profiles(("text",))[name], **changes)


def gathered(room: Room, one: Profile, settings: Sequence[FusionSetting]) -> SetFeatures:
    return gather(
        pipeline(room, entity_boost=one.entity_boost),
        room.engine,
        judged(),
        READER,
        one.name,
        to_rerank=every_top(one, settings),
    )


def orders(features: SetFeatures, one: Profile, setting: FusionSetting) -> dict[str, list[str]]:
    found = {}
    for query in features.queries:
        order = served_orders(query, setting.applied(one), [setting])[0]
        found[query.query_id] = [features.names[place] for place in query.documents[order]]
    return found


def served(room: Room, one: Profile, name: str = "") -> dict[str, list[str]]:
    """What the pipeline answers where every profile ranks as `one` does."""
    ranks = ("lexical_weight", "vector_weights", "fusion", "entity_boost", "rerank_depth")
    changes = {member: getattr(one, member) for member in (*ranks, "rerank_weight")}
    asked = pipeline(room, **changes)
    return {
        query: uris(
            room.ask(
                text,
                pipeline=asked,
                profile=name or one.name,
                page_size=200,
                deadline_ms=PATIENCE_MS,
            )
        )
        for query, text in QUERIES.items()
        if query != "refused"
    }


@pytest.mark.parametrize("name", ["hybrid", "hybrid-rrf", "hybrid-rerank"])
def test_the_shipped_setting_gives_the_served_order(filled: Room, name: str) -> None:
    one = profile(name, entity_boost=0.1)
    setting = FusionSetting.of(one)
    found = orders(gathered(filled, one, [setting]), one, setting)
    assert found.pop("refused") == []
    assert found == served(filled, one)
    assert len(found["words"]) == 50  # ten of sixty stand behind another of their chain
    assert found["facts"]


@pytest.mark.parametrize(
    "changes",
    [
        {"lexical_weight": 0.8},
        {"fusion": "list", "lexical_weight": 0.3},
        {"fusion": "rrf", "entity_boost": 0.4},
        {"rerank_depth": 5, "rerank_weight": 0.6, "lexical_weight": 0.2},
        {"rerank_depth": 40, "rerank_weight": 0.2, "entity_boost": 0.0},
    ],
)
def test_another_setting_gives_the_order_that_it_would_serve(
    filled: Room, changes: Mapping[str, Any]
) -> None:
    one = profile("hybrid-rerank", entity_boost=0.1)
    setting = replace(FusionSetting.of(one), **changes)
    features = gathered(filled, one, [FusionSetting.of(one), setting])
    found = orders(features, one, setting)
    del found["refused"]
    assert found == served(filled, setting.applied(one))
    assert found != orders(features, one, FusionSetting.of(one))


def test_the_bound_s_share_is_that_of_the_fusion(
    filled: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = profile("hybrid")
    setting = replace(FusionSetting.of(one), bound_share=0.9)
    found = orders(gathered(filled, one, [setting]), one, setting)
    monkeypatch.setattr(search.ranking, "BOUND_SHARE", 0.9)
    del found["refused"]
    assert found == served(filled, one)


def test_a_degraded_answer_is_not_gathered(filled: Room) -> None:
    asked = filled.build(encoders={"text": FailingEncoder()})
    with pytest.raises(ModelError, match="degraded"):
        gather(asked, filled.engine, judged(), READER, "hybrid")


def test_features_are_kept_on_disk_as_they_are(filled: Room, tmp_path: Path) -> None:
    one = profile("hybrid-rerank", entity_boost=0.1)
    setting = FusionSetting.of(one)
    features = gathered(filled, one, [setting])
    file = FeatureFile(tmp_path / "kept", {"index": "abc"})
    assert file.read() is None
    file.write(features)
    again = file.read()
    assert again is not None
    assert (again.label, again.names) == (features.label, features.names)
    for before, after in zip(features.queries, again.queries, strict=True):
        assert before.query_id == after.query_id
        assert (before.given is None) == (after.given is None)
        if before.given and after.given:
            np.testing.assert_array_equal(before.given.found.bm25, after.given.found.bm25)
            assert (before.given.names is None) == (after.given.names is None)
    assert orders(again, one, setting) == orders(features, one, setting)
    other = FeatureFile(tmp_path / "kept", {"index": "abd"})
    assert other.path != file.path
    assert other.read() is None
    file.path.write_bytes(file.path.read_bytes()[:1000])
    assert file.read() is None
