"""Judged collections: documents, queries and grades, checked before anything is measured.

    FOLDER[:SPLIT]     lines of JSON (`eval.sets.beir`): BEIR folders, our own judged news queries;
                       or TREC files (`eval.sets.trec_folder`)
    irds:NAME          a set of ir_datasets (`eval.sets.ir_sets`)

The split is `test`, or the only one there is.

What makes a figure wrong is an error with its place: malformed lines, duplicate ids, grades that
are no whole numbers from 0 on or not allowed, judgements of unknown queries, documents of another
version than the set was judged for, a run over other documents. What only makes a figure lower or
less certain than it looks is counted in `Doubts`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from core.errors import InputError
from eval.runs.measures import Qrels, Run
from eval.sets import beir, ir_sets, trec_folder
from eval.sets.about import About, read_about
from eval.sets.converted import Said, silent
from eval.sets.judged import (
    KNOWN,
    LEAST_AGREEMENT,
    PRODUCT,
    Conventions,
    Doubts,
    JudgedSet,
    Material,
    plain_words,
)
from eval.sets.lines import find

__all__ = [
    "KNOWN",
    "PRODUCT",
    "Conventions",
    "Doubts",
    "JudgedSet",
    "check_run",
    "is_judged_folder",
    "parse_name",
    "plain_words",
    "read_judged_set",
    "read_to_judge",
    "splits_of",
]

DEFAULT_SPLIT = "test"
_SHOWN = 3


def read_judged_set(
    name: str,
    conventions: Conventions | None = None,
    *,
    download: bool = False,
    said: Said = silent,
) -> JudgedSet:
    """Read and check the set of a name.

    `conventions` override what is known of it, `download` lets ir_datasets fetch it, and `said`
    gets the progress of a conversion of documents. Raises InputError if a file is missing and
    DocumentError for a mistake in one.
    """
    if ir_sets.is_name(name):
        return _judged(ir_sets.read_ir_set(name, download=download, said=said), conventions)
    folder, split = parse_name(name)
    about = read_about(folder)
    if _in_json(folder):
        return _judged(beir.read_folder(folder, split, about), conventions)
    if about.corpus:
        what = "TREC files can't name another set's documents"
        mend = "put the documents into the folder, or the queries into queries.jsonl"
        raise InputError(what, where=str(folder), mend=mend)
    return _judged(trec_folder.read_folder(folder, split, about, said), conventions)


def read_to_judge(folder: Path) -> JudgedSet:
    """Read and check a folder whose queries are to be judged: all of its queries, with no grades.
    Raises InputError and DocumentError as `read_judged_set` does.
    """
    if not folder.is_dir():
        mend = "name a folder with queries.jsonl and documents, or begin one with --from"
        raise InputError("no such folder", where=str(folder), mend=mend)
    if (folder / "qrels").is_dir():
        mend = "begin a folder of your own with this set's queries and grades: --from"
        raise InputError("has judgements without judges, in qrels", where=str(folder), mend=mend)
    material = beir.read_folder(folder, "", read_about(folder))
    return _judged(replace(material, qrels={query: {} for query in material.texts}), None)


def parse_name(name: str) -> tuple[Path, str]:
    """Return folder and split of `FOLDER[:SPLIT]`. Raises InputError if either does not exist."""
    whole = Path(name)
    before, colon, after = name.rpartition(":")
    folder, wanted = (Path(before), after) if colon and not whole.is_dir() else (whole, "")
    if not folder.is_dir():
        mend = "name a folder with judged queries, or irds:NAME"
        raise InputError("no such folder", where=str(folder), mend=mend)
    splits = splits_of(folder)
    if not wanted:
        wanted = splits[0] if len(splits) == 1 else DEFAULT_SPLIT
    if wanted not in splits:
        there = " or ".join(f"{folder}:{split}" for split in splits)
        raise InputError(f"there is no split {wanted!r}", where=str(folder), mend=f"use {there}")
    return folder, wanted


def splits_of(folder: Path) -> tuple[str, ...]:
    """Return the splits that the folder has judgements for, sorted. Raises InputError if it has
    none.
    """
    splits = beir.splits(folder) if _in_json(folder) else trec_folder.splits(folder)
    if not splits:
        raise InputError("no judgements", where=str(folder / "qrels"), mend="add SPLIT.tsv there")
    return splits


def is_judged_folder(folder: Path) -> bool:
    """Return whether the folder looks like a judged set, valid or not."""
    names = (beir.QUERIES, beir.JUDGEMENTS)
    return find(folder, *names) is not None or trec_folder.is_folder(folder)


def check_run(run: Run, judged: JudgedSet) -> tuple[str, ...]:
    """Return notes on a run before it is scored: queries that only one of the two has.

    Reads the corpus's ids. Raises InputError for documents that the corpus lacks, because a run
    over these documents can't have found them, and for a run that answers none of the judged
    queries.
    """
    ids = beir.read_ids(judged.corpus)
    foreign = dict.fromkeys(d for ranking in run.values() for d in ranking if d not in ids)
    if foreign:
        shown = ", ".join(islice(foreign, _SHOWN))
        raise InputError(
            f"{len(foreign)} documents of the run are not in the corpus, such as {shown}",
            where=f"{judged.name}:{judged.split}",
            mend="score it against the corpus that it was made over, in the same version",
        )
    unknown = sum(query not in judged.queries for query in run)
    missing = sum(query not in run for query in judged.queries)
    if missing == len(judged.queries):
        raise InputError(
            "the run answers none of the judged queries",
            where=f"{judged.name}:{judged.split}",
            mend=f"its ids should look like {next(iter(judged.queries))}",
        )
    said = (
        (unknown, "queries of the run are not judged and are left out"),
        (missing, "judged queries are not in the run and count 0"),
    )
    return tuple(f"{count} {what}" for count, what in said if count)


def _in_json(folder: Path) -> bool:
    """Return whether `eval.sets.beir` reads the folder; that reader also says what an empty folder
    lacks.
    """
    there = find(folder, beir.QUERIES, beir.JUDGEMENTS) is not None
    return there or not trec_folder.is_folder(folder) or any((folder / "qrels").glob("*.tsv"))


def _judged(material: Material, conventions: Conventions | None) -> JudgedSet:
    digest = _corpus_digest(material)
    chosen = conventions or _conventions(material.label, material.about)
    asked = str if chosen.query_language else plain_words
    queries = {
        query: asked(text) for query, text in material.texts.items() if query in material.qrels
    }
    return JudgedSet(
        name=material.label,
        split=material.split,
        corpus=material.corpus,
        documents=len(material.ids),
        queries=queries,
        qrels=material.qrels,
        uri_prefix=material.uri_prefix,
        conventions=chosen,
        doubts=_doubts(material),
        corpus_sha256=digest,
        slices={query: material.facets[query] for query in queries if query in material.facets},
        languages=material.about.languages,
        licence=material.about.licence,
        judges=material.judges,
        agreement=material.agreement,
        title=material.about.name,
        corpus_name=material.corpus_name or material.label,
    )


def _conventions(label: str, about: About) -> Conventions:
    """Return what is known of a set with this name, overridden by what the set states."""
    known = KNOWN.get(label, Conventions())
    language = about.query_language
    return Conventions(
        body_only=known.body_only if about.body_only is None else about.body_only,
        query_language=known.query_language if language is None else language,
        products=known.products if about.products is None else about.products,
        dated=known.dated if about.dated is None else about.dated,
    )


def _corpus_digest(material: Material) -> str:
    with material.corpus.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    stated = material.about.corpus_version
    if stated and stated != digest:
        raise InputError(
            f"the documents' sha256 is {digest}, and dataset.json says {stated}",
            where=str(material.corpus),
            mend="get the documents that were judged, or judge these and mend corpus_version",
        )
    return digest


def _doubts(material: Material) -> Doubts:
    qrels, alpha = material.qrels, material.agreement
    judged = {document for grades in qrels.values() for document in grades}
    known = qrels.keys() | material.elsewhere
    by = material.about.judged_by
    grades = sum(map(len, qrels.values()))
    return Doubts(
        absent_documents=len(judged - material.ids),
        unjudged_queries=sum(query not in known for query in material.texts),
        queries_without_relevant=sum(not any(grades.values()) for grades in qrels.values()),
        junk_judgements=material.junk,
        gapped_grades=() if material.about.grades else _gapped(_grades(qrels)),
        single_query=len(qrels) == 1,
        by_machine=grades if by == "language models" else material.by_machine,
        by_clicks=grades if by == "clicks" else 0,
        low_agreement=alpha if alpha is not None and alpha < LEAST_AGREEMENT else None,
    )


def _grades(qrels: Qrels) -> set[int]:
    return {grade for grades in qrels.values() for grade in grades.values()}


def _gapped(used: Iterable[int]) -> tuple[int, ...]:
    """Return the grades, sorted, if one between the lowest and the highest is missing; else
    none.
    """
    grades = tuple(sorted(used))
    return grades if grades and grades[-1] - grades[0] >= len(grades) else ()
