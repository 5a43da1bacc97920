"""What machines say of pictures and shots, and words found in media: found by their words, weighed
apart, others unchanged.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.items import Item, ItemType, MediaFile, Shot
from core.media_words import Look, SeenText, Utterance
from core.query_tree import Bool, Node, Phrase, Prefix, Word
from core.retrieval import LexicalWeights
from storage.embedded.engine import EmbeddedEngine
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.world import WIRE, SetClock, any_of, lexical, make_item, opened, uris, write

BY = "model 1, prompt 4f"


def picture(uri: str, caption: str = "", **members: Any) -> Item:
    told = {"caption": caption, "caption_by": BY} if caption else {}
    return make_item(uri, **{"type": ItemType.PICTURE, "headline": "", **told, **members})


def shot(description: str, by: str = "") -> Shot:
    return Shot(0, 1, 0, 24, "cut", description, by)


def scores(engine: EmbeddedEngine, query: Node, **apart: float) -> Mapping[str, float]:
    weights = LexicalWeights(apart=apart) if apart else LexicalWeights()
    found = engine.retrieve(replace(lexical(query), lexical=weights))
    items = engine.items(found.ids, WIRE)
    assert found.bm25.max(initial=0.0) <= found.lexical_bound * 1.0001 + 1e-6
    return {item.uri: float(s) for item, s in zip(items, found.bm25, strict=True) if item}


def indexed(engine: EmbeddedEngine, *items: Item) -> None:
    for item in items:
        write(engine, item)
    engine.catch_up()


def test_a_picture_is_found_by_what_only_a_machine_says(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        indexed(
            engine,
            picture("caption", "Two dogs running along a beach"),
            make_item("video", type=ItemType.VIDEO, headline="", shots=(shot("A dog barks", BY),)),
            make_item("story", headline="Ferry strike", body="No boats today"),
        )
        assert uris(engine, any_of("dog")) == {"caption", "video"}
        assert uris(engine, Phrase("along a beach")) == {"caption"}
        assert uris(engine, Phrase("beach along")) == set()
        assert uris(engine, Prefix("bea")) == {"caption"}
        assert uris(engine, Word("dog", "machine")) == {"caption", "video"}
        assert uris(engine, Prefix("bar", "machine")) == {"video"}
        for field in ("headline", "description", "body", "names"):
            assert uris(engine, Word("dog", field)) == set()
        assert uris(engine, Bool(must=(Word("boats"),), must_not=(Word("dog"),))) == {"story"}


def test_agency_shot_descriptions_are_its_description(folder: Path) -> None:
    video = make_item(
        "v", type=ItemType.VIDEO, headline="", shots=(shot("Ferry leaves"), shot("A pier", BY))
    )
    with opened(folder, SetClock()) as engine:
        indexed(engine, video)
        assert uris(engine, Word("ferry", "description")) == {"v"}
        assert uris(engine, Word("ferry", "machine")) == set()
        assert uris(engine, Word("pier", "description")) == set()
        assert uris(engine, Word("pier", "machine")) == {"v"}


def test_every_word_may_come_from_another_side(folder: Path) -> None:
    """AND holds over agency's and machine's text together, for BM25 and for the vectors."""
    both = picture("both", "a dog on a beach", description="Photo from Porto")
    with opened(folder, SetClock()) as engine:
        indexed(engine, both, picture("one", "a dog"), picture("other", description="Porto"))
        query = Bool(must=(Word("dog"), Word("porto")))
        assert uris(engine, query) == {"both"}
        assert uris(engine, Bool(must=(Word("dog"),), must_not=(Word("porto"),))) == {"one"}


def test_a_machines_word_counts_its_weight_of_its_idf_whatever_else_is_there(folder: Path) -> None:
    """Not its text's length, nor how many items have no such text: BM25's own average would make
    the few that have one count as endless among many stories.
    """
    with opened(folder, SetClock()) as engine:
        indexed(engine, picture("short", "dog"), picture("long", "dog " + "and other things " * 30))
        few = scores(engine, any_of("dog"), machine=0.5)
        indexed(engine, *(make_item(f"s{n}", body="words of a story") for n in range(98)))
        many = scores(engine, any_of("dog"), machine=0.5)
    assert few["short"] == few["long"] == pytest.approx(0.5 * log1p(0.5 / 2.5), rel=1e-4)
    assert many["short"] == many["long"] == pytest.approx(0.5 * log1p(98.5 / 2.5), rel=1e-4)


def test_the_same_word_of_the_agencys_counts_more(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        indexed(
            engine,
            picture("machine", "a dog on a beach"),
            picture("agency", description="a dog on a beach"),
            picture("both", "a dog on a beach", description="a dog on a beach"),
        )
        found = scores(engine, any_of("dog", "beach"), machine=0.5)
        assert list(found) == ["both", "agency", "machine"]
        assert found["both"] == pytest.approx(found["agency"] + found["machine"], rel=1e-4)
        heavier = scores(engine, any_of("dog", "beach"), machine=4.0)
        assert list(heavier) == ["both", "machine", "agency"]
        assert heavier["machine"] == pytest.approx(8 * found["machine"], rel=1e-4)


def test_without_a_weight_it_is_found_and_counts_nothing(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        indexed(engine, picture("p", "a dog"))
        assert scores(engine, any_of("dog"), machine=0.0) == {"p": 0.0}


def test_texts_score_what_they_scored_before_there_were_captions(folder: Path) -> None:
    stories = [make_item(f"s{n}", headline=f"Ferry {n}", body="harbour " * n) for n in range(9)]
    query = any_of("ferry", "harbour", "dog")
    with opened(folder, SetClock()) as engine:
        indexed(engine, *stories)
        before = scores(engine, query)
        bound = engine.retrieve(lexical(query)).lexical_bound
        # Words that machines say of nothing: the query, its scores and its bound are the same.
        indexed(engine, *(picture(f"p{n}", "a cat sleeps") for n in range(3)))
        after = scores(engine, Bool(must=(query,)))
        few = engine.retrieve(lexical(query)).lexical_bound
    assert set(after) == set(before)
    assert few >= bound  # more items: rarer words


FOUND = {
    "speech": {"speech": (Utterance(0, 1, "a dog barks"),), "speech_by": BY},
    "seen": {"seen": (SeenText("Beware of the dog", (0, 0, 1, 1)),), "seen_by": BY},
    "looks": {"looks": (Look("dog", 0.9),), "looks_by": BY},
    "filename": {"media": MediaFile("s3://b/BigDog_2026.jpg", "ab" * 32, "image/jpeg", 1)},
}


def test_words_found_in_media_count_the_weight_of_their_field(folder: Path) -> None:
    apart = {"speech": 0.4, "seen": 0.3, "looks": 0.2, "filename": 0.1}
    with opened(folder, SetClock()) as engine:
        indexed(engine, *(picture(name, **members) for name, members in FOUND.items()))
        found = scores(engine, any_of("dog"), **apart)
        alone = {name: scores(engine, Word("dog", name)) for name in FOUND}
        default = scores(engine, any_of("dog"))
    rare = alone["seen"]["seen"]
    assert alone == {name: {name: rare} for name in FOUND}
    assert found == {name: pytest.approx(apart[name] * rare, rel=1e-4) for name in FOUND}
    assert min(default, key=default.__getitem__) == "filename"


def test_the_agencys_own_script_is_its_text_and_a_transcript_is_not(folder: Path) -> None:
    said = (Utterance(0, 1, "a dog barks"),)
    with opened(folder, SetClock()) as engine:
        indexed(
            engine,
            picture("script", speech=said),
            picture("text", body="a dog barks"),
            picture("machine", speech=said, speech_by=BY),
        )
        found = scores(engine, any_of("dog"))
        spoken = scores(engine, Word("dog", "speech"))
        begun = scores(engine, Prefix("do", "speech"))
    assert found["script"] == pytest.approx(found["text"], rel=1e-4)
    assert found["machine"] < found["script"]
    assert {*spoken} == {*begun} == {"script", "machine"}
    assert spoken["script"] == spoken["machine"]


def test_a_name_of_a_file_counts_only_while_nobody_describes_it(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        indexed(
            engine,
            picture("bare", **FOUND["filename"]),
            picture("told", description="A cat", **FOUND["filename"]),
            picture("captioned", "A cat", **FOUND["filename"]),
            picture("looked at", looks=(Look("cat", 0.9),), looks_by=BY, **FOUND["filename"]),
        )
        assert uris(engine, Word("dog")) == {"bare", "looked at"}


def test_captions_words_are_suggested_counted_and_rare(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        indexed(
            engine,
            picture("a", "Smoke from a zeppelin over a lake"),
            picture("b", "A zeppelin lands"),
            make_item("s", headline="Ferry"),
        )
        assert engine.seen_counts(["zeppelin"], 3, WIRE) == (2,)
        ((near,),) = engine.similar_words([("zepelin", 2)], WIRE)
        assert (near.text.casefold(), near.count) == ("zeppelin", 2)
        rare = engine.rarities(["zeppelin", "unheard"], "en", WIRE).values
        assert rare[0] > 0
        assert rare[1] == 0


_words = st.lists(st.sampled_from(["dog", "running", "Hund", "beach", "the", "a-b"]), max_size=6)
_texts = _words.map(" ".join)
_fields = ["", "machine", "speech", "looks"]
_leaves = st.one_of(
    st.builds(
        Word,
        st.sampled_from(["dog", "runs", "hund", "dog-beach"]),
        st.sampled_from(_fields),
    ),
    st.builds(Phrase, st.sampled_from(["dog beach", "running dog"]), st.sampled_from(_fields)),
    st.builds(Prefix, st.sampled_from(["do", "running be"]), st.sampled_from(_fields)),
)
_queries = st.recursive(
    _leaves,
    lambda nodes: st.builds(
        Bool,
        st.lists(nodes, max_size=2).map(tuple),
        st.lists(nodes, max_size=2).map(tuple),
        st.lists(nodes, max_size=1).map(tuple),
    ),
    max_leaves=4,
)


@PROPERTY
@given(st.data())
def test_no_score_is_above_the_bound_and_matches_depend_on_no_weight(data: st.DataObject) -> None:
    by = st.sampled_from(["", BY])
    rows = data.draw(
        st.lists(st.tuples(_texts, _texts, _texts, _texts, by, st.sampled_from(["en", "de"])))
    )
    folder = new_folder()
    try:
        with opened(folder, SetClock()) as engine:
            for number, (own, said, line, heard, speaker, language) in enumerate(rows):
                shots = (shot(line, BY),) if line else ()
                spoken = (Utterance(0, 1, heard),) if heard else ()
                item = picture(
                    str(number),
                    said,
                    description=own,
                    language=language,
                    shots=shots,
                    speech=spoken,
                    speech_by=speaker if spoken else "",
                    looks=(Look(line, 0.5),) if line else (),
                    looks_by=BY if line else "",
                )
                write(engine, item)
            engine.catch_up()
            query = data.draw(_queries)
            found = {
                w: scores(engine, query, machine=w, speech=w, looks=w) for w in (0.0, 0.5, 3.0)
            }
            assert set(found[0.0]) == set(found[0.5]) == set(found[3.0])
            for uri, low in found[0.0].items():
                assert low <= found[0.5][uri] + 1e-6 <= found[3.0][uri] + 2e-6
            ids = engine.retrieve(lexical(query)).ids
            for id_ in ids.tolist():
                assert engine.satisfies(id_, [query]) == (True,) or _ranks_only(query)
            assert np.isfinite(list(found[0.5].values())).all()
    finally:
        shutil.rmtree(folder)


def _ranks_only(node: Node) -> bool:
    """Words that are taken apart ("dog-beach") match loosely in a list and whole as a condition."""
    return "dog-beach" in repr(node)
