"""What costs BM25 most on long questions, over the judged sets and sets made of them.

    python -m benchmarks.long_questions [--sets DIR] [NAME ...]

BM25 is computed here, with the archive's analyzer and stop words, so that one part at a time can be
changed: how repeated words count, and the share of the headline's own score. docs/evaluation.md
says how the sets are made.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log1p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import REUTERS, arguments, show, this_machine
from core.query_tree import Bool, Word, scored_words
from eval.runs.measures import means, parse_measure, per_query
from search.understanding.long_questions import damped, of_length
from storage.words.analysis import analyzer
from storage.words.stop_words import is_stop_word

K1, B, HEADLINE = 1.2, 0.75, 0.3
Scores = npt.NDArray[np.float64]
Relevant = Mapping[str, Mapping[str, int]]
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """A set: documents as id, headline and text, questions, and the relevant documents of each."""

    documents: Sequence[tuple[str, str, str]]
    questions: Mapping[str, str]
    relevant: Relevant


class Index:
    """BM25 over texts, as tantivy and Lucene compute it (without rounded lengths)."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(analyzer("en").analyze(text)) for text in texts]
        lengths = np.array([sum(each.values()) for each in counts], np.float64)
        self._norm = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean())))
        self._held: dict[str, list[tuple[int, int]]] = {}
        for place, each in enumerate(counts):
            for term, count in each.items():
                self._held.setdefault(term, []).append((place, count))

    def scores(self, weights: Mapping[str, float]) -> Scores:
        """Return float64 [n]: the score of each text for weighted terms."""
        found, documents = np.zeros(len(self._norm)), len(self._norm)
        for term, weight in weights.items():
            held = self._held.get(term)
            if held:
                places, counts = np.array(held).T
                idf = log1p((documents - len(held) + 0.5) / (len(held) + 0.5))
                shares = counts * (K1 + 1) / (counts + self._norm[places])
                found[places] += weight * idf * shares
        return found


def plain(tree: Bool) -> tuple[Bool, float]:
    """Return the tree with one field, which counts each word as often as it is typed."""
    return tree, 0.0


def before(tree: Bool) -> tuple[Bool, float]:
    """Return the headline counts, however many words there are."""
    return tree, HEADLINE


def by_logarithm(tree: Bool) -> tuple[Bool, float]:
    """Return the tree as before, with repeated words by their logarithm."""
    return _damped(tree), HEADLINE


def shipped(tree: Bool) -> tuple[Bool, float]:
    """Return what a search makes of the tree."""
    found, share = of_length(tree, scored_words(tree))
    assert isinstance(found, Bool)
    return found, HEADLINE * share


FORMS: tuple[Callable[[Bool], tuple[Bool, float]], ...] = (before, by_logarithm, shipped, plain)


def _damped(tree: Bool) -> Bool:
    found = damped(tree)
    assert isinstance(found, Bool)
    return found


def measured(asked: Asked, form: Callable[[Bool], tuple[Bool, float]]) -> float:
    """Return the mean nDCG@10."""
    ids = [one for one, _, _ in asked.documents]
    texts = Index([f"{headline}\n{text}" for _, headline, text in asked.documents])
    headlines = Index([headline for _, headline, _ in asked.documents])
    run: dict[str, list[str]] = {}
    for name, question in asked.questions.items():
        tree, share = form(Bool(should=tuple(map(Word, _WORD.findall(question)))))
        weights = _weights(tree)
        scores = texts.scores(weights) + (share * headlines.scores(weights) if share else 0.0)
        best = np.argsort(-scores, kind="stable")[:10]
        run[name] = [ids[place] for place in best]
    relevant = {name: asked.relevant[name] for name in asked.questions}
    return means(per_query([parse_measure("nDCG@10")], relevant, run))["nDCG@10"]


def _weights(tree: Bool) -> dict[str, float]:
    words = [one for one in tree.should if isinstance(one, Word)]
    found: dict[str, float] = {}
    for word in [one for one in words if not is_stop_word(one.text, ("en",))] or words:
        for term in analyzer("en").analyze(word.text):
            found[term] = found.get(term, 0.0) + word.boost
    return found


