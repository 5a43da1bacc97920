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
from core.retrieval import Floats, Retrieval, Retrieved, SortOrder, VectorScores
from search.answers import DateSpan, KindSpan, Understood
from search.floor import (
    SHIPPED,
    Floor,
    feature_names,
    features,
    floor_json,
    has_floor,
    read_floors,
    shipped_floors,
)

ONE, TWO = feature_names(1), feature_names(2)
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
    """Candidates whose second encoder gives the half of each cosine."""
    count = len(bm25)
    parts = tuple(
        VectorScores(
            field=name,
            weight=0.25,
            cosines=np.array(cosines, np.float32) * np.float32(scale),
            passages=np.zeros(count, np.int32),
            ranks=np.arange(1, count + 1, dtype=np.int32),
            background=background,
        )
        for name, scale, background in (("text", 1.0, 0.1), ("second", 0.5, 0.0))
    )
    return Retrieved(
        np.arange(count), np.array(bm25, np.float32), np.zeros(count, np.int32), count, parts,
        lexical_bound=bound, lexical_seen=bound,
    )  # fmt: skip


def chances(given: Retrieved, encoders: int, *, strange: bool = False) -> Floats:
    """The chances by the floor that ships for so many encoders."""
    floor = next(one for one in shipped_floors() if len(one.encoders) == encoders)
    rows = features(given, None, given.vectors[:encoders], 2, strange=strange)
    return floor.of_features(rows) - np.float32(floor.least)


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


def test_the_list_is_cut_behind_its_last_strong_hit() -> None:
    floor = Floor(("",), (0.0,) * len(ONE), 0.0, 0.5)
    assert floor.strong(np.array([0.9, 0.2, 0.5, 0.4], np.float32)) == 3
    assert floor.strong(np.array([0.4, 0.2], np.float32)) == 0
    assert floor.strong(np.zeros(0, np.float32)) == 0


@pytest.mark.parametrize("encoders", [1, 2])
def test_more_evidence_gives_a_higher_chance(encoders: int) -> None:
    tail = [0.15] * 20
    good = found([9.0] + [0.5] * 20, [0.7, *tail])
    poor = replace(found([float("nan")] * 21, [0.25, *tail]), lexical_seen=0.0)
    assert chances(good, encoders)[0] > 0 > chances(poor, encoders)[0]


@pytest.mark.parametrize("encoders", [1, 2])
def test_a_name_that_the_archive_does_not_know_lowers_the_chance(encoders: int) -> None:
    given_ = replace(found([2.0] + [0.5] * 20, [0.4] + [0.15] * 20), lexical_seen=5.0)
    known, strange = (chances(given_, encoders, strange=one)[0] for one in (False, True))
    assert known > strange


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
    for floor in shipped_floors():
        parts = given_.vectors[: len(floor.encoders)]
        rows = features(given_, None, parts, len(pairs), strange=True)
        told = floor.of_features(rows)
        assert told.shape == (len(pairs),)
        assert ((told >= 0) & (told <= 1)).all()


def test_names_are_known_for_the_candidates_that_were_retrieved_only() -> None:
    given_ = found([1.0, 2.0, 3.0], [0.2, 0.3, 0.4])
    shares = np.array([1.0, 0.5], np.float32)
    rows = features(given_, shares, given_.vectors, 1, strange=False)
    assert rows[:, TWO.index("names")].tolist() == [1.0, 0.5, 0.0]


def test_each_encoder_has_its_own_features() -> None:
    given_ = found([1.0, 2.0], [0.5, 0.3])
    rows = features(given_, None, given_.vectors, 1, strange=False)
    told = dict(zip(TWO, rows[0].tolist(), strict=False))
    assert told["above"] == pytest.approx(0.4)
    assert told["above 2"] == told["best above 2"] == pytest.approx(0.25)
    assert (told["background"], told["background 2"]) == (pytest.approx(0.1), 0.0)
    assert told["lead"] == pytest.approx(2.0)


def test_a_file_of_the_former_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    weights = {"share": 4.0, "above": 20.0, "near": 0.5, "names": 1.0, "length": -2.0}
    former = {"format": 1, "encoder": "digest", "least": 0.25, "bias": -3.0, "weights": weights}
    path.write_text(json.dumps(former))
    (floor,) = read_floors(path)
    assert (floor.encoders, floor.least) == (("digest",), 0.25)
    given_ = found([5.0] + [0.0] * 20, [0.5] + [0.2] * 20, bound=20.0)
    rows = features(given_, None, given_.vectors[:1], 3, strange=True, former=floor.is_former)
    score = 4.0 * 0.5 + 20.0 * 0.4 + 0.5 * 4.0 - 2.0 * np.log1p(20.0) / 5.0 - 3.0
    assert floor.of_features(rows)[0] == pytest.approx(1 / (1 + np.exp(-score)), rel=1e-4)
    written = tmp_path / "both.json"
    two = Floor(("digest", "other"), (0.5,) * len(TWO), -1.0, 0.5)
    written.write_bytes(floor_json(two, ["one:test"], path.read_bytes()))
    assert [one.encoders for one in read_floors(written)] == [("digest",), ("digest", "other")]
    assert read_floors(written)[0].of_features(rows)[0] == floor.of_features(rows)[0]


def test_a_floor_is_written_and_read_and_replaces_that_of_the_same_encoders(tmp_path: Path) -> None:
    path = tmp_path / "floor.json"
    first = Floor(("digest",), tuple(number / 4 for number in range(len(ONE))), -1.5, 0.25)
    path.write_bytes(floor_json(first, ["one:test"]))
    (read,) = read_floors(path)
    assert read.weights[: len(ONE)] == first.weights
    assert (read.encoders, read.bias, read.least) == (("digest",), -1.5, 0.25)
    path.write_bytes(floor_json(replace(first, least=0.5), ["two:test"], path.read_bytes()))
    assert [one.least for one in read_floors(path)] == [0.5]


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3},
        {"weights": {"share": 1.0}},
        {"weights": dict.fromkeys((*TWO, "colour"), 1.0)},
        {"least": "high"},
        {"encoders": []},
        {"bias": float("nan")},
    ],
)
def test_another_file_is_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "floor.json"
    tree = json.loads(SHIPPED.read_bytes())
    changed = (
        tree | change if "format" in change else tree | {"floors": [tree["floors"][1] | change]}
    )
    path.write_text(json.dumps(changed))
    with pytest.raises(InputError):
        read_floors(path)
    with pytest.raises(InputError):
        read_floors(tmp_path / "none.json")
