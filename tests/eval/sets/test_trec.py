"""TREC files are read as trec_eval reads them, and their mistakes are found with their line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DocumentError, InputError
from eval.sets.datasets import read_judged_set
from eval.sets.trec import read_judgements, read_run, read_topics
from eval.sets.trec_folder import read_documents, splits
from indexing.beir import read_bytes

DOCUMENTS = """\
<DOC>
<DOCNO> W-1 </DOCNO>
<HEADLINE>Ferry &amp; crew
safe</HEADLINE>
<TEXT>
<P>The ferry sails again.</P>

<P>At last < 3 hours late.</P>
</TEXT>
</DOC>
<DOC id="W-2" type="story"><TEXT>A storm closed the harbour.</TEXT></DOC>
<doc>
<docno>W-3</docno>
<title>Rates</title>
The central bank holds them.
</doc>
"""
TOPICS = """\
<top>
<num> Number: 301
<title> Ferries &
  islands

<desc> Description:
Which ferries sail?
<narr> Narrative: any.
</top>
<top>
<num>302</num>
<title>Topic: storms</title>
</top>
"""
QRELS = "301 0 W-1 2\n301 0 W-2 -2\n302 0 W-2 1\n302 0 W-9 1\n"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str) -> Path:
        path = tmp_path / "file.txt"
        path.write_text(text)
        return path

    return make


@pytest.fixture
def trec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "wire"
    folder.mkdir()
    (folder / "documents.sgml").write_text(DOCUMENTS)
    (folder / "topics.301-302").write_text(TOPICS)
    (folder / "qrels.txt").write_text(QRELS)
    return folder


# --- runs


def test_a_run_goes_by_score_then_by_id_descending(write: Write) -> None:
    lines = (
        "q1 Q0 a 9 1.5",
        "q1 Q0 c 2 2",
        "q2 Q0 z 1 -1e3",
        "",
        "q1\tQ0\tb\t3\t1.5",
        "q1 Q0 d 4 7.25",
    )
    path = write("".join(f"{line} x\n" for line in lines if line) + "\n")
    assert read_run(path) == {"q1": ("d", "c", "b", "a"), "q2": ("z",)}


def test_a_run_in_other_clothes(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_bytes("\ufeffq1 Q0 é 1 1 x\r\nq1 Q0 z 2 2 x\r\n".encode())
    assert read_run(path) == {"q1": ("z", "é")}
    path.write_bytes(b"q1 Q0 a 1 1 x\nq1 Q0 \xe9 2 0 x\n")
    with pytest.raises(DocumentError, match="not UTF-8") as caught:
        read_run(path)
    assert caught.value.where.endswith("run:2")


def test_a_packed_run(tmp_path: Path) -> None:
    path = tmp_path / "run.gz"
    path.write_bytes(gzip.compress(b"q1 Q0 a 1 1 x\n"))
    assert read_run(path) == {"q1": ("a",)}


SCORES = st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 1.0 + 1e-6, 1e9, 1e9 + 1, -2.5])


@given(st.dictionaries(st.sampled_from("abcdefg"), SCORES, min_size=1))
def test_the_order_is_that_of_trec_eval(scores: dict[str, float]) -> None:
    """Found out by asking for the rank of each document: scores that differ in double precision
    only are ties for trec_eval.
    """
    places = {}
    for document in scores:
        judge = pytrec_eval.RelevanceEvaluator({"q": {document: 1}}, {"recip_rank"})
        places[document] = round(1 / judge.evaluate({"q": scores})["q"]["recip_rank"])
    with TemporaryDirectory() as folder:  # each example needs its own
        path = Path(folder) / "run"
        path.write_text("".join(f"q Q0 {d} 0 {s!r} x\n" for d, s in scores.items()))
        assert read_run(path)["q"] == tuple(sorted(places, key=lambda each: places[each]))


@pytest.mark.parametrize(
    ("lines", "place", "what"),
    [
        ("q1 Q0 a 1 1 x\nq1 Q0 a 2 0.5 x\n", "file.txt:2", "stands twice"),
        ("q1 Q0 a 1 nan x\n", "file.txt:1", "no score"),
        ("q1 Q0 a 1 inf x\n", "file.txt:1", "no score"),
        ("q1 Q0 a 1 -1e39 x\n", "file.txt:1", "no score"),
        ("\nq1 Q0 a 1 high x\n", "file.txt:2", "no score"),
        ("q1 Q0 a 1 1\n", "file.txt:1", "5 columns"),
        ("q1 0 a 1\n", "file.txt:1", "4 columns"),
    ],
)
def test_mistakes_in_a_run(write: Write, lines: str, place: str, what: str) -> None:
    with pytest.raises(DocumentError, match=what) as caught:
        read_run(write(lines))
    assert caught.value.where.endswith(place)
    assert caught.value.mend


@pytest.mark.parametrize("read", [read_run, read_judgements, read_topics])
def test_an_empty_file(write: Write, read: Callable[[Path], object]) -> None:
    with pytest.raises(InputError, match=r"^(?:an empty run|no judgements|no topics)"):
        read(write("\n"))


# --- judgements


def test_judgements_take_junk_for_not_relevant(write: Write) -> None:
    path = write("301 0 a 3\n301 0 b -1\n302\t0\tc\t-2\n")
    grades, junk = read_judgements(path)
    assert (grades, junk) == ({"301": {"a": 3, "b": 0}, "302": {"c": 0}}, 2)


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("301 0 a -3\n", "'-3' is no grade"),
        ("301 0 a 1.5\n", "no grade"),
        ("301 0 a\n", "3 columns"),
        ("query-id corpus-id score\n", "3 columns"),
        ("301 0 a 1\n301 0 a 1\n", "judged twice"),
    ],
)
def test_mistakes_in_judgements(write: Write, lines: str, what: str) -> None:
    with pytest.raises(DocumentError, match=what) as caught:
        read_judgements(write(lines))
    assert caught.value.where.endswith(f"file.txt:{lines.count(chr(10))}")


# --- topics


def test_topics_closed_or_not(write: Write) -> None:
    assert read_topics(write(TOPICS)) == {"301": "Ferries & islands", "302": "storms"}


def test_topics_by_tabs(write: Write) -> None:
    path = write("t1\tferry accident\nt2\t a tab\tin the text\n")
    assert read_topics(path) == {"t1": "ferry accident", "t2": "a tab\tin the text"}


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("t1 no tab\n", 1, "no query and text"),
        ("t1\tx\nt2\t \n", 2, "no query and text"),
        ("t1\tx\nt1\ty\n", 2, "twice"),
        ("<top>\n<num> 1\n<desc> x\n</top>\n", 1, "no <title>"),
        ("<top>\n<title> x\n</top>\n", 1, "no <num>"),
        ("<top>\n<num> 1\n<title> x\n<top>\n<num> 2\n<title> y\n</top>", 1, "does not end"),
        (f"{TOPICS}stray\n", 14, "outside"),
    ],
)
def test_mistakes_in_topics(write: Write, text: str, place: int, what: str) -> None:
    with pytest.raises(DocumentError, match=what) as caught:
        read_topics(write(text))
    assert caught.value.where.endswith(f"file.txt:{place}")


# --- folders


def test_documents_in_tags(trec: Path) -> None:
    one, two, three = read_documents([trec / "documents.sgml"])
    assert (one.identifier, one.title) == ("W-1", "Ferry & crew safe")
    assert " ".join(one.text.split()) == "The ferry sails again. At last < 3 hours late."
    assert (two.identifier, two.title, two.text) == ("W-2", "", "A storm closed the harbour.")
    assert (three.identifier, three.title) == ("W-3", "Rates")
    assert three.text == "The central bank holds them."


def test_a_folder(trec: Path) -> None:
    judged = read_judged_set(str(trec))
    assert (judged.name, judged.split, judged.documents) == ("wire", "test", 3)
    assert judged.queries == {"301": "Ferries & islands", "302": "storms"}
    assert judged.qrels == {"301": {"W-1": 2, "W-2": 0}, "302": {"W-2": 1, "W-9": 1}}
    assert judged.doubts.lines() == (
        "1 judged documents are not in the corpus",
        "1 judgements are -1 or -2 and count as not relevant",
    )


def test_what_is_converted_can_be_indexed_under_the_uri_that_is_looked_for(trec: Path) -> None:
    judged = read_judged_set(str(trec))
    line = gzip.decompress(judged.corpus.read_bytes()).splitlines()[0]
    item = read_bytes(line, judged.corpus.parent.name, ("eval",)).item
    assert judged.document_id(item.uri) == "W-1"
    assert item.headline == "Ferry & crew safe"


def test_the_same_documents_are_converted_once_and_to_the_same_bytes(
    trec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_judged_set(str(trec))
    written = first.corpus.stat().st_mtime_ns
    assert read_judged_set(str(trec)).corpus.stat().st_mtime_ns == written
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    again = read_judged_set(str(trec))
    assert again.corpus != first.corpus
    assert again.corpus_sha256 == first.corpus_sha256
    (trec / "documents.sgml").write_text(DOCUMENTS.replace("storm", "gale"))
    assert read_judged_set(str(trec)).corpus_sha256 != first.corpus_sha256


def test_documents_in_a_folder_and_in_json(trec: Path) -> None:
    (trec / "documents.sgml").unlink()
    (trec / "docs" / "a").mkdir(parents=True)
    rows = ({"id": "W-1", "contents": "one"}, {"docno": "W-2", "title": "two"})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (trec / "docs" / "a" / "x.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (trec / "docs" / "b.sgml").write_text("<DOC><DOCNO>W-3</DOCNO><TEXT>x</TEXT></DOC>")
    assert read_judged_set(str(trec)).documents == 3


def test_a_corpus_that_is_one_already_is_left_where_it_is(trec: Path) -> None:
    (trec / "documents.sgml").unlink()
    (trec / "corpus.jsonl").write_text('{"_id": "W-1", "text": "one"}\n')
    judged = read_judged_set(str(trec))
    assert judged.corpus == trec / "corpus.jsonl"
    assert judged.doubts.absent_documents == 2


def test_a_file_of_judgements_is_a_split(trec: Path) -> None:
    (trec / "qrels.dev.txt").write_text("302 0 W-1 1\n")
    (trec / "topics.301-302").write_text(TOPICS + "<top><num>303<title>x</top>")
    assert splits(trec) == ("dev", "test")
    judged = read_judged_set(f"{trec}:dev")
    assert list(judged.queries) == ["302"]
    assert judged.doubts.unjudged_queries == 1  # 303; 301 is judged by the other split
    assert judged.doubts.single_query


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("documents.sgml", DOCUMENTS + DOCUMENTS, "'W-1' stands there twice"),
        ("documents.sgml", "<DOC>\n<TEXT>x</TEXT>\n</DOC>", "no number"),
        ("documents.sgml", "<DOC>\n<DOCNO>1</DOCNO>\n", "does not end"),
        ("qrels.txt", "999 0 W-1 1\n", "in no topic"),
        ("topics.more", TOPICS, "in another file too"),
        ("qrels.test", QRELS, "both the split 'test'"),
    ],
)
def test_mistakes_in_a_folder(trec: Path, file: str, text: str, what: str) -> None:
    (trec / file).write_text(text)
    with pytest.raises(InputError, match=what) as caught:
        read_judged_set(str(trec))
    assert caught.value.mend


@pytest.mark.parametrize("missing", ["documents.sgml", "topics.301-302", "qrels.txt"])
def test_a_missing_file(trec: Path, missing: str) -> None:
    (trec / missing).unlink()
    with pytest.raises(InputError, match=r"^(?:there are )?no ") as caught:
        read_judged_set(str(trec))
    assert str(trec) in caught.value.where


def test_allowed_grades_are_held_to(trec: Path) -> None:
    (trec / "dataset.json").write_text('{"grades": [0, 1]}')
    with pytest.raises(DocumentError, match="grade 2 is not allowed") as caught:
        read_judged_set(str(trec))
    assert caught.value.where.endswith("qrels.txt:1")
