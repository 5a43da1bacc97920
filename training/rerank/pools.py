"""Pairs of queries and passages to pools, as BEIR folders that the served pipeline searches.

    python -P -m training.rerank.pools --pairs ../shared/train --output DIR [--sets DIR] [--most N]

`--pairs` has files NAME.jsonl.gz with lines {"query", "positive", "title"?}. DIR gets

    judge/NAME    the whole source NAME, which nothing is trained or chosen on
    choose/NAME   the whole source NAME, on which weights and sizes are chosen
    learn/LANG    at most N pairs of each other source, one pool a language: what is learned from

A pair is left out of learn/ if its query or passage is nearly the same (MinHash of .5 or more) as a
text of a judging or choosing source, or of a set below `--sets`. `dateline eval candidates
DIR/learn/LANG --profile best` then mines the lists: the right passage, and what the search found
instead.
"""

import argparse
import gzip
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dateline.measuring.unseen import Learned
from training.beir import read_lines, text_of

# Named before anything was trained. News, science, claims and questions, each by people who took
# part in no source that is learned from.
JUDGING = ("masakhanews_en", "wikinews_en", "pubmedqa", "wice", "strategyqa")
CHOOSING = ("opensuse_news", "covidqa")
JUDGED_SETS = ("scifact", "checkthat2020", "cacm", "vaswani", "fnc1")
FREE = ("digitalgov_news", "18f_blog", "scitldr", "foolmetwice")  # weights may be given away
ALL = (*FREE, "allsides_news")
OTHERS = {  # by language
    "de": ("klexikon_de",),
    "es": ("spanish_news_es",),
    "fr": ("piaf_fr", "masakhanews_fr"),
    "ar": ("arcd_ar",),
}
MOST = 1500  # pairs of a source
_T = TypeVar("_T", str, tuple[str, str])
_BEGINNING = 600  # characters in which two texts are compared


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it, with the passage's title ("": none)."""

    query: str
    positive: str
    title: str
    source: str


def read_pairs(folder: Path, source: str) -> list[Pair]:
    """Return the pairs of `source` in their order."""
    rows = read_lines(folder, source)
    return [Pair(row["query"], row["positive"], row.get("title", ""), source) for row in rows]


def unlike(pairs: Iterable[Pair], apart: Learned) -> list[Pair]:
    """Return the pairs that share no nearly equal text with those `apart`."""
    return [pair for pair in pairs if apart.share((pair.query, pair.positive)) == 0.0]


def texts_apart(pairs: Path, sets: Path | None) -> Iterator[str]:
    """Yield the beginnings of all texts that nothing may be learned from."""
    for source in (*JUDGING, *CHOOSING):
        for pair in read_pairs(pairs, source):
            yield pair.query[:_BEGINNING]
            yield pair.positive[:_BEGINNING]
    for name in JUDGED_SETS if sets is not None else ():
        assert sets is not None
        for kind in ("corpus", "queries"):
            yield from (text_of(row)[:_BEGINNING] for row in read_lines(sets / name, kind))


def write_pool(pairs: Sequence[Pair], folder: Path) -> None:
    """Write the pairs as a BEIR folder; equal passages are one document, equal queries one."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    documents = _numbered("d", ((pair.title, pair.positive) for pair in pairs))
    queries = _numbered("q", (pair.query for pair in pairs))
    texts = [{"_id": name, "title": t, "text": body} for (t, body), name in documents.items()]
    _write_lines(folder / "corpus.jsonl.gz", texts)
    asked = [{"_id": name, "text": text} for text, name in queries.items()]
    _write_lines(folder / "queries.jsonl.gz", asked)
    found = {(queries[pair.query], documents[pair.title, pair.positive]) for pair in pairs}
    rows = [f"{query}\t{document}\t1" for query, document in sorted(found)]
    table = "\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n"
    (folder / "qrels" / "test.tsv").write_text(table, "utf-8")
    about = {"body_only": False, "query_language": False}
    (folder / "dataset.json").write_text(json.dumps(about), "utf-8")


def _numbered(letter: str, each: Iterable[_T]) -> dict[_T, str]:
    return {one: f"{letter}{number}" for number, one in enumerate(dict.fromkeys(each))}


def _write_lines(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("wb") as packed, gzip.GzipFile("", "wb", 6, packed, mtime=0) as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def write_pools(pairs: Path, sets: Path | None, output: Path, most: int) -> dict[str, int]:
    """Write all pools whose sources are in `pairs`; return how many pairs each has."""
    sizes = {}
    for kind, sources in (("judge", JUDGING), ("choose", CHOOSING)):
        for source in sources:
            whole = read_pairs(pairs, source)
            write_pool(whole, output / kind / source)
            sizes[f"{kind}/{source}"] = len(whole)
    apart = Learned(texts_apart(pairs, sets))
    chance = random.Random(1)  # noqa: S311
    for language, learned in {"en": ALL, **OTHERS}.items():
        pool = []
        for source in learned:
            every = read_pairs(pairs, source)
            kept = unlike(chance.sample(every, min(len(every), most)), apart)
            sizes[f"learn/{language} {source}"] = len(kept)
            pool += kept
        write_pool(pool, output / "learn" / language)
    return sizes


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--pairs", type=Path, required=True, help="folder of NAME.jsonl.gz")
    parser.add_argument("--sets", type=Path, help="folder of judged sets to keep apart from")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--most", type=int, default=MOST, help="pairs of a source to learn from")
    given = parser.parse_args()
    for name, count in write_pools(given.pairs, given.sets, given.output, given.most).items():
        print(f"{count:8,}  {name}")


if __name__ == "__main__":
    main()
