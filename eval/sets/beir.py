"""Reads judged sets in JSON lines: BEIR folders, and our own judged news queries.

    FOLDER/corpus.jsonl[.gz]      BEIR: `_id`, `title`, `text`      or stories.jsonl[.gz]: ninjs
                                  or neither, see `eval.sets.corpus_place`
    FOLDER/queries.jsonl[.gz]     `_id`, `text`, perhaps `facets` (see `eval.sets.news_queries`)
    FOLDER/qrels/SPLIT.tsv        query-id, corpus-id, score, with that header
      or judgements.jsonl[.gz]    who gave which grade (see `eval.sets.news_queries`); split `test`
    FOLDER/machine-judgements.jsonl   beside the latter: those of a language model, as the split
                                  `machine`, and where people gave none, as `test+machine`

The first layout is that of Thakur et al., 2021 (https://github.com/beir-cellar/beir).
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from core.errors import InputError
from eval.sets.about import About
from eval.sets.corpus_place import corpus_folder
from eval.sets.judged import Material
from eval.sets.lines import Line, find, read_lines
from eval.sets.news_queries import Judgements, read_facets, read_judgements

HEADER = "query-id\tcorpus-id\tscore"
CORPUS, STORIES, QUERIES, JUDGEMENTS = (
    "corpus.jsonl",
    "stories.jsonl",
    "queries.jsonl",
    "judgements.jsonl",
)
MACHINE_JUDGEMENTS = "machine-judgements.jsonl"
_PEOPLE, _MACHINE, _BOTH = "test", "machine", "test+machine"


def splits(folder: Path) -> tuple[str, ...]:
    """Return the splits that the folder has judgements for, sorted. Raises InputError if it has
    both kinds of judgements.
    """
    tables = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    if find(folder, JUDGEMENTS) is None:
        return tuple(tables)
    if tables:
        what = f"both {JUDGEMENTS} and qrels/{tables[0]}.tsv are there"
        raise InputError(what, where=str(folder), mend="keep one of them")
    has_machine = find(folder, MACHINE_JUDGEMENTS) is not None
    return (_MACHINE, _PEOPLE, _BOTH) if has_machine else (_PEOPLE,)


def read_folder(folder: Path, split: str, about: About) -> Material:
    """Return one split of the folder, or with split "" the folder without its judgements. Raises
    InputError if a file is missing, DocumentError for a mistake in one.
    """
    corpus, questions = _documents(folder, about.corpus), find(folder, QUERIES)
    if questions is None:
        raise _missing(folder, QUERIES)
    plain = corpus.name.startswith(CORPUS)
    label, home = folder.resolve().name, corpus.parent.resolve().name
    texts, facets = _read_queries(questions)
    judged = _read_judged(folder, split, texts, about) if split else Judgements({}, (), None)
    return Material(
        label=label,
        split=split,
        corpus=corpus,
        ids=read_ids(corpus),
        uri_prefix=f"urn:beir:{home}:" if plain else "",
        texts=texts,
        qrels=judged.qrels,
        facets=facets,
        elsewhere=_judged_elsewhere(folder, split),
        judges=judged.judges,
        agreement=judged.agreement,
        by_machine=judged.by_machine,
        about=about,
        corpus_name=home,
    )


def _documents(folder: Path, stated: str) -> Path:
    """Return the file of the documents: the folder's own, or that of the set it states. Raises
    InputError if there is neither or both.
    """
    own = find(folder, CORPUS, STORIES)
    if own is not None and stated:
        what = f"{own.name} is there, and dataset.json says that the documents are {stated!r}"
        raise InputError(what, where=str(folder), mend="keep one of the two")
    home = corpus_folder(folder, stated) if stated else folder
    found = own or find(home, CORPUS, STORIES)
    if found is None:
        raise _missing(home, f"{CORPUS} and no {STORIES}")
    return found


def read_ids(corpus: Path) -> set[str]:
    """Return the ids of all documents. A BEIR id may appear once; ninjs has a line per version, so
    a uri may appear again. Raises DocumentError.
    """
    unique = corpus.name.startswith(CORPUS)
    field = "_id" if unique else "uri"
    ids: set[str] = set()
    for line in read_lines(corpus):
        identifier = line.string(line.json_object(), field)
        if unique and identifier in ids:
            raise duplicate(line, field, identifier)
        ids.add(identifier.strip())
    return ids


def duplicate(line: Line, field: str, value: str) -> InputError:
    """Return the error for an id that appears again on this line."""
    return line.mistake(f"{value!r} stands there twice", field=field, mend="remove one")


def _missing(folder: Path, what: str) -> InputError:
    return InputError(
        f"there is no {what}",
        where=str(folder),
        mend="a judged collection has corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv",
    )


def _read_queries(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    texts: dict[str, str] = {}
    facets: dict[str, dict[str, str]] = {}
    for line in read_lines(path):
        tree = line.json_object()
        query = line.string(tree, "_id")
        if query in texts:
            raise duplicate(line, "_id", query)
        texts[query] = line.string(tree, "text")
        if said := read_facets(line, tree):
            facets[query] = said
    return texts, facets


def _read_judged(folder: Path, split: str, queries: Container[str], about: About) -> Judgements:
    several, machine = find(folder, JUDGEMENTS), find(folder, MACHINE_JUDGEMENTS)
    if several is not None and machine is not None and split != _PEOPLE:
        its = read_judgements(machine, queries, about, by_machine=True)
        return its if split == _MACHINE else read_judgements(several, queries, about).before(its)
    if several is not None:
        return read_judgements(several, queries, about)
    return Judgements(_read_qrels(folder / "qrels" / f"{split}.tsv", queries, about), (), None)


def _read_qrels(path: Path, queries: Container[str], about: About) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    lines = read_lines(path)
    header = next(lines, None)
    if header is None:
        raise InputError("no judgements", where=str(path), mend=f"begin it with {HEADER!r}")
    if header.text() != HEADER:
        raise header.mistake("the header is missing", mend=f"begin the file with {HEADER!r}")
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
        grades[document] = about.check_grade(line, grade, "score")
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


def _judged_elsewhere(folder: Path, split: str) -> frozenset[str]:
    """Return the queries that other splits judge, so that they don't count as unjudged. Mistakes in
    these files are reported when those splits are measured.
    """
    others = (path for path in (folder / "qrels").glob("*.tsv") if path.stem != split)
    return frozenset(
        line.data.split(b"\t")[0].strip().decode("utf-8", "replace")
        for path in others
        for line in read_lines(path)
    )
