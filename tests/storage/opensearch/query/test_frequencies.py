"""How rare words are, from the dictionaries of every part of an index, asked beside the search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.callers import Caller
from core.query_tree import Bool, Word
from core.retrieval import Retrieval
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import WIRE, SetClock, by_vector, make_item, opened, vector_of, write

PHOTOS = Caller("photos", frozenset({"photos"}))
COUNT = 40  # items: every part has some


@pytest.fixture(scope="module", params=[1, 3], autouse=True)
def _on_the_node(request: pytest.FixtureRequest, opensearch: str) -> Iterator[None]:
    with lending(opensearch, shards=request.param):
        yield


def test_a_word_s_frequency_is_that_of_all_parts(folder: Path) -> None:
    engine = open_opensearch(folder, SetClock())
    try:
        for number in range(COUNT):
            body = "" if number % 4 else "storm"
            write(engine, make_item(f"{number}", headline="ferry", body=body))
        engine.catch_up()
        terms = [("all", "ferri"), ("all", "storm"), ("headline", "storm"), ("body", "nowher")]
        found = engine.statistics.frequencies(terms).held
        assert [found[term] for term in terms] == [COUNT, COUNT // 4, 0, 0]
        assert engine.statistics.known(terms) == found, "kept until the index changes"
        write(engine, make_item("more", headline="storm"))
        engine.catch_up()
        engine.statistics.basics()
        assert engine.statistics.known(terms) == {}
    finally:
        engine.close()


def test_the_bound_is_the_same_whether_its_words_were_known(folder: Path) -> None:
    """And the embedded engine's; of a rare word whose items the caller does not see, none."""
    one, two = folder / "one", folder / "two"
    one.mkdir()
    two.mkdir()
    near = (by_vector(vector_of("query")),)
    words = Bool(should=(Word("ferry"), Word("zebra"), Word("secret"), Word("nowhere")))
    with opened(one, SetClock()) as embedded:
        cluster = open_opensearch(two, SetClock())
        try:
            for engine in (embedded, cluster):
                for number in range(COUNT):
                    write(engine, make_item(f"{number}", headline="ferry", body="ferry"))
                write(engine, make_item("rare", headline="zebra", body="zebra"))
                secret = make_item("secret", headline="secret", products=("photos",))
                write(engine, secret)
                engine.catch_up()
            for caller in (WIRE, PHOTOS):
                request = Retrieval(words, caller, vectors=near)
                bounds = [cluster.retrieve(request).lexical_bound for _ in range(3)]
                assert bounds == pytest.approx([embedded.retrieve(request).lexical_bound] * 3)
        finally:
            cluster.close()
