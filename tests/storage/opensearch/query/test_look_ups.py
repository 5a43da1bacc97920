"""What is asked beside a search, where some of the index does not answer: the search is answered,
says so, and nothing of it is kept.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.items import FloatMatrix, ItemType, PubStatus
from core.query_tree import Word
from core.writes import PutItem
from storage.opensearch.engine import OpenSearchEngine
from storage.opensearch.following.follower import Follower
from storage.opensearch.query import retrieval
from storage.opensearch.query.dictionary import Dictionary
from storage.opensearch.query.statistics import Counts
from storage.opensearch.query.term_counts import LookUps, TermCounts
from storage.opensearch.seen import seen_by
from storage.record.item_rows import to_micros
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import (
    NOW,
    WIRE,
    SetClock,
    by_vector,
    change,
    lexical,
    make_item,
    nearest,
    unit,
    vectors,
    write,
)
from tests.tcp_proxy import Proxy, proxy_before

COUNT = 40  # items: every part has some
PARTS, LOST = 3, 1
FERRY = ("all", "ferri")
PATIENCE_S = 240.0
JSON = "application/json"
LATE_S = 0.1
ASKS_WHO_SEES = b'"track_total_hits":1,'
RARE_WORDS = "how rare some words are"


@pytest.fixture
def proxy(opensearch: str) -> Iterator[Proxy]:
    with proxy_before(opensearch) as proxy:
        yield proxy


@pytest.fixture(params=[1, PARTS])
def engine(
    folder: Path, proxy: Proxy, request: pytest.FixtureRequest
) -> Iterator[OpenSearchEngine]:
    with lending(proxy.url, shards=request.param):
        engine = open_opensearch(folder, SetClock())
        yield engine
        proxy.concerns = lambda _: False
        engine.close()


@contextmanager
def one_part_without_a_copy(engine: OpenSearchEngine, proxy: Proxy, node: str) -> Iterator[None]:
    """Of the index; the others answer, by the node itself. The node's words for the one that does
    not are put in here: a part that is taken from it is there again after a moment.
    """
    others = ",".join(str(part) for part in range(PARTS) if part != LOST)
    error = {"type": "no_shard_available_action_exception", "reason": "No shard available"}

    def answers(line: bytes, body: bytes) -> bytes | None:
        verb, path, _ = line.decode().split()
        if "/_mtermvectors" in path:
            reply = asked(node, verb, path, body)
            if len(reply["docs"]) == PARTS:
                reply["docs"][LOST] = {"error": error}
            return orjson.dumps(reply)
        if "/_msearch" not in path:
            return None
        lines = [orjson.loads(each) for each in body.splitlines()]
        heads, searches = lines[::2], lines[1::2]
        for head, search in zip(heads, searches, strict=True):
            if search.pop("pit", None):
                head |= {"index": engine.family.concrete, "preference": f"_shards:{others}"}
        reply = asked(node, verb, path, b"".join(orjson.dumps(each) + b"\n" for each in lines))
        for place, (head, found) in enumerate(zip(heads, reply["responses"], strict=True)):
            if head["preference"] == f"_shards:{LOST}":
                reply["responses"][place] = {"error": error, "status": 503}
            elif head["preference"] == f"_shards:{others}":
                found["_shards"] |= {"total": PARTS, "failed": 1}
        return orjson.dumps(reply)

    given, proxy.answers = proxy.answers, answers
    try:
        yield
    finally:
        proxy.answers = given


def asked(node: str, verb: str, path: str, body: bytes) -> Any:
    """The node's own reply."""
    request = urllib.request.Request(node + path, body, method=verb)
    request.add_header("content-type", "application/x-ndjson" if "_ms" in path else JSON)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        return orjson.loads(reply.read())


def filled(engine: OpenSearchEngine) -> None:
    for number in range(COUNT):
        write(engine, make_item(f"{number}", headline="ferry"))
    told: dict[str, Any] = {"caption": "Two dogs running", "caption_by": "model 1"}
    write(engine, make_item("picture", type=ItemType.PICTURE, headline="", **told))
    engine.catch_up()
    engine.statistics.basics()


