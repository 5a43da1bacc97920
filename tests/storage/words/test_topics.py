"""Subjects as a tree: the bundled Media Topics, files of one's own, and filters by them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.items import Concept, Item
from core.query_tree import EVERYTHING, Bool, Keyword, Node, Word
from core.writes import PutItem
from storage.embedded.columns.facets import TopicCodes, TopicFacet
from storage.embedded.columns.facts import ValueColumn
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.words.topics import MEDIA_TOPICS, Topics, read_topics
from tests.storage.world import (
    ENCODER,
    FIELD,
    SetClock,
    ask,
    lexical,
    make_item,
    nearest,
    unit,
    vector_of,
    vectors,
    write,
)

SPORT, DISCIPLINE, FOOTBALL = "15000000", "20000822", "20001065"
TREE = """\
# A small vocabulary for people to read.
# scheme: med http://example.org/topics/
1\t\tSport
2\t1\tball games\tBall Sports
3\t2\tfootball\tsoccer
4\t1\trowing
5\t\tWeather
6\t5\tstorms\t\t2020-01-01
7\t5\tfootball
"""
PARENTS = {"1": "", "2": "1", "3": "2", "4": "1", "5": "", "6": "5", "7": "5"}
LABELS = {"sport": "1", "ball games": "2", "ball sports": "2", "football": "37", "soccer": "3",
          "rowing": "4", "weather": "5", "storms": "6"}  # fmt: skip


@pytest.fixture(scope="module")
def media_topics() -> Topics:
    return read_topics(MEDIA_TOPICS)


@pytest.fixture(scope="module")
def small() -> Topics:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "topics.tsv"
        path.write_text(TREE, "utf-8")
        return read_topics(path)


# --- the vocabulary


def test_the_bundled_topics_are_iptc_s(media_topics: Topics) -> None:
    tops = [code for code, above in media_topics.broader.items() if not above]
    assert (len(media_topics.broader), len(tops)) == (1387, 17)
    assert list(media_topics.line(FOOTBALL)) == [FOOTBALL, DISCIPLINE, SPORT]


def test_the_file_says_where_it_is_from_and_its_licence() -> None:
    head = MEDIA_TOPICS.read_text("utf-8")[:900]
    assert "https://www.iptc.org/std/NewsCodes/" in head
    assert "CC BY 4.0" in head
    assert "last updated 2025-03-31" in head


@pytest.mark.parametrize(
    "spelling",
    [
        "medtop:20001065",
        "MEDTOP:20001065",
        " 20001065 ",
        "http://cv.iptc.org/newscodes/mediatopic/20001065",
        "https://cv.iptc.org/newscodes/mediatopic/20001065",
    ],
)
def test_a_code_in_every_spelling(media_topics: Topics, spelling: str) -> None:
    assert media_topics.code(spelling) == FOOTBALL
    assert media_topics.meant(spelling) == (FOOTBALL,)


@pytest.mark.parametrize(
    "text", ["", "medtop:", "medtop:1", "subj:20001065", "http://example.org/20001065", "sport"]
)
def test_what_is_no_code(media_topics: Topics, text: str) -> None:
    assert media_topics.code(text) == ""


@pytest.mark.parametrize(
    ("label", "codes"),
    [
        ("sport", [SPORT]),
        ("Soccer", [FOOTBALL]),
        ("football", [FOOTBALL]),
        ("labor", ["09000000"]),
        ("Renewable energy", ["20000257", "20000436"]),
        ("no such topic", []),
    ],
)
def test_labels(media_topics: Topics, label: str, codes: list[str]) -> None:
    assert list(media_topics.meant(label)) == codes


@pytest.mark.parametrize(
    ("lines", "what", "where"),
    [
        ("1\t\ta\n1\t\tb", "twice", ":2"),
        ("\t1\ta", "no code", ":1"),
        ("1\t9\ta", "'9', which is none", ""),
        ("1\t2\ta\n2\t1\tb", "below itself", ""),
        ("1\t1\ta", "below itself", ""),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, lines: str, what: str, where: str) -> None:
    path = tmp_path / "topics.tsv"
    path.write_text(lines, "utf-8")
    with pytest.raises(InputError, match=what) as caught:
        read_topics(path)
    assert caught.value.where == f"{path}{where}"
    assert caught.value.mend


def test_a_file_that_can_t_be_read(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("none", "bytes"):
        with pytest.raises(InputError, match="can't be read"):
            read_topics(tmp_path / name)


# --- filters


def test_only_codes_that_items_have_are_looked_for(media_topics: Topics) -> None:
    column = ValueColumn()
    codes = TopicCodes(media_topics, column)
    wanted = Keyword("subject", ("sport",))
    assert codes.expanded(wanted) is wanted
    column.extend([0, 1], [["medtop:20001065"], ["medtop:20001065", "medtop:04000000"]])
    assert codes.expanded(wanted) == Keyword("subject", ("sport", "medtop:20001065"))
    column.extend([2], [["http://cv.iptc.org/newscodes/mediatopic/15000000"]])
    assert codes.expanded(wanted) == Keyword(
        "subject",
        ("sport", "medtop:20001065", "http://cv.iptc.org/newscodes/mediatopic/15000000"),
    )


def test_other_fields_and_other_values_stay_as_they_are(media_topics: Topics) -> None:
    column = ValueColumn()
    column.extend([0], [["medtop:20001065"]])
    codes = TopicCodes(media_topics, column)
    for node in (
        Keyword("place", ("sport",)),
        Keyword("subject", ("weather", "nobody")),
        Word("sport"),
        Bool(must=(Word("sport"), EVERYTHING)),
    ):
        assert codes.expanded(node) is node


CODES = ("", *(f"med:{n}" for n in PARENTS), "http://example.org/topics/3", "2", "other:1")
NAMES = ("Sport", "football", "anything", "storms")


def topics_of(value: str) -> set[str]:
    """The topics that a filter's value means, in plain words."""
    folded = value.casefold()
    for start in ("med:", "http://example.org/topics/", ""):
        if folded.startswith(start) and folded[len(start) :] in PARENTS:
            return {folded[len(start) :]}
    return set(LABELS.get(folded, ""))


