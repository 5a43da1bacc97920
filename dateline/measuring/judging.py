"""Judging by people: a folder is begun, its pool is made, and a judge is asked.

A folder of judgements is a judged set from its first grade on (`eval.sets.news_queries`), so runs,
comparisons and the gate read it as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from core.errors import InputError, StorageError
from core.items import Item
from dateline.build.service import Service, profiles
from dateline.measuring.evaluate import reader_of
from eval.judging.grades import Grades
from eval.judging.pool import Pooled, joined, pooled, read_pool, write_pool
from eval.judging.sitting import taken_over
from eval.runs.answering import PipelineAnswers
from eval.runs.measures import Run
from eval.sets.about import read_about
from eval.sets.beir import JUDGEMENTS, QUERIES
from eval.sets.datasets import parse_name, read_judged_set
from eval.sets.judged import JudgedSet
from eval.sets.lines import find, raw_lines

TAKEN_OVER = "qrels"  # the judge of grades that do not say whose they are
_POOLED_BY = ("lexical", "vector", "hybrid")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a judge sees of a document."""

    headline: str
    about: str  # kind, day, author and place, as far as they are known
    text: str


def begin(folder: Path, name: str) -> None:
    """Begin a folder of judgements with the queries, the documents and the grades of a judged set.
    Raises InputError if the folder has queries already.
    """
    if find(folder, QUERIES) is not None:
        mend = "leave --from out to go on there, or name another folder"
        raise InputError("is begun already", where=str(folder), mend=mend)
    judged = read_judged_set(name)
    source, _ = parse_name(name)
    questions = find(source, QUERIES)
    if questions is None:
        mend = "name a folder with queries.jsonl"
        raise InputError("only sets in JSON lines can be judged", where=str(source), mend=mend)
    about = read_about(source).model_copy(
        update={
            "corpus": os.path.relpath(judged.corpus.parent, folder.resolve()),
            "products": judged.conventions.products,
            "body_only": judged.conventions.body_only,
            "query_language": judged.conventions.query_language,
            "dated": judged.conventions.dated,
        }
    )
    described = about.model_dump(exclude_defaults=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dataset.json").write_bytes(orjson.dumps(described, option=orjson.OPT_INDENT_2))
        _copy(questions, folder / QUERIES)
    except OSError as error:
        raise StorageError(f"can't be written: {error}", where=str(folder)) from error
    given = find(source, JUDGEMENTS)
    if given is None:
        Grades(folder).put(*taken_over(judged, TAKEN_OVER))
    else:
        _copy(given, folder / JUDGEMENTS)


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(b"".join(line for _, line in raw_lines(source)))


def pool_of(
    service: Service,
    judged: JudgedSet,
    folder: Path,
    names: Sequence[str],
    depth: int,
    said: Callable[[str, int, int], None],
) -> tuple[Pooled, ...]:
    """Return the folder's pool. It is made by the profiles `names` if there are some, or if there
    is no pool yet, by the usual ones; what was pooled before stays. `said` gets profile, queries
    done and all. Raises InputError for an unknown profile.
    """
    former = read_pool(folder, judged.queries)
    if former and not names:
        return former
    known = profiles(service.settings)
    usual = dict.fromkeys((*_POOLED_BY, service.settings.profile))
    chosen = tuple(names) or tuple(usual)
    for name in chosen:
        if name not in known:
            raise InputError(f"there is no profile {name!r}", mend=f"known are {', '.join(known)}")
    runs = {name: _run(service, judged, name, depth, said) for name in chosen}
    pool = joined([*former, *pooled(runs, depth)])
    write_pool(folder, pool)
    return pool


def _run(
    service: Service,
    judged: JudgedSet,
    profile: str,
    depth: int,
    said: Callable[[str, int, int], None],
) -> Run:
    answering = PipelineAnswers(service.pipeline, profile, reader_of(judged))
    run: dict[str, tuple[str, ...]] = {}
    for query, text in judged.queries.items():
        said(profile, len(run), len(judged.queries))
        answer = answering.answer(text, depth, judged.dates)
        run[query] = tuple(judged.document_id(uri) for uri in answer.uris)
    said(profile, len(run), len(run))
    return run


def shown(service: Service, judged: JudgedSet, document: str) -> Shown:
    """Return a document as a judge sees it. Raises InputError if it is not in the index."""
    item = service.engine.item(judged.uri_prefix + document, reader_of(judged))
    if item is None:
        raise InputError("the reader of the judgements can't see this document", where=document)
    day = "" if judged.uri_prefix else item.versioncreated.date().isoformat()
    about = " · ".join(filter(None, (item.type.value, day, item.byline, item.located)))
    return Shown(item.headline, about, _text(item))


def document_text(service: Service, judged: JudgedSet, document: str) -> str:
    """Return what a judge sees of a document, as one text. Raises InputError."""
    seen = shown(service, judged, document)
    return f"{seen.headline}\n{seen.about}\n\n{seen.text}"


def _text(item: Item) -> str:
    """Return all texts of an item but for its headline."""
    found = (item.speech_text, item.seen_text, item.looks_text)
    parts = (item.description, item.body, item.machine_text, item.agency_shotlist, *found)
    return "\n\n".join(part.strip() for part in dict.fromkeys(parts) if part.strip())
