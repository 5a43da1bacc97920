"""The floor: what is strong, what has no floor, and what its file holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.callers import Caller
from core.errors import InputError
from core.query_tree import EVERYTHING, Bool, DateRange, Keyword, Node, Phrase, Word
from core.retrieval import Retrieval, Retrieved, SortOrder, VectorQuery, VectorScores
from search.answers import DateSpan, KindSpan, Understood
from search.floor import (
    FEATURES,
    SHIPPED,
    Floor,
    features,
    floor_json,
    has_floor,
    read_floor,
    shipped_floor,
)

CALLER = Caller("reader", frozenset({"demo"}))
TWO_WORDS = Bool(should=(Word("ferry"), Word("accident")))
DATES, PHOTOS = DateRange("versioncreated", None, None), Keyword("type", ("picture",))
OSLO = Keyword("place", ("Oslo",))
PLAIN = Understood("", "")
READ = replace(
    PLAIN,
    dates=(DateSpan("today", 0, 5, "", ""),),
    kinds=(KindSpan("photos of", 6, 15, ("picture",)),),
)
IGNORED = replace(READ, kinds=(replace(READ.kinds[0], ignored=True),))


def asked(query: Node, filters: Node = EVERYTHING, **more: object) -> Retrieval:
    return Retrieval(query, CALLER, filters, **more)  # type: ignore[arg-type]


def found(bm25: list[float], cosines: list[float], bound: float = 20.0) -> Retrieved:
    count = len(bm25)
    part = VectorScores(
        field="text",
        weight=0.5,
        cosines=np.array(cosines, np.float32),
        passages=np.zeros(count, np.int32),
        ranks=np.arange(1, count + 1, dtype=np.int32),
        background=0.1,
    )
    return Retrieved(
        np.arange(count), np.array(bm25, np.float32), np.zeros(count, np.int32), count, (part,),
        lexical_bound=bound, lexical_seen=bound,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "filters", "said", "floor"),
    [
        (asked(TWO_WORDS), EVERYTHING, PLAIN, True),
        (asked(Word("ferry")), EVERYTHING, PLAIN, True),
        (asked(TWO_WORDS, DATES), EVERYTHING, READ, True),
        (asked(TWO_WORDS, DATES), EVERYTHING, PLAIN, False),
        (asked(TWO_WORDS, DATES), DATES, READ, False),
        (asked(TWO_WORDS, Bool(must=(DATES, PHOTOS))), EVERYTHING, READ, True),
        (asked(TWO_WORDS, PHOTOS), EVERYTHING, READ, True),
        (asked(TWO_WORDS, PHOTOS), EVERYTHING, IGNORED, False),
        (asked(TWO_WORDS, Keyword("type", ("text",))), EVERYTHING, READ, False),
        (asked(TWO_WORDS, Bool(must_not=(PHOTOS,))), EVERYTHING, READ, False),
        (
            asked(TWO_WORDS, Bool(must=(PHOTOS, Keyword("place", ("Oslo",))))),
            EVERYTHING,
            READ,
            False,
        ),
        (asked(Phrase("ferry accident")), EVERYTHING, PLAIN, False),
        (asked(Bool(must=(Word("ferry"),))), EVERYTHING, PLAIN, False),
        (asked(Bool(must=(Phrase("a b"), Word("c")))), EVERYTHING, PLAIN, False),
        (asked(Bool(should=(Word("a"),), must_not=(Word("b"),))), EVERYTHING, PLAIN, False),
        (asked(Word("ferry", "headline")), EVERYTHING, PLAIN, False),
        (asked(TWO_WORDS, Keyword("type", ("text",))), EVERYTHING, PLAIN, False),
        (asked(TWO_WORDS, order=SortOrder.NEWEST), EVERYTHING, PLAIN, False),
        (asked(EVERYTHING), EVERYTHING, PLAIN, False),
        (asked(TWO_WORDS, lexical_depth=0), EVERYTHING, PLAIN, False),
    ],
)
def test_what_narrows_has_no_floor(
    request_: Retrieval, filters: Node, said: Understood, floor: bool
) -> None:
    assert has_floor(request_, filters, said) is floor


def test_another_encoder_has_no_floor() -> None:
    floor = Floor("digest", (0.0,) * len(FEATURES), 0.0, 0.5)
    queries = [
        VectorQuery(name, 0.5, lambda: np.zeros((1, 4), np.float32), digest)
        for name, digest in (("other", "else"), ("text", "digest"))
    ]
    assert floor.field_in(asked(TWO_WORDS, vectors=tuple(queries))) == "text"
    assert floor.field_in(asked(TWO_WORDS, vectors=tuple(queries[:1]))) == ""


def test_the_list_is_cut_behind_its_last_strong_hit() -> None:
    floor = Floor("", (0.0,) * len(FEATURES), 0.0, 0.5)
    assert floor.strong(np.array([0.9, 0.2, 0.5, 0.4], np.float32)) == 3
    assert floor.strong(np.array([0.4, 0.2], np.float32)) == 0
    assert floor.strong(np.zeros(0, np.float32)) == 0


def test_more_evidence_gives_a_higher_chance() -> None:
    tail = [0.15] * 20
    good = found([9.0] + [0.5] * 20, [0.7, *tail])
    poor = replace(found([float("nan")] * 21, [0.25, *tail]), lexical_seen=0.0)
    chances = [shipped_floor().chances(each, None, "text")[0] for each in (good, poor)]
    assert chances[0] > shipped_floor().least > chances[1]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.just(float("nan")), st.floats(0, 1e6)),
            st.one_of(st.just(float("nan")), st.floats(-1, 1)),
        ),
        max_size=12,
    ),
    st.floats(0, 1e6),
)
def test_chances_are_numbers_whatever_is_found(
    pairs: list[tuple[float, float]], bound: float
) -> None:
    given_ = found([one for one, _ in pairs], [two for _, two in pairs], bound)
    chances = shipped_floor().chances(given_, None, "text")
    assert chances.shape == (len(pairs),)
    assert ((chances >= 0) & (chances <= 1)).all()


def test_names_are_known_for_the_candidates_that_were_retrieved_only() -> None:
    given_ = found([1.0, 2.0, 3.0], [0.2, 0.3, 0.4])
    rows = features(given_, np.array([1.0, 0.5], np.float32), given_.vectors[0])
    assert rows[:, FEATURES.index("names")].tolist() == [1.0, 0.5, 0.0]


def test_words_that_no_item_has_lower_the_chance() -> None:
    tail = [0.15] * 20
    known = replace(found([9.0] + [0.5] * 20, [0.5, *tail]), lexical_seen=20.0)
    chances = [
        shipped_floor().chances(each, None, "text")[0]
        for each in (known, replace(known, lexical_seen=4.0))
    ]
    assert chances[0] > chances[1]


def test_a_file_from_before_a_feature_was_known_has_no_weight_for_it(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    tree = json.loads(SHIPPED.read_bytes())
    del tree["weights"]["seen"]
    path.write_text(json.dumps(tree))
    assert read_floor(path).weights[FEATURES.index("seen")] == 0.0


def test_a_floor_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    floor = Floor("digest", tuple(number / 4 for number in range(len(FEATURES))), -1.5, 0.25)
    path.write_bytes(floor_json(floor, ["one:test"]))
    assert read_floor(path) == floor


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"weights": {"share": 1.0}},
        {"weights": dict.fromkeys((*FEATURES, "colour"), 1.0)},
        {"least": "high"},
    ],
)
def test_another_file_is_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "floor.json"
    path.write_text(json.dumps(json.loads(SHIPPED.read_bytes()) | change))
    with pytest.raises(InputError):
        read_floor(path)
    with pytest.raises(InputError):
        read_floor(tmp_path / "none.json")
