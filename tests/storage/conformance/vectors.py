"""What every storage engine promises of vectors; part of `EngineConformance`."""

from __future__ import annotations

import numpy as np
import pytest

from core.items import Passage
from core.ports.engine import Engine
from core.query_tree import Bool, Keyword, Node, Nothing, Phrase, Prefix, Word
from core.retrieval import Retrieval
from core.writes import PutItem
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import (
    FIELD,
    WIRE,
    any_of,
    ask,
    by_vector,
    make_item,
    nearest,
    unit,
    vector_of,
    versions,
    write,
)


class VectorConformance(EngineUnderTest):
    """Cosines, passages, and what narrows them."""

    def test_an_item_scores_as_its_best_passage(self, engine: Engine) -> None:
        a, b, c = unit(1, 1), unit(1, 0.2), unit(0, 0, 1)
        write(engine, make_item("three"), c, b, a)
        write(engine, make_item("one"), c)
        found = engine.retrieve(nearest(unit(1)))
        assert versions(engine, found, WIRE) == [("three", 1), ("one", 1)]
        (scores,) = found.vectors
        assert scores.field == FIELD
        assert scores.cosines == pytest.approx([float((b @ unit(1).T)[0, 0]), 0.0], abs=2e-3)
        assert scores.passages.tolist() == [1, 0]
        assert scores.ranks.tolist() == [1, 2]
        places = engine.passages(found.ids, FIELD, scores.passages.tolist())
        assert places == (Passage("body", 10, 20), Passage("body", 0, 10))
        assert engine.passages(found.ids, FIELD, [7, -1]) == (None, None)

    def test_many_passages_of_one_item_take_no_other_items_place(self, engine: Engine) -> None:
        write(engine, make_item("many"), *(unit(1, n / 50) for n in range(12)))
        for n in range(4):
            write(engine, make_item(f"few{n}"), unit(1, 1 + n))
        found = ask(engine, nearest(unit(1), depth=3))
        assert found[0] == ("many", 1)
        assert len(set(found)) == len(found)

    def test_candidates_of_words_get_their_exact_cosine(self, engine: Engine) -> None:
        write(engine, make_item("near", body="cargo"), unit(1))
        write(engine, make_item("far", body="zebra"), unit(1, 5))
        engine.put([PutItem(make_item("none", body="zebra"))])
        self.settle(engine)
        request = Retrieval(Word("zebra"), WIRE, vectors=(by_vector(unit(1), 0.5),), vector_depth=1)
        found = engine.retrieve(request)
        (scores,) = found.vectors
        rows = dict(zip(versions(engine, found, WIRE), range(3), strict=True))
        near, far, none = rows["near", 1], rows["far", 1], rows["none", 1]
        assert np.isnan(found.bm25[near])
        assert found.lexical_ranks[near] == 0
        assert {int(found.lexical_ranks[far]), int(found.lexical_ranks[none])} == {1, 2}
        assert scores.weight == 0.5
        assert scores.ranks[[near, far, none]].tolist() == [1, 0, 0]
        assert scores.cosines[far] == pytest.approx(float((unit(1, 5) @ unit(1).T)[0, 0]), abs=2e-3)
        assert np.isnan(scores.cosines[none])
        assert scores.passages[none] == -1

    def test_the_background_is_the_mean_over_all_passages(self, engine: Engine) -> None:
        rows = [vector_of(f"row {n}") for n in range(9)]
        for n in range(3):
            write(engine, make_item(f"{n}"), *rows[3 * n : 3 * n + 3])
        (scores,) = engine.retrieve(nearest(unit(1))).vectors
        mean = float(np.mean([(row @ unit(1).T)[0, 0] for row in rows]))
        assert scores.background == pytest.approx(mean, abs=2e-3)

    def test_no_passages_no_background(self, engine: Engine) -> None:
        (scores,) = engine.retrieve(nearest(unit(1))).vectors
        assert scores.background == 0.0
        assert len(scores.cosines) == 0

    def test_what_narrows_a_query_narrows_vectors_too(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("pm", body="prime minister", urgency=1),
            make_item("mp", body="minister prime storm", urgency=1),
            make_item("s", body="storm", urgency=2),
        )
        urgent = Keyword("urgency", ("1",))
        cases: list[tuple[Node, set[str]]] = [
            (any_of("prime"), {"pm", "mp", "s"}),
            (Word("prime"), {"pm", "mp", "s"}),
            (Phrase("prime minister"), {"pm"}),
            (Bool(must=(Word("prime"),)), {"pm", "mp"}),
            (Bool(must=(Word("prime"), Word("storm"))), {"mp"}),
            (Bool(should=(Word("prime"),), must_not=(Word("storm"),)), {"pm"}),
            (Bool(must=(Bool(should=(Phrase("minister prime"), Word("cargo"))),)), {"mp"}),
            (Bool(must=(urgent,), should=(Word("storm"),)), {"pm", "mp"}),
            (Bool(must=(urgent, Word("storm"))), {"mp"}),
            (Bool(must=(Bool(must_not=(Word("prime"), urgent)),)), {"s"}),
            (Bool(must=(Prefix("sto"),)), {"mp", "s"}),
            (Bool(must=(Word("prime"),), must_not=(Word("storm"),)), {"pm"}),
            (Bool(must=(Word("minister"), Bool(must_not=(Word("storm"),)))), {"pm"}),
            (Bool(must=(Word("storm"), any_of("prime", "cargo"))), {"mp"}),
            (Bool(must=(urgent, Word("prime")), must_not=(Word("storm"),)), {"pm"}),
            (Bool(must=(Bool(should=(Word("cargo"), Bool(must_not=(Word("prime"),)))),)), {"s"}),
            (Nothing(), set()),
        ]
        for query, wanted in cases:
            found = {uri for uri, _ in ask(engine, nearest(unit(1), query=query))}
            assert found == wanted, query
