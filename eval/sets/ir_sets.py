"""Reads a judged set of ir_datasets by its name, such as `irds:vaswani` or
`irds:beir/scifact/test`.

S. MacAvaney et al., Simplified Data Wrangling with ir_datasets, 2021 (https://ir-datasets.com). The
library is in the extra [irds]. Only sets on this machine are read (in $IR_DATASETS_HOME, or
~/.ir_datasets), unless a download was asked for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from core.errors import InputError
from eval.sets import beir
from eval.sets.converted import Document, Said, convert, place_of, silent
from eval.sets.judged import Material
from eval.sets.trec import JUNK

PREFIX = "irds:"
SPLIT = "all"  # the library's names include the split
_NO_TEXT = frozenset({"doc_id", "title", "url", "marked_up_doc"})


def is_name(name: str) -> bool:
    """Return whether the name begins with `irds:`."""
    return name.startswith(PREFIX)


def read_ir_set(name: str, *, download: bool = False, said: Said = silent) -> Material:
    """Return the set `irds:NAME`; its documents are converted the first time
    (`eval.sets.converted`).

    Raises InputError if the library is missing, the name is unknown, the set lacks documents,
    queries or judgements, or it is not on this machine and must not be downloaded.
    """
    inner = name.removeprefix(PREFIX)
    label = "irds-" + inner.replace("/", "-")
    with _reading(name, download=download):
        dataset = _load(name, inner)
        texts = {query.query_id: _query_text(query) for query in dataset.queries_iter()}
        qrels, junk = _qrels(dataset, name, texts)
        path = place_of(label, hashlib.sha256(name.encode()).digest())
        corpus = convert(_documents(dataset, name, download=download), path, said)
    return Material(
        label=label,
        split=SPLIT,
        corpus=corpus,
        ids=beir.read_ids(corpus),
        uri_prefix=f"urn:beir:{label}:",
        texts=texts,
        qrels=qrels,
        junk=junk,
    )


def _load(name: str, inner: str) -> Any:
    if find_spec("ir_datasets") is None:
        mend = 'install the extra: pip install "dateline-search[irds]"'
        raise InputError("ir_datasets is not installed", where=name, mend=mend)
    try:
        dataset = import_module("ir_datasets").load(inner)
    except KeyError as error:
        mend = "names are listed at https://ir-datasets.com"
        raise InputError(f"ir_datasets has no {inner!r}", where=name, mend=mend) from error
    for part in ("docs", "queries", "qrels"):
        if not dataset.has(part):
            mend = "take one of its parts that is judged, such as NAME/test"
            raise InputError(f"the set has no {part}", where=name, mend=mend)
    return dataset


@contextmanager
def _reading(name: str, *, download: bool) -> Iterator[None]:
    """Turn the library's errors into ours."""
    try:
        if download or find_spec("ir_datasets") is None:
            yield
        else:
            with _offline(name):
                yield
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(name, error, download=download) from error


@contextmanager
def _offline(name: str) -> Iterator[None]:
    """Stop the library from downloading while the block runs; it has no setting for that. Not safe
    if another thread downloads.
    """
    downloads = import_module("ir_datasets.util.download")
    log = logging.getLogger("ir_datasets")
    kinds = [
        kind
        for kind in downloads.BaseDownload.__subclasses__()
        if kind is not downloads.LocalDownload
    ]
    kept = [(kind, kind.stream) for kind in kinds]

    def refuse(_: object) -> None:
        raise _absent(name)

    disabled, log.disabled = log.disabled, True
    try:
        for kind in kinds:
            kind.stream = refuse
        yield
    finally:
        log.disabled = disabled
        for kind, stream in kept:
            kind.stream = stream


def _documents(dataset: Any, name: str, *, download: bool) -> Iterator[Document]:
    seen: set[str] = set()
    try:
        for row in dataset.docs_iter():
            if row.doc_id in seen:
                what = f"document {row.doc_id!r} stands there twice"
                raise InputError(what, where=name, mend="the set is damaged")
            seen.add(row.doc_id)
            yield Document(row.doc_id, str(getattr(row, "title", "") or ""), _document_text(row))
    except OSError as error:  # else it would look like a failure to write
        raise _unreadable(name, error, download=download) from error


def _document_text(row: Any) -> str:
    """Return the document's `text`, else all its texts but title and address."""
    if isinstance(text := getattr(row, "text", None), str):
        return text
    fields = row._asdict()  # named tuples
    return "\n\n".join(
        v for k, v in fields.items() if k not in _NO_TEXT and isinstance(v, str) and v
    )


def _query_text(row: Any) -> str:
    """Return what a user would type: `text`, else `title`, else the library's default text."""
    for field in ("text", "title"):
        if isinstance(text := getattr(row, field, None), str) and text.strip():
            return text
    return str(row.default_text())


def _qrels(
    dataset: Any,
    name: str,
    texts: dict[str, str],
) -> tuple[dict[str, dict[str, int]], int]:
    qrels: dict[str, dict[str, int]] = {}
    junk = 0
    for row in dataset.qrels_iter():
        what = ""
        if row.query_id not in texts:
            what = f"judgements of the unknown query {row.query_id!r}"
        elif row.doc_id in qrels.get(row.query_id, {}):
            what = f"document {row.doc_id!r} is judged twice for query {row.query_id!r}"
        elif row.relevance < min(JUNK):
            what = f"{row.relevance} is no grade (query {row.query_id!r})"
        if what:
            raise InputError(what, where=name, mend="take another version of the set")
        junk += row.relevance in JUNK
        qrels.setdefault(row.query_id, {})[row.doc_id] = max(0, row.relevance)
    if not qrels:
        raise InputError("no judgements", where=name, mend="take another set")
    return qrels, junk


def _absent(name: str) -> InputError:
    return InputError(
        "the set is not on this machine, and nothing is downloaded unasked",
        where=name,
        mend=f"dateline eval datasets {name} --download",
    )


def _unreadable(name: str, error: Exception, *, download: bool) -> InputError:
    if not download and any(isinstance(each, InputError) for each in _parts(error)):
        return _absent(name)
    what = f"can't be read: {error}"
    if isinstance(error, FileNotFoundError):
        what = f"needs files that can't be downloaded: {error.filename or error}"
    top = name.removeprefix(PREFIX).partition("/")[0]
    return InputError(what, where=name, mend=f"see https://ir-datasets.com/{top}.html")


def _parts(error: Exception) -> Iterator[object]:
    """Yield the errors of several sources that the library collected in one error."""
    for argument in error.args:
        if isinstance(argument, list):
            yield from (
                part for pair in argument for part in (pair if isinstance(pair, tuple) else ())
            )
