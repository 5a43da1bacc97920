"""Mistakes in a judged collection are found with their place; doubts are counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DocumentError, InputError
from core.query_tree import EVERYTHING, constraint
from eval.sets.datasets import (
    Conventions,
    Doubts,
    check_run,
    parse_name,
    plain_words,
    read_judged_set,
)
from search.understanding.language import parse
from tests.eval.conftest import DOCUMENTS, HEADER, JUDGEMENTS, QUERIES, MakeFolder

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("packed", [False, True])
def test_a_sound_folder(make_folder: MakeFolder, *, packed: bool) -> None:
    judged = read_judged_set(str(make_folder(packed=packed)))
    assert (judged.name, judged.split, judged.documents) == ("tiny", "test", 3)
    assert judged.queries == {"q1": "boats to the isles", "q2": "storm harbour"}
    assert judged.qrels == {"q1": {"d1": 1}, "q2": {"d2": 2, "d1": 1}}
    assert judged.document_id("urn:beir:tiny:d1") == "d1"
    assert judged.doubts.lines() == ()
    assert judged.conventions == Conventions()


def test_the_default_split_is_test(make_folder: MakeFolder) -> None:
    folder = make_folder(splits=("dev", "test", "train"))
    assert parse_name(str(folder)) == (folder, "test")
    assert parse_name(f"{folder}:dev") == (folder, "dev")


def test_a_single_split_needs_no_name(make_folder: MakeFolder) -> None:
    folder = make_folder(splits=("dev",))
    assert parse_name(str(folder)) == (folder, "dev")


def test_a_folder_may_have_a_colon(make_folder: MakeFolder) -> None:
    folder = make_folder(name="a:b")
    assert parse_name(str(folder)) == (folder, "test")
    assert parse_name(f"{folder}:test") == (folder, "test")


def test_an_unknown_split_names_those_there_are(make_folder: MakeFolder) -> None:
    folder = make_folder(splits=("dev", "train"))
    for name in (f"{folder}:tset", str(folder)):
        with pytest.raises(InputError, match="no split") as caught:
            parse_name(name)
        assert f"{folder}:dev" in caught.value.mend


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_file(make_folder: MakeFolder, missing: str) -> None:
    folder = make_folder()
    (folder / missing).unlink()
    with pytest.raises(InputError) as caught:
        read_judged_set(str(folder))
    assert str(folder) in caught.value.where
    assert caught.value.mend


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_judged_set(str(tmp_path / "nowhere:test"))


@pytest.mark.parametrize(
    ("parts", "place", "field", "what"),
    [
        ({"documents": (*DOCUMENTS, b"{broken")}, "corpus.jsonl:4", "", "not JSON"),
        ({"documents": (b"[1]",)}, "corpus.jsonl:1", "", "not a JSON object"),
        ({"documents": (*DOCUMENTS, DOCUMENTS[0])}, "corpus.jsonl:4", "_id", "twice"),
        ({"documents": ({"title": "x"},)}, "corpus.jsonl:1", "_id", "missing"),
        ({"documents": ({"_id": 7},)}, "corpus.jsonl:1", "_id", "int"),
        ({"queries": (*QUERIES, QUERIES[0])}, "queries.jsonl:3", "_id", "twice"),
        ({"queries": ({"_id": "q1"},)}, "queries.jsonl:1", "text", "missing"),
        ({"queries": ({"_id": "q1", "text": " "},)}, "queries.jsonl:1", "text", "blank"),
        ({"header": "q1\td1\t1"}, "test.tsv:1", "", "header"),
        ({"judgements": ("q1\td1",)}, "test.tsv:2", "", "2 columns"),
        ({"judgements": ("q1 d1 1",)}, "test.tsv:2", "", "1 columns"),
        ({"judgements": ("q1\td1\t1", "q1\td2\t1.5")}, "test.tsv:3", "score", "1.5"),
        ({"judgements": ("q1\td1\t-1",)}, "test.tsv:2", "score", "-1"),
        ({"judgements": ("q1\td1\tyes",)}, "test.tsv:2", "score", "yes"),
        ({"judgements": ("q1\t\t1",)}, "test.tsv:2", "corpus-id", "blank"),
        ({"judgements": ("q9\td1\t1",)}, "test.tsv:2", "query-id", "q9"),
        ({"judgements": ("q1\td1\t1", "q1\td1\t0")}, "test.tsv:3", "corpus-id", "twice"),
        ({"judgements": ()}, "test.tsv:1", "", "no judgements"),
    ],
)
def test_mistakes(
    make_folder: MakeFolder, parts: dict[str, Any], place: str, field: str, what: str
) -> None:
    with pytest.raises(DocumentError, match=what) as caught:
        read_judged_set(str(make_folder(**parts)))
    assert caught.value.where.endswith(place)
    assert caught.value.field == field
    assert caught.value.mend


def test_a_damaged_gzip_file(make_folder: MakeFolder) -> None:
    folder = make_folder(packed=True)
    path = folder / "corpus.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="not readable"):
        read_judged_set(str(folder))


def test_doubts_are_counted_and_absent_documents_stay_relevant(make_folder: MakeFolder) -> None:
    queries = (*QUERIES, {"_id": "q3", "text": "nobody judged this"}, {"_id": "q4", "text": "nil"})
    judgements = (*JUDGEMENTS, "q1\tgone\t1", "q4\td3\t0")
    judged = read_judged_set(str(make_folder(queries=queries, judgements=judgements)))
    assert judged.doubts == Doubts(
        absent_documents=1, unjudged_queries=1, queries_without_relevant=1
    )
    assert len(judged.doubts.lines()) == 3
    assert judged.qrels["q1"] == {"d1": 1, "gone": 1}
    assert list(judged.queries) == ["q1", "q2", "q4"]


def test_queries_of_other_splits_are_not_forgotten_ones(make_folder: MakeFolder) -> None:
    folder = make_folder(splits=("test", "train"))
    (folder / "qrels" / "test.tsv").write_text(f"{HEADER}\nq1\td1\t1\n")
    judged = read_judged_set(str(folder))
    assert judged.doubts == Doubts(single_query=True)
    assert "a single query" in judged.doubts.lines()[0]


@pytest.mark.parametrize(
    ("grades", "gap"),
    [((0, 1, 3), (0, 1, 3)), ((1, 4), (1, 4)), ((0, 1, 2), ()), ((2, 2, 2), ()), ((1, 2, 3), ())],
)
def test_a_grade_that_nothing_has(
    make_folder: MakeFolder, grades: tuple[int, ...], gap: tuple[int, ...]
) -> None:
    judgements = tuple(f"q{1 + n % 2}\td{n}\t{grade}" for n, grade in enumerate(grades))
    folder = make_folder(judgements=judgements)
    judged = read_judged_set(str(folder))
    assert judged.doubts.gapped_grades == gap
    (folder / "dataset.json").write_text(json.dumps({"grades": sorted(set(grades))}))
    assert read_judged_set(str(folder)).doubts.gapped_grades == ()


def test_a_gap_is_named(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder(judgements=("q1\td1\t0", "q2\td2\t3"))))
    assert "grades used are 0, 3: nothing has 1, 2" in judged.doubts.lines()


def test_a_grade_that_is_not_allowed(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "dataset.json").write_text('{"grades": [0, 1]}')
    with pytest.raises(DocumentError, match="grade 2 is not allowed") as caught:
        read_judged_set(str(folder))
    assert caught.value.where.endswith("test.tsv:3")


def test_documents_of_another_version(make_folder: MakeFolder) -> None:
    folder = make_folder()
    digest = read_judged_set(str(folder)).corpus_sha256
    (folder / "dataset.json").write_text(json.dumps({"corpus_version": digest}))
    assert read_judged_set(str(folder)).corpus_sha256 == digest
    with (folder / "corpus.jsonl").open("a") as stream:
        stream.write('{"_id": "d4", "text": "a late one"}\n')
    with pytest.raises(InputError, match=digest) as caught:
        read_judged_set(str(folder))
    assert caught.value.where == str(folder / "corpus.jsonl")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"licences": "CC0"}', "licences"),
        ('{"grades": ["1"]}', "grades.0"),
        ('{"corpus_version": "v2"}', "corpus_version"),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_mistakes_in_what_a_set_says_of_itself(
    make_folder: MakeFolder, text: str, field: str
) -> None:
    folder = make_folder()
    (folder / "dataset.json").write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_judged_set(str(folder))
    assert (caught.value.field, caught.value.where) == (field, str(folder / "dataset.json"))


def test_what_a_set_says_wins_over_what_is_known_of_it(make_folder: MakeFolder) -> None:
    folder = make_folder(name="bbc_news")
    (folder / "dataset.json").write_text('{"body_only": false, "products": ["wire"]}')
    chosen = read_judged_set(str(folder)).conventions
    assert chosen == Conventions(body_only=False, query_language=False, products=("wire",))


def test_a_run_over_the_same_documents(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    assert check_run({"q1": ("d3", "d1"), "q2": ()}, judged) == ()
    assert check_run({"q1": ("d1",), "q7": ("d2",)}, judged) == (
        "1 queries of the run are not judged and are left out",
        "1 judged queries are not in the run and count 0",
    )


def test_a_run_over_other_documents(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    run = {"q1": ("d1", "x1"), "q2": ("x2", "x1", "x3", "x4")}
    with pytest.raises(InputError, match=r"4 documents .* such as x1, x2, x3 ") as caught:
        check_run(run, judged)
    assert caught.value.where == "tiny:test"


def test_a_run_with_other_query_ids(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    with pytest.raises(InputError, match="none of the judged queries") as caught:
        check_run({"1": ("d1",), "2": ("d2",)}, judged)
    assert "q1" in caught.value.mend


def test_the_digest_of_judgements(make_folder: MakeFolder) -> None:
    folder = make_folder()
    first = read_judged_set(str(folder))
    path = folder / "qrels" / "test.tsv"
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join((head, *reversed(rows))) + "\n")
    assert read_judged_set(str(folder)).judgements_sha256 == first.judgements_sha256
    other = replace(first, queries={**first.queries, "q1": "another question"})
    assert other.judgements_sha256 != first.judgements_sha256
    path.write_text("\n".join((head, *rows)).replace("q2\td2\t2", "q2\td2\t1") + "\n")
    assert read_judged_set(str(folder)).judgements_sha256 != first.judgements_sha256


@pytest.mark.parametrize("name", ["reuters21578", "bbc_news"])
def test_known_item_sets_are_scored_without_titles(make_folder: MakeFolder, name: str) -> None:
    folder = str(make_folder(name=name))
    assert read_judged_set(folder).conventions.body_only
    assert not read_judged_set(folder, Conventions()).conventions.body_only


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('papers on "type correct" systems', "papers on type correct systems"),
        ("algorithms - concurrent ones", "algorithms concurrent ones"),
        ("FLOW AND HEAT OR NOT TO WORK", "FLOW and HEAT or not to WORK"),
        ("context-free (LALR) parsing?", "context-free LALR parsing"),
        ("Examples: t/nroff, date:x", "Examples t nroff, date x"),
        ("it's 3.5 per cent, they say.", "it's 3.5 per cent, they say."),
        ("???", "???"),
    ],
)
def test_plain_words(text: str, plain: str) -> None:
    assert plain_words(text) == plain


@given(st.text(alphabet="ab1 \t\"()[]{}^~*?:/\\+!&|<>=-.,'ANDORTé", max_size=40))
def test_plain_words_only_rank(text: str) -> None:
    plain = plain_words(text)
    if any(character.isalnum() for character in plain):
        assert constraint(parse(plain).tree) == EVERYTHING


def test_texts_are_asked_as_written_unless_said_otherwise(make_folder: MakeFolder) -> None:
    text = 'a "storm" AND harbour'
    folder = str(make_folder(queries=({"_id": "q1", "text": text},), judgements=("q1\td1\t1",)))
    assert read_judged_set(folder).queries == {"q1": text}
    plain = Conventions(query_language=False)
    assert read_judged_set(folder, plain).queries == {"q1": "a storm and harbour"}


def test_the_demo_corpus() -> None:
    judged = read_judged_set(str(ROOT / "datasets" / "demo"))
    assert judged.corpus.name == "stories.jsonl"
    assert len(judged.queries) == 30
    assert judged.doubts == Doubts(by_machine=69)  # nobody else has judged it
    assert judged.conventions.products == ("demo",)
    assert any('"' in text for text in judged.queries.values())
    uri = next(iter(judged.qrels["q01"]))
    assert judged.document_id(uri) == uri
