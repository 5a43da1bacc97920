"""What costs BM25 most on long questions, over the judged sets and sets made of them.

    python -m benchmarks.long_questions [--sets DIR] [--ablate] [NAME ...]

BM25 is computed here, with the archive's analyzer and stop words, so that one part at a time can be
changed: how repeated words count, and the share of the headline's own score; with --ablate also
stop words, stems, norms, and names that an item lists beside its text. docs/evaluation.md says how
the sets are made.
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
_NAME = re.compile(r"(?<=[a-z,] )([A-Z][a-z]{2,})\b")


@dataclass(frozen=True, slots=True)
class Part:
    """What BM25 does beside the form of a question: the language that stems words ("und": none),
    its two constants, whether stop words are left out, and how an item lists its names.
    """

    stems: str = "en"
    k1: float = K1
    b: float = B
    stops: bool = True
    names: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A set: documents as id, headline and text, questions, and the relevant documents of each."""

    documents: Sequence[tuple[str, str, str]]
    questions: Mapping[str, str]
    relevant: Relevant


Form = Callable[[Bool], tuple[Bool, float]]


class Index:
    """BM25 over texts, as tantivy and Lucene compute it (without rounded lengths)."""

    def __init__(self, texts: Sequence[str], part: Part) -> None:
        counts = [Counter(analyzer(part.stems).analyze(text)) for text in texts]
        lengths = np.array([sum(each.values()) for each in counts], np.float64)
        self._k1 = part.k1
        self._norm = part.k1 * (1 - part.b + part.b * lengths / max(1.0, float(lengths.mean())))
        held: dict[str, list[tuple[int, int]]] = {}
        for place, each in enumerate(counts):
            for term, count in each.items():
                held.setdefault(term, []).append((place, count))
        self._held = {term: np.array(rows, np.int64).T for term, rows in held.items()}

    def scores(self, weights: Mapping[str, float]) -> Scores:
        """Return float64 [n]: the score of each text for weighted terms."""
        found, documents = np.zeros(len(self._norm)), len(self._norm)
        for term, weight in weights.items():
            if term in self._held:
                places, counts = self._held[term]
                idf = log1p((documents - len(places) + 0.5) / (len(places) + 0.5))
                shares = counts * (self._k1 + 1) / (counts + self._norm[places])
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


def once(tree: Bool) -> tuple[Bool, float]:
    """Count each word once, and the headline as before."""
    return Bool(should=tuple(dict.fromkeys(tree.should))), HEADLINE


FORMS: tuple[Form, ...] = (before, by_logarithm, shipped, plain)
ABLATED: Mapping[str, tuple[Form, Part]] = {
    "as before": (before, Part()),
    "headline left out": (plain, Part()),
    "repeated words by their logarithm": (by_logarithm, Part()),
    "each word once": (once, Part()),
    "stop words kept": (before, Part(stops=False)),
    "no stems": (before, Part(stems="und")),
    "norms: b .4": (before, Part(b=0.4)),
    "norms: k1 .9, b .4": (before, Part(k1=0.9, b=0.4)),
    "names listed, too": (before, Part(names=True)),
    "as shipped": (shipped, Part()),
    "as shipped, names listed, too": (shipped, Part(names=True)),
}


def _damped(tree: Bool) -> Bool:
    found = damped(tree)
    assert isinstance(found, Bool)
    return found


def measured(asked: Asked, form: Form, part: Part = Part()) -> float:
    """Return the mean nDCG@10."""
    ids = [one for one, _, _ in asked.documents]
    names = [_listed_names(text) if part.names else "" for _, _, text in asked.documents]
    pairs = zip(asked.documents, names, strict=True)
    texts = Index([f"{headline}\n{text}\n{named}" for (_, headline, text), named in pairs], part)
    headlines = Index([headline for _, headline, _ in asked.documents], part)
    run: dict[str, list[str]] = {}
    for name, question in asked.questions.items():
        tree, share = form(Bool(should=tuple(map(Word, _WORD.findall(question)))))
        weights = _weights(tree, part)
        scores = texts.scores(weights) + (share * headlines.scores(weights) if share else 0.0)
        best = np.argsort(-scores, kind="stable")[:10]
        run[name] = [ids[place] for place in best]
    relevant = {name: asked.relevant[name] for name in asked.questions}
    return means(per_query([parse_measure("nDCG@10")], relevant, run))["nDCG@10"]


def _listed_names(text: str) -> str:
    """Return the capitalised words within sentences, each once: an item lists its names so."""
    return " ".join(dict.fromkeys(found[1] for found in _NAME.finditer(text)))


def _weights(tree: Bool, part: Part) -> dict[str, float]:
    words = [one for one in tree.should if isinstance(one, Word)]
    telling = [one for one in words if not (part.stops and is_stop_word(one.text, ("en",)))]
    found: dict[str, float] = {}
    for word in telling or words:
        for term in analyzer(part.stems).analyze(word.text):
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
    parser.add_argument("--ablate", action="store_true", help="change one part at a time")
    parser.add_argument("--sets", type=Path, default=REUTERS.parent, help="folder of the sets")
    chosen = parser.parse_args()
    figures: dict[str, Any] = {}
    for name, read in made(chosen.sets).items():
        if not chosen.names or name in chosen.names:
            asked = read()
            tried = ABLATED if chosen.ablate else {form.__name__: (form, Part()) for form in FORMS}
            row = {one: round(measured(asked, *parts), 4) for one, parts in tried.items()}
            figures[name] = row
            if not chosen.json:
                print(f"{name:<26}", row, flush=True)
    if chosen.json:
        show("long_questions", figures, this_machine(), as_json=True)


if __name__ == "__main__":
    main()