def is_about(concept: Concept, value: str) -> bool:
    """Whether one subject of an item meets one value of a filter."""
    if value.casefold() in (concept.name.casefold(), concept.code.casefold()):
        return True
    above = next(iter(topics_of(concept.code)), "")
    line: list[str] = []
    while above:
        line.append(above)
        above = PARENTS[above]
    return not topics_of(value).isdisjoint(line)


def matches(node: Node, item: Item) -> bool:
    match node:
        case Keyword("subject", values):
            return any(is_about(one, value) for one in item.subject for value in values)
        case Bool(must, (), must_not):
            kept = all(matches(child, item) for child in must)
            return kept and not any(matches(child, item) for child in must_not)
        case Bool((), should, ()):
            return any(matches(child, item) for child in should)
    raise AssertionError(node)


VALUES = st.sampled_from((*CODES[1:], *LABELS, "SPORT", "med:99", "nobody"))
WANTED = st.lists(VALUES, min_size=1, max_size=2).map(lambda found: Keyword("subject", (*found,)))
FILTERS: st.SearchStrategy[Node] = st.one_of(
    WANTED,
    st.tuples(WANTED, WANTED).map(lambda pair: Bool(must=(pair[0],), must_not=(pair[1],))),
    st.tuples(WANTED, WANTED).map(lambda pair: Bool(should=pair)),
)
CONCEPTS = st.lists(
    st.builds(Concept, st.sampled_from(NAMES), st.sampled_from(CODES)), max_size=2
).map(tuple)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CONCEPTS, min_size=1, max_size=8), st.lists(FILTERS, min_size=1, max_size=4))
def test_a_topic_finds_what_is_below_it_by_words_and_by_vectors(
    small: Topics, subjects: list[tuple[Concept, ...]], filters: list[Node]
) -> None:
    """As a filter and as a part of the query, in BM25, in vectors, in counts, for single items."""
    items = [make_item(f"urn:{n}", body="zebra", subject=found) for n, found in enumerate(subjects)]
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine(
            EmbeddedSettings(Path(folder), {FIELD: ENCODER}, background=False, topics=small),
            SetClock(),
        )
        engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in items])
        engine.catch_up()
        for node in filters:
            wanted = sorted(item.uri for item in items if matches(node, item))
            for request in (
                lexical(EVERYTHING, filters=node),
                lexical(node),
                lexical(Word("zebra"), filters=node),
                lexical(Bool(must=(Word("zebra"), node))),
                nearest(unit(1), filters=node),
                nearest(unit(1), query=Bool(must=(node,))),
            ):
                assert sorted(uri for uri, _ in ask(engine, request)) == wanted, (node, request)
            for item in items:
                (held,) = engine.satisfies(engine.standing(item.uri).id, [node])
                assert held == (item.uri in wanted)
        engine.close()


# --- facets


@given(st.lists(CONCEPTS, max_size=8))
def test_a_topic_counts_what_its_filter_finds(
    small: Topics, subjects: list[tuple[Concept, ...]]
) -> None:
    items = [make_item(f"urn:{n}", subject=found) for n, found in enumerate(subjects)]
    names, codes = ValueColumn(), ValueColumn()
    names.extend(range(len(items)), [[one.name for one in item.subject] for item in items])
    codes.extend(range(len(items)), [[one.code for one in item.subject] for item in items])
    facet = TopicFacet(small, names, codes)
    for rows in (range(len(items)), range(0, len(items), 2)):
        counts = facet.counts(np.array(rows, np.int64), 100)
        counted = {one.value.casefold(): one.count for one in counts}
        assert len(counted) == len(counts)
        assert [one.count for one in counts] == sorted(counted.values(), reverse=True)
        kept = [items[row] for row in rows]
        for label in small.labels.values():
            found = sum(matches(Keyword("subject", (label,)), item) for item in kept)
            assert counted.get(label.casefold(), 0) == found
        bare = {one.name.casefold() for item in kept for one in item.subject} - LABELS.keys()
        assert counted.keys() - LABELS.keys() == bare


def test_broader_topics_are_counted_where_asked_for(media_topics: Topics, tmp_path: Path) -> None:
    settings = EmbeddedSettings(tmp_path, {FIELD: ENCODER}, background=False, topics=media_topics)
    engine = EmbeddedEngine(settings, SetClock())
    football = Concept("Fußball", f"medtop:{FOOTBALL}")
    for number, subject in enumerate(((football,), (Concept("sport", SPORT),), (Concept("x"),))):
        write(engine, make_item(f"urn:{number}", subject=subject))
    ids = engine.retrieve(lexical(EVERYTHING)).ids

    def counts(**asked: bool) -> dict[str, int]:
        facets = engine.facets(ids, ["subject", "type"], 10, **asked)
        assert [(one.value, one.count) for one in facets["type"]] == [("text", 3)]
        return {one.value: one.count for one in facets["subject"]}

    assert counts() == counts(broader=False) == {"Fußball": 1, "sport": 1, "x": 1}
    told = {"sport": 2, "Fußball": 1, "competition discipline": 1, "football": 1, "x": 1}
    assert counts(broader=True) == told
    assert [one.value for one in engine.facets(ids, ["subject"], 1, broader=True)["subject"]] == [
        "sport"
    ]
    engine.close()