@pytest.mark.parametrize("engine", [PARTS], indirect=True)
@pytest.mark.parametrize("has_looked", [True, False])
def test_counts_that_lack_a_part_are_said_to_and_not_kept(
    engine: OpenSearchEngine,
    proxy: Proxy,
    opensearch: str,
    has_looked: bool,
) -> None:
    filled(engine)
    if has_looked:
        assert engine.statistics.frequencies([("all", "storm")]).lacking == ""
    with one_part_without_a_copy(engine, proxy, opensearch):
        found = engine.statistics.frequencies([FERRY])
        assert 0 < found.held[FERRY] < COUNT
        assert "part" in found.lacking
        assert engine.statistics.known([FERRY]) == {}
        counted = engine.statistics.held([FERRY])
        assert counted.held == found.held
        assert counted.lacking == "1 parts of the index do not answer"
        searched = engine.retrieve(lexical(Word("ferry")))
        assert len(searched.ids) == found.held[FERRY]
        assert any(RARE_WORDS in flag for flag in searched.degraded)
    assert engine.statistics.frequencies([FERRY]).held == {FERRY: COUNT}
    assert engine.statistics.held([FERRY]) == Counts({FERRY: COUNT})


@pytest.mark.parametrize("engine", [PARTS], indirect=True)
def test_rarities_that_lack_a_part_are_said_to(
    engine: OpenSearchEngine,
    proxy: Proxy,
    opensearch: str,
) -> None:
    filled(engine)
    with one_part_without_a_copy(engine, proxy, opensearch):
        found = engine.rarities(["ferry"], "en", WIRE)
        assert found.lacking == "1 parts of the index do not answer"
        assert found.values[0] > 0
    assert engine.rarities(["ferry", "dogs"], "en", WIRE).lacking == ""
    with one_part_without_a_copy(engine, proxy, opensearch):
        assert engine.rarities(["ferry"], "en", WIRE).lacking == "", "they are known"
        rare = engine.rarities(["dogs"], "en", WIRE)
        assert rare.lacking, "of a rare word it is asked each time who sees it"


@pytest.mark.parametrize("engine", [PARTS], indirect=True)
def test_a_search_says_that_who_sees_its_rare_words_was_asked_of_a_part(
    engine: OpenSearchEngine,
    proxy: Proxy,
    opensearch: str,
) -> None:
    filled(engine)
    look_ups = LookUps()
    terms = TermCounts(engine.statistics, look_ups, seen_by(WIRE, to_micros(NOW)))
    engine.statistics.frequencies([("machine", "dog")])
    with one_part_without_a_copy(engine, proxy, opensearch):
        terms.reckoned(partial(terms.held, "machine", "dog"))
    assert look_ups.lacking == "1 parts of the index do not answer"


@pytest.mark.parametrize("engine", [PARTS], indirect=True)
def test_numbers_of_an_index_that_lacks_a_part_are_asked_for_anew(
    engine: OpenSearchEngine,
    proxy: Proxy,
    opensearch: str,
) -> None:
    filled(engine)
    with one_part_without_a_copy(engine, proxy, opensearch):
        engine.statistics._basics = type(engine.statistics._basics)()
        assert 0 < engine.statistics.basics().documents < COUNT
        assert engine.statistics.basics().failed == 1
    deadline = time.monotonic() + PATIENCE_S
    while engine.statistics.basics().failed:
        assert time.monotonic() < deadline, "what lacks a part is kept"
        time.sleep(0.1)
    assert engine.statistics.basics().documents == COUNT + 1


@pytest.mark.timed
def test_a_search_does_not_depend_on_how_rare_its_words_are(
    engine: OpenSearchEngine, proxy: Proxy
) -> None:
    """The node that is asked hangs. What machines say is found all the same."""
    filled(engine)
    proxy.concerns = lambda line: b"termvectors" in line
    proxy.hangs = True
    for word in ("dog", "ferry"):
        before, began = proxy.count(b"termvectors"), time.monotonic()
        found = engine.retrieve(lexical(Word(word)))
        took = time.monotonic() - began
        assert len(found.ids) == (COUNT if word == "ferry" else 1)
        assert [flag for flag in found.degraded if RARE_WORDS in flag] == [*found.degraded]
        assert found.degraded
        assert found.bm25.min() > 0
        assert proxy.count(b"termvectors") - before == 2, "asked once more, and not again"
        assert took < engine.cluster.settings.nodes.timeout_s
    proxy.concerns = lambda _: False
    for word in ("dog", "ferry"):
        assert engine.retrieve(lexical(Word(word))).degraded == (), "no guess was kept"


