"""Judged collections: documents, queries and grades, checked before anything is measured.

    FOLDER/corpus.jsonl[.gz]    BEIR: `_id`, `title`, `text`      or stories.jsonl[.gz]: ninjs
    FOLDER/queries.jsonl[.gz]   `_id`, `text`
    FOLDER/qrels/SPLIT.tsv      query-id, corpus-id, score, with that header

A collection is named `FOLDER[:SPLIT]`; the split is `test`, or the only one there is. The layout is
that of Thakur et al., 2021 (https://github.com/beir-cellar/beir).

What makes a figure wrong is an error with its place: malformed lines, duplicate ids, grades that
are no whole numbers from 0 on, judgements of unknown queries. What only makes it smaller than it
looks is counted in `Doubts`: judged documents that the corpus lacks (they still count as relevant),
queries that nobody judged (they are left out), and queries without a relevant document (they count
0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from eval.lines import Line, find, read_lines
from eval.measures import Qrels

DEFAULT_SPLIT = "test"
PRODUCT = "eval"
_HEADER = "query-id\tcorpus-id\tscore"
_CORPUS, _STORIES = "corpus.jsonl", "stories.jsonl"
_OPERATORS = re.compile(r"(?<!\S)(?:AND|OR|NOT|TO)(?!\S)")
_MARKS = re.compile(r"[\"()\[\]{}^~*?:/\\+!&|<>=]|(?<!\w)-+")


@dataclass(frozen=True, slots=True)
class Conventions:
    """How a collection is to be scored. `body_only` leaves titles out of the index: where the query
    is a document's own title, the task would be trivial. `products` are what the reader of the
    judgements may see. Queries are asked as they are written, as a user would ask them; without
    `query_language` they are published headlines, whose quotes are quotations and whose capitals
    are no operators, and they are asked as `plain_words`.
    """

    body_only: bool = False
    query_language: bool = True
    products: tuple[str, ...] = (PRODUCT,)


KNOWN = {
    "reuters21578": Conventions(body_only=True, query_language=False),
    "bbc_news": Conventions(body_only=True, query_language=False),
    "fnc1": Conventions(query_language=False),
    "demo": Conventions(products=("demo",)),
}


@dataclass(frozen=True, slots=True)
class Doubts:
    """Counts of what makes a figure smaller than it looks; see the module."""

    absent_documents: int = 0
    unjudged_queries: int = 0
    queries_without_relevant: int = 0

    def lines(self) -> tuple[str, ...]:
        """One sentence per count that is not 0."""
        said = (
            (self.absent_documents, "judged documents are not in the corpus"),
            (self.unjudged_queries, "queries have no judgement and are left out"),
            (self.queries_without_relevant, "queries have no relevant document and count 0"),
        )
        return tuple(f"{count} {what}" for count, what in said if count)


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """A collection and one split of its judgements.

    `queries` are the judged ones, id to what is asked, in the file's order; `qrels` query id to
    document id to grade. A document's uri in the index is `uri_prefix` and its id. `corpus` is the
    file to index, `documents` how many different ids it has.
    """

    name: str
    split: str
    corpus: Path
    documents: int
    queries: Mapping[str, str]
    qrels: Qrels
    uri_prefix: str
    conventions: Conventions
    doubts: Doubts

    def document_id(self, uri: str) -> str:
        """The id that judgements use for an item."""
        return uri.removeprefix(self.uri_prefix)


def read_judged_set(name: str, conventions: Conventions | None = None) -> JudgedSet:
    """Reads and checks `FOLDER[:SPLIT]`; `conventions` override what is known of the folder.

    Raises InputError where a file is missing and DocumentError for a mistake in one.
    """
    folder, split = parse_name(name)
    corpus = find(folder, _CORPUS, _STORIES)
    questions = find(folder, "queries.jsonl")
    if corpus is None:
        raise _missing(folder, f"{_CORPUS} and no {_STORIES}")
    if questions is None:
        raise _missing(folder, "queries.jsonl")
    beir = corpus.name.startswith(_CORPUS)
    texts = _read_queries(questions)
    qrels = _read_qrels(folder / "qrels" / f"{split}.tsv", texts)
    ids = _read_ids(corpus, "_id" if beir else "uri", unique=beir)
    label = folder.resolve().name
    chosen = conventions or KNOWN.get(label, Conventions())
    asked = str if chosen.query_language else plain_words
    return JudgedSet(
        name=label,
        split=split,
        corpus=corpus,
        documents=len(ids),
        queries={query: asked(text) for query, text in texts.items() if query in qrels},
        qrels=qrels,
        uri_prefix=f"urn:beir:{label}:" if beir else "",
        conventions=chosen,
        doubts=_doubts(texts, qrels, ids),
    )


def plain_words(text: str) -> str:
    """The same words without what the query language would read as its own: a quotation or a dash
    in a text must not narrow the answer. A text of nothing else stays as it is.
    """
    words = _OPERATORS.sub(lambda match: match[0].lower(), _MARKS.sub(" ", text))
    return " ".join(words.split()) or text


def parse_name(name: str) -> tuple[Path, str]:
    """Folder and split of `FOLDER[:SPLIT]`. Raises InputError where either is not there."""
    whole = Path(name)
    before, colon, after = name.rpartition(":")
    folder, wanted = (Path(before), after) if colon and not whole.is_dir() else (whole, "")
    if not folder.is_dir():
        raise InputError("no such folder", where=str(folder), mend="name a BEIR folder")
    splits = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    if not splits:
        raise InputError("no judgements", where=str(folder / "qrels"), mend="add SPLIT.tsv there")
    if not wanted:
        wanted = splits[0] if len(splits) == 1 else DEFAULT_SPLIT
    if wanted not in splits:
        there = " or ".join(f"{folder}:{split}" for split in splits)
        raise InputError(f"there is no split {wanted!r}", where=str(folder), mend=f"use {there}")
    return folder, wanted


def _missing(folder: Path, what: str) -> InputError:
    return InputError(
        f"there is no {what}",
        where=str(folder),
        mend="a judged collection has corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv",
    )


def _read_queries(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line in read_lines(path):
        tree = line.json_object()
        query = line.string(tree, "_id")
        if query in texts:
            raise _duplicate(line, "_id", query)
        texts[query] = line.string(tree, "text")
    return texts


def _read_ids(path: Path, field: str, *, unique: bool) -> set[str]:
    """The ids of all documents; ninjs has a line per version, so that a uri may stand again."""
    ids: set[str] = set()
    for line in read_lines(path):
        identifier = line.string(line.json_object(), field)
        if unique and identifier in ids:
            raise _duplicate(line, field, identifier)
        ids.add(identifier.strip())
    return ids


def _read_qrels(path: Path, queries: Mapping[str, str]) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    lines = read_lines(path)
    header = next(lines, None)
    if header is None:
        raise InputError("no judgements", where=str(path), mend=f"begin it with {_HEADER!r}")
    if header.text() != _HEADER:
        raise header.mistake("the header is missing", mend=f"begin the file with {_HEADER!r}")
    for line in lines:
        query, document, grade = _judgement(line)
        if query not in queries:
            raise line.mistake(
                f"query {query!r} is not in queries.jsonl", field="query-id", mend="add it there"
            )
        grades = qrels.setdefault(query, {})
        if document in grades:
            raise line.mistake(
                f"document {document!r} is judged twice for query {query!r}",
                field="corpus-id",
                mend="keep one of the judgements",
            )
        grades[document] = grade
    if not qrels:
        raise header.mistake("no judgements after the header", mend="add some")
    return qrels


def _judgement(line: Line) -> tuple[str, str, int]:
    columns = line.text().split("\t")
    if len(columns) != 3:
        raise line.mistake(
            f"{len(columns)} columns instead of 3", mend="query-id, corpus-id, score, by tabs"
        )
    query, document, grade = (column.strip() for column in columns)
    for field, value in (("query-id", query), ("corpus-id", document)):
        if not value:
            raise line.mistake("is blank", field=field, mend="give it a value")
    if not (grade.isascii() and grade.isdecimal()):
        raise line.mistake(
            f"{grade!r} is no grade", field="score", mend="grades are whole numbers from 0 on"
        )
    return query, document, int(grade)


def _duplicate(line: Line, field: str, value: str) -> InputError:
    return line.mistake(f"{value!r} stands there twice", field=field, mend="remove one")


def _doubts(texts: Mapping[str, str], qrels: Qrels, ids: set[str]) -> Doubts:
    judged = {document for grades in qrels.values() for document in grades}
    return Doubts(
        absent_documents=len(judged - ids),
        unjudged_queries=sum(query not in qrels for query in texts),
        queries_without_relevant=sum(not any(grades.values()) for grades in qrels.values()),
    )
