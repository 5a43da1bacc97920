"""Reads the files of TREC: runs, judgements and topics, with the line of each mistake.

    run      query Q0 document rank score tag          by white space; the tag may have blanks
             query document score                      without what a run's score does not need
             {"query": {"document": score, …}, …}      JSON, as ranx writes it
    qrels    query iteration document grade            by white space
    topics   <top> <num> Number: 301 <title> … </top>  or   query TAB text

A run is read as trec_eval does: by score, in single precision; equal scores go by document id,
descending; the rank is ignored. In judgements -1 and -2 mean that a document is junk, or was pooled
and not judged: it counts as not relevant (https://trec.nist.gov/data/).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from html import unescape
from pathlib import Path

import numpy as np
import orjson

from core.errors import DocumentError, InputError
from eval.runs.measures import Qrels, Run
from eval.sets.about import About
from eval.sets.lines import Line, raw_lines, read_lines

JUNK = (-1, -2)
_LARGEST = float(np.finfo(np.float32).max)
_NO_TERMS = About()
_TAG = re.compile(r"<(/?)(\w+)[^<>]*>")
_LABEL = re.compile(r"^(?:Number|Topic)\s*:\s*", re.IGNORECASE)


def read_run(path: Path) -> Run:
    """Return the documents of each query, best first. Raises DocumentError for a malformed line, a
    score that is not finite and a document that appears twice for a query, and InputError for a
    file without lines.
    """
    scores: dict[str, dict[str, float]] = {}
    last, of_query = b"", dict[str, float]()
    for number, data in raw_lines(path):
        if not scores and data.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
            return _json_run(path)
        try:
            query, name, value = _columns(data)
            document, score = name.decode(), float(value)
            if query != last:
                last, of_query = query, scores.setdefault(query.decode("utf-8-sig"), {})
        except ValueError as error:
            raise _run_mistake(Line(path, number, data)) from error
        if document in of_query or not abs(score) <= _LARGEST:  # a NaN fails every comparison
            raise _run_mistake(Line(path, number, data))
        of_query[document] = score
    if not scores:
        raise InputError("an empty run", where=str(path), mend="name a file with answers")
    return {query: _ranked(of_query) for query, of_query in scores.items()}


def _columns(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the query, document and score of a line. Raises ValueError if it has other columns."""
    columns = data.split(None, 5)  # the last is the tag, with its blanks
    if len(columns) == 6:
        return columns[0], columns[2], columns[4]
    query, document, score = columns
    return query, document, score


