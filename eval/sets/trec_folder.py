"""Reads a folder of TREC files as a judged set.

    FOLDER/documents…   <DOC> with <DOCNO>, or lines of JSON; a file or a folder, .gz or not;
                        `docs…`, `corpus…` and `collection…` are understood too
    FOLDER/topics…      see `eval.sets.trec`; several files are joined
    FOLDER/qrels…       a file per split: `qrels.dev.txt` is the split `dev`, `qrels.txt` is `test`

The text of a document is in <TEXT>, its title in <HEADLINE> or the like; without <TEXT> the text is
all but the number and the title. In JSON the id is `_id`, `id`, `docno` or `doc_id`, and the text
is `text`, `contents` or `body`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import InputError
from eval.sets import beir
from eval.sets.about import About
from eval.sets.converted import Document, Said, convert, place_of, silent
from eval.sets.judged import Material
from eval.sets.lines import Line, read_lines
from eval.sets.trec import blocks, read_judgements, read_topics, without_tags

_DOCUMENTS = ("documents", "docs", "corpus", "collection")
_QRELS_END = re.compile(r"(?:\.(?:txt|qrels?|gz))+$")
_JSON = (".json", ".jsonl", ".ndjson")
_IDS, _TEXTS = ("_id", "id", "docno", "doc_id"), ("text", "contents", "body")
_NUMBER = re.compile(r"<DOCNO>(.*?)</DOCNO>", re.IGNORECASE | re.DOTALL)
_ATTRIBUTE = re.compile(r"\s*<DOC\s[^>]*?\bid=\"([^\"]+)\"", re.IGNORECASE)
_TITLE = re.compile(r"<(HEADLINE|TITLE|HEAD|HL|TTL|TI)>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TEXT = re.compile(r"<(TEXT|LP|LEADPARA)>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_APART = re.compile(r"<(DOCNO|DOCID|DOCHDR)>.*?</\1>", re.IGNORECASE | re.DOTALL)


def is_folder(folder: Path) -> bool:
    """Return whether the folder has topics or judgements of TREC."""
    return bool(_named(folder, "topics") or _named(folder, "qrels"))


def splits(folder: Path) -> tuple[str, ...]:
    """Return the splits that the folder has judgements for, sorted."""
    return tuple(sorted(_qrels(folder)))


def read_folder(folder: Path, split: str, about: About, said: Said = silent) -> Material:
    """Return one split of the folder; its documents are converted the first time
    (`eval.sets.converted`). Raises InputError if a file is missing, DocumentError for a mistake in
    one.
    """
    queries = _read_topics(folder)
    qrels = _qrels(folder)
    grades, junk = read_judgements(qrels[split], queries, about)
    label = folder.resolve().name
    corpus = _corpus(folder, label, said)
    others = (path for name, path in qrels.items() if name != split)
    return Material(
        label=label,
        split=split,
        corpus=corpus,
        ids=beir.read_ids(corpus),
        uri_prefix=f"urn:beir:{label}:",
        texts=queries,
        qrels=grades,
        elsewhere=frozenset(query for path in others for query in read_judgements(path)[0]),
        junk=junk,
        about=about,
    )


def read_documents(paths: Sequence[Path]) -> Iterator[Document]:
    """Yield the documents of the files, in order. Raises DocumentError for one without an id and
    for an id that appears again.
    """
    seen: set[str] = set()
    for path in paths:
        json = Path(path.name.removesuffix(".gz")).suffix in _JSON
        for line, document in _from_json(path) if json else _from_tags(path):
            if document.identifier in seen:
                raise beir.duplicate(line, "DOCNO", document.identifier)
            seen.add(document.identifier)
            yield document


def _read_topics(folder: Path) -> dict[str, str]:
    files = _named(folder, "topics")
    if not files:
        raise _missing(folder, "topics")
    topics: dict[str, str] = {}
    for path in files:
        found = read_topics(path)
        again = topics.keys() & found.keys()
        if again:
            what = f"topic {min(again)!r} stands in another file too"
            raise InputError(what, where=str(path), mend="keep one of them")
        topics |= found
    return topics


def _corpus(folder: Path, label: str, said: Said) -> Path:
    """Return the documents as a BEIR corpus: the folder's own if it has one, else a converted
    one.
    """
    places = [path for name in _DOCUMENTS for path in _named(folder, name, folders=True)]
    if not places:
        raise _missing(folder, "documents")
    if places[0].name in (beir.CORPUS, f"{beir.CORPUS}.gz"):
        return places[0]
    inside = (
        path for place in places for path in ([place] if place.is_file() else place.rglob("*"))
    )
    files = sorted(path for path in inside if path.is_file() and not path.name.startswith("."))
    return convert(read_documents(files), place_of(label, _digest(files)), said)


def _digest(files: Sequence[Path]) -> bytes:
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.digest()


def _from_tags(path: Path) -> Iterator[tuple[Line, Document]]:
    for line, block in blocks(path, "DOC"):
        number = _NUMBER.search(block) or _ATTRIBUTE.match(block)
        identifier = without_tags(number[1]) if number else ""
        if not identifier:
            raise line.mistake("the document has no number", field="DOCNO", mend="add <DOCNO>")
        title = _TITLE.search(block)
        texts = [without_tags(match[2]) for match in _TEXT.finditer(block)]
        if not texts:
            texts = [without_tags(_TITLE.sub(" ", _APART.sub(" ", block), count=1))]
        headline = " ".join(without_tags(title[2]).split()) if title else ""
        yield line, Document(identifier, headline, "\n\n".join(texts))


def _from_json(path: Path) -> Iterator[tuple[Line, Document]]:
    for line in read_lines(path):
        tree = line.json_object()
        identifier = line.string(tree, _first(tree, _IDS)).strip()
        title = line.string(tree, "title") if tree.get("title") else ""
        field = _first(tree, _TEXTS)
        yield line, Document(identifier, title, line.string(tree, field) if tree.get(field) else "")


def _first(tree: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((name for name in names if name in tree), names[0])


def _qrels(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in _named(folder, "qrels"):
        split = _QRELS_END.sub("", path.name[len("qrels") :]).strip("._-") or "test"
        if split in found:
            what = f"{path.name} and {found[split].name} are both the split {split!r}"
            raise InputError(what, where=str(folder), mend="rename one")
        found[split] = path
    return found


def _named(folder: Path, start: str, *, folders: bool = False) -> list[Path]:
    paths = sorted(folder.glob(f"{start}*"))
    return [path for path in paths if path.is_file() or (folders and path.is_dir())]


def _missing(folder: Path, what: str) -> InputError:
    mend = "a TREC folder has documents, topics and qrels"
    return InputError(f"there are no {what}", where=str(folder), mend=mend)