def _read(folder: Path, split: str = "test") -> Asked:
    questions = {one["_id"]: one["text"] for one in _lines(folder / "queries.jsonl.gz")}
    relevant: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / f"{split}.tsv").read_text("utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if int(grade) > 0:
            relevant.setdefault(query, {})[document] = int(grade)
    documents = [
        (one["_id"], one.get("title", ""), one["text"])
        for one in _lines(folder / "corpus.jsonl.gz")
    ]
    return Asked(documents, {name: questions[name] for name in relevant}, relevant)


def _lines(path: Path) -> Iterator[Any]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _known(folder: Path, documents: int, seed: int = 7) -> Asked:
    """Return items of a headline and two sentences, asked for by four later sentences."""
    chance, every = random.Random(seed), list(_read(folder).documents)
    chance.shuffle(every)
    kept: list[tuple[str, str, str]] = []
    questions: dict[str, str] = {}
    for one, headline, text in every[:documents]:
        parts = [part for part in re.split(r"(?<=[.!?])\s+", text) if len(part.split()) > 4]
        if headline and len(parts) >= 7:
            kept.append((one, headline, " ".join(parts[:2])))
            if len(questions) < 300:
                questions[one] = " ".join(chance.sample(parts[2:], 4))
    return Asked(kept, questions, {one: {one: 1} for one in questions})


def _long(asked: Asked, words: int) -> Asked:
    questions = {name: text for name, text in asked.questions.items() if len(text.split()) >= words}
    return Asked(asked.documents, questions, asked.relevant)


def _captions(folder: Path) -> Asked:
    parts = [(one, text.split(" . ")) for one, _, text in _read(folder).documents[:4000]]
    whole = [(one, each) for one, each in parts if len(each) >= 4]
    questions = {one: ". ".join(each[1:]) for one, each in whole[:300]}
    documents = [(one, "", each[0]) for one, each in whole]
    return Asked(documents, questions, {one: {one: 1} for one in questions})


def _reversed(asked: Asked, words: int) -> Asked:
    relevant: dict[str, dict[str, int]] = {}
    for question, documents in asked.relevant.items():
        for document in documents:
            relevant.setdefault(document, {})[question] = 1
    texts = {one: f"{headline} {text}" for one, headline, text in asked.documents}
    questions = {one: " ".join(texts[one].split()[:words]) for one in list(relevant)[:300]}
    return Asked([(one, "", text) for one, text in asked.questions.items()], questions, relevant)


def made(sets: Path) -> dict[str, Callable[[], Asked]]:
    """Return the sets by name."""
    return {
        "cacm": lambda: _read(sets / "cacm"),
        "vaswani": lambda: _read(sets / "vaswani"),
        "scifact": lambda: _read(sets / "scifact"),
        "checkthat2020 dev": lambda: _read(sets / "checkthat2020", "dev"),
        "fnc1": lambda: _read(sets / "fnc1"),
        "bbc_news known": lambda: _known(sets / "bbc_news", 3000),
        "reuters21578 known": lambda: _known(sets / "reuters21578", 6000),
        "scifact known": lambda: _known(sets / "scifact", 3000),
        "flickr8k": lambda: _captions(sets / "flickr8k_captions"),
        "fnc1 reversed": lambda: _reversed(_read(sets / "fnc1"), 120),
        "checkthat2020 train long": lambda: _long(_read(sets / "checkthat2020", "train"), 35),
    }


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--sets", type=Path, default=REUTERS.parent, help="folder of the sets")
    chosen = parser.parse_args()
    figures: dict[str, Any] = {}
    for name, read in made(chosen.sets).items():
        if not chosen.names or name in chosen.names:
            asked = read()
            row = {form.__name__: round(measured(asked, form), 4) for form in FORMS}
            figures[name] = row
            if not chosen.json:
                print(f"{name:<26}", row, flush=True)
    if chosen.json:
        show("long_questions", figures, this_machine(), as_json=True)


if __name__ == "__main__":
    main()