def _json_run(path: Path) -> Run:
    """Return the run in a JSON file. Raises DocumentError for another form and a score that is not
    a finite number, and InputError for a run without documents.
    """
    mend = 'write {"query": {"document": score}}'
    where = str(path)
    try:
        tree = orjson.loads(b"".join(data for _, data in raw_lines(path)).lstrip(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error}", where=where, mend=mend) from error
    for query, scores in tree.items():
        if not isinstance(scores, dict):
            raise DocumentError("no documents with scores", where=where, field=query, mend=mend)
        for document, score in scores.items():
            number = isinstance(score, int | float) and not isinstance(score, bool)
            if not number or not abs(score) <= _LARGEST:
                what = f"{score!r} is no score of {document!r}"
                raise DocumentError(what, where=where, field=query, mend=mend)
    if not any(tree.values()):
        raise InputError("an empty run", where=where, mend="name a file with answers")
    return {query: _ranked(scores) for query, scores in tree.items() if scores}


def read_judgements(
    path: Path, queries: Container[str] | None = None, about: About = _NO_TERMS
) -> tuple[Qrels, int]:
    """Return the grades of each query's documents, and how many of them were `JUNK`, which counts
    as 0. Raises DocumentError for a malformed line, a document that is judged twice, a query that
    is not among `queries` (if given), and a grade that `about` does not allow; InputError for a
    file without lines.
    """
    qrels: dict[str, dict[str, int]] = {}
    junk = 0
    for line in read_lines(path):
        query, document, grade = _judgement(line)
        if queries is not None and query not in queries:
            raise line.mistake(
                f"query {query!r} is in no topic", field="query", mend="add its topic"
            )
        grades = qrels.setdefault(query, {})
        if document in grades:
            raise line.mistake(
                f"document {document!r} is judged twice for query {query!r}",
                field="document",
                mend="keep one of the judgements",
            )
        junk += grade in JUNK
        grades[document] = 0 if grade in JUNK else about.check_grade(line, grade, "grade")
    if not qrels:
        raise InputError("no judgements", where=str(path), mend="add some")
    return qrels, junk


def read_topics(path: Path) -> dict[str, str]:
    """Return the queries of a file in either form, in order; of a `<top>` the title is the query.
    Raises DocumentError for a topic without number or title and for one that appears twice, and
    InputError for a file without topics.
    """
    first = next(read_lines(path), None)
    if first is None:
        raise InputError("no topics", where=str(path), mend="add some")
    tagged = first.text().lstrip().startswith("<")
    topics: dict[str, str] = {}
    for line, query, text in _tagged_topics(path) if tagged else _plain_topics(path):
        if query in topics:
            raise line.mistake(f"topic {query!r} stands there twice", mend="remove one")
        topics[query] = text
    if not topics:
        raise InputError("no topics", where=str(path), mend="they begin with <top>")
    return topics


def blocks(path: Path, tag: str) -> Iterator[tuple[Line, str]]:
    """Yield the texts from <TAG> to </TAG>, tags included, and the line on which each begins.
    Raises DocumentError for text between blocks and for a block without an end.
    """
    opens = re.compile(rf"\s*<{tag}(?:\s[^>]*)?>", re.IGNORECASE)
    closes = re.compile(rf"</{tag}\s*>", re.IGNORECASE)
    start: Line | None = None
    texts: list[str] = []
    for line in read_lines(path):
        text = line.text()
        if opens.match(text):
            if start is not None:
                break
            start, texts = line, []
        elif start is None and not text.lstrip().startswith("<"):
            raise line.mistake(
                f"text outside of <{tag}>", mend=f"put it between <{tag}> and its end"
            )
        texts.append(text)
        if start is not None and closes.search(text):
            yield start, "\n".join(texts)
            start = None
    if start is not None:
        raise start.mistake(f"<{tag}> does not end", mend=f"close it with </{tag}>")


def without_tags(text: str) -> str:
    """Return the text between the tags, entities resolved."""
    return unescape(_TAG.sub(" ", text)).strip()


def _tagged_topics(path: Path) -> Iterator[tuple[Line, str, str]]:
    for line, block in blocks(path, "top"):
        fields = _open_fields(block)
        query, title = (_LABEL.sub("", fields.get(name, "")) for name in ("num", "title"))
        for name, value in (("num", query), ("title", title)):
            if not value:
                raise line.mistake(f"the topic has no <{name}>", field=name, mend="add it")
        yield line, query, title


def _open_fields(block: str) -> dict[str, str]:
    """Return the text after each tag, up to the next one, because fields of topics often are not
    closed.
    """
    tags = list(_TAG.finditer(block))
    ends = [tag.start() for tag in tags[1:]] + [len(block)]
    fields: dict[str, str] = {}
    for tag, end in zip(tags, ends, strict=True):
        if not tag[1]:
            fields[tag[2].lower()] = " ".join(unescape(block[tag.end() : end]).split())
    return fields


def _plain_topics(path: Path) -> Iterator[tuple[Line, str, str]]:
    for line in read_lines(path):
        query, _, text = (part.strip() for part in line.text().partition("\t"))
        if not query or not text:
            raise line.mistake("no query and text", mend="query TAB text, or topics in <top>")
        yield line, query, text


def _judgement(line: Line) -> tuple[str, str, int]:
    columns = line.text().split()
    if len(columns) != 4:
        what = f"{len(columns)} columns instead of 4"
        raise line.mistake(what, mend="query iteration document grade, by white space")
    query, _, document, grade = columns
    try:
        value = int(grade)
    except ValueError as error:
        mend = "grades are whole numbers"
        raise line.mistake(f"{grade!r} is no grade", field="grade", mend=mend) from error
    if value < min(JUNK):
        mend = "whole numbers from 0 on, or -1 and -2 for junk"
        raise line.mistake(f"{grade!r} is no grade", field="grade", mend=mend)
    return query, document, value


def _run_mistake(line: Line) -> DocumentError:
    """Return the mistake in a line of a run. It is determined only after a line failed."""
    columns = line.text().split()
    if len(columns) < 6 and len(columns) != 3:
        what = f"{len(columns)} columns instead of 6 or 3"
        mend = "query Q0 document rank score tag, or query document score, by white space"
        return line.mistake(what, mend=mend)
    query, document, score = columns if len(columns) == 3 else columns[0:5:2]
    try:
        sound = abs(float(score)) <= _LARGEST
    except ValueError:
        sound = False
    if not sound:
        mend = "scores are finite numbers of single precision"
        return line.mistake(f"{score!r} is no score", field="score", mend=mend)
    what = f"document {document!r} stands twice for query {query!r}"
    return line.mistake(what, field="document", mend="keep its best place")


def _ranked(scores: dict[str, float]) -> tuple[str, ...]:
    single = np.array(list(scores.values()), np.float32).tolist()
    pairs = sorted(zip(single, scores, strict=True), reverse=True)
    return tuple(document for _, document in pairs)
