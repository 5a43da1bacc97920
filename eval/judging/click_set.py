"""A judged set of what people searched for, with weak grades from their clicks.

    FOLDER/queries.jsonl       {"_id": "c1", "text": "ferry", "facets": {"frequency": "head"}}
    FOLDER/qrels/clicks.tsv    grades 0 to 2 of a model of clicks
    FOLDER/dataset.json        "judged_by": "clicks", so that every run tells it

The split is named `clicks`, and a folder with judgements of people is refused: the two are compared
by whoever wants to, and never mixed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from core.customers.use import LoggedQuery
from core.errors import InputError, StorageError
from eval.judging.clicks import ClickModel, fit, impressions
from eval.sets.beir import HEADER, JUDGEMENTS

_QRELS = "clicks.tsv"
_HEAD, _TORSO = 0.1, 0.5  # shares of the queries, by frequency
_LEAST_MOVED = 0.2  # of the impressions, at several ranks


def write_click_set(folder: Path, queries: Sequence[LoggedQuery], most: int, corpus: str) -> str:
    """Write the set of the `most` frequent queries; return what it has. Raises InputError if there
    is nothing to grade by, or if people judged the folder.
    """
    others = {path.name for path in (folder / "qrels").glob("*.tsv")} - {_QRELS}
    if others or (folder / JUDGEMENTS).exists():
        what = "this folder has judgements that are not of clicks"
        raise InputError(what, where=str(folder), mend="name another folder, or an empty one")
    model = fit(impressions(queries))
    grades = model.grades()
    asked = Counter(query.words for query in queries if query.words)
    chosen = [words for words, _ in asked.most_common(most) if words in grades]
    if not chosen:
        raise InputError(
            "no query has both its words and enough clicks for a grade",
            mend="words are kept when the setting use_log_callers accounts asked the same; "
            "a grade needs about five looks at a hit",
        )
    about = {"judged_by": "clicks", "grades": [0, 1, 2]} | ({"corpus": corpus} if corpus else {})
    try:
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        (folder / "dataset.json").write_bytes(orjson.dumps(about, option=orjson.OPT_INDENT_2))
        (folder / "queries.jsonl").write_bytes(_queries(chosen))
        (folder / "qrels" / _QRELS).write_bytes(_qrels(chosen, grades))
    except OSError as error:
        raise StorageError(f"can't be written: {error}", where=str(folder)) from error
    pairs = sum(len(grades[words]) for words in chosen)
    return f"{len(chosen):,} queries with {pairs:,} weak grades{_doubt(model)}"


def _queries(chosen: Sequence[str]) -> bytes:
    """Return the lines of the queries, the most frequent first."""
    lines = []
    for place, words in enumerate(chosen):
        share = place / len(chosen)
        how = "head" if share < _HEAD else "torso" if share < _TORSO else "tail"
        lines.append({"_id": f"c{place + 1}", "text": words, "facets": {"frequency": how}})
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def _qrels(chosen: Sequence[str], grades: Mapping[str, Mapping[str, int]]) -> bytes:
    rows = [
        f"c{place}\t{uri}\t{grade}"
        for place, words in enumerate(chosen, start=1)
        for uri, grade in grades[words].items()
    ]
    return "".join(f"{row}\n" for row in (HEADER, *rows)).encode()


def _doubt(model: ClickModel) -> str:
    """Return what makes the grades doubtful: ranks can't be told from likings."""
    if model.moved >= _LEAST_MOVED:
        return ""
    return (
        f" (only {model.moved:.0%} of what was shown stood at several ranks: the model can hardly "
        "tell a look from a liking; an experiment that mixes lists moves hits)"
    )