@pytest.mark.parametrize("engine", [1], indirect=True)
def test_no_search_asks_who_sees_a_word_while_it_is_counted(
    engine: OpenSearchEngine, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "_MOMENT_S", PATIENCE_S)
    write(engine, make_item("first", headline="ferry"), unit(1))
    engine.catch_up()
    engine.statistics.basics()
    words = ("ferry", "dog", "storm", "zebra")
    under_way, searches = threading.Barrier(len(words)), list[bytes]()

    def answers(line: bytes, body: bytes) -> None:
        if b"termvectors" in line:
            time.sleep(LATE_S)
        if b"_msearch" in line:
            searches.append(body)

    def encoded() -> FloatMatrix:
        under_way.wait(PATIENCE_S)
        return unit(1)

    def find(word: str) -> int:
        vectors = (replace(by_vector(unit(1)), encode=encoded),)
        return len(engine.retrieve(replace(lexical(Word(word)), vectors=vectors)).ids)

    proxy.answers = answers
    with ThreadPoolExecutor(len(words)) as pool:
        assert [*pool.map(find, words)] == [1, 0, 0, 0]
    assert len(searches) == len(words)
    assert not any(ASKS_WHO_SEES in body for body in searches)


def test_nodes_that_are_preferred_count_the_same(engine: OpenSearchEngine) -> None:
    filled(engine)
    several = engine.family.search_type() != "query_then_fetch"
    name, terms = engine.family.concrete, [FERRY, ("all", "nowher")]
    for nodes in ("", "_prefer_nodes:some,other"):
        looked = Dictionary(engine.cluster, name, nodes.__str__, lambda: None, several=several)
        assert looked(terms).held == {FERRY: COUNT, ("all", "nowher"): 0}
        assert looked(terms).lacking == ""


@pytest.mark.parametrize("engine", [1], indirect=True)
@pytest.mark.timed
def test_what_was_written_though_its_answer_was_lost_is_sent_again_and_counted_once(
    engine: OpenSearchEngine, proxy: Proxy
) -> None:
    """Nobody waits for such an answer as long as a bulk write may take."""
    write(engine, make_item("first"), unit(9))
    lost = iter([True])
    proxy.concerns = lambda line: b"_bulk" in line and next(lost, False)
    proxy.hangs = True
    given = PutItem(make_item("late", headline="zebra"), (vectors(unit(1), unit(2)),))
    engine.record.put([given])
    began = time.monotonic()
    follower = Follower(lambda: engine.projector, lambda: False, patience_s=1.0)
    try:
        while engine.projector.is_behind():
            assert time.monotonic() - began < PATIENCE_S, "the lost answer is waited for"
            time.sleep(0.05)
    finally:
        follower.stop()
    assert time.monotonic() - began >= 1.0, "the first answer was lost"
    assert engine.projector.note.sums["text"].count == 3
    assert engine.statistics.basics().passages == {"text": 0}, "of before the first search"
    assert len(engine.retrieve(nearest(unit(1), depth=5)).ids) == 2
    assert engine.statistics.basics().passages == {"text": 3}


@pytest.mark.parametrize("engine", [1], indirect=True)
def test_passages_are_counted_as_often_as_the_index_holds_them(engine: OpenSearchEngine) -> None:
    write(engine, make_item("kept"), unit(1))
    write(engine, make_item("hidden"), unit(2), unit(3))
    for _ in range(3):
        for status, count in ((PubStatus.WITHHELD, 1), (PubStatus.USABLE, 3)):
            change(engine, "hidden", pubstatus=status)
            assert engine.retrieve(nearest(unit(1), depth=9)).degraded == ()
            assert engine.statistics.basics().passages == {"text": count}
    write(engine, make_item("hidden", 2), unit(2))
    engine.retrieve(lexical(Word("any"), caller=WIRE))
    assert engine.statistics.basics().passages == {"text": 2}
