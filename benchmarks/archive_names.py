"""What the names that an archive knows would add to those that the tagger finds in a query.

    python -m benchmarks.archive_names [--ner DIR]

A corpus of tagged sentences is cut in two. The first part is the archive: its people, organisations
and places are the known names, as editors write them into items. The second part gives queries
(training/tagger/query_style.py). Entity F1 is of exact spans and types. The last row's archive is
what the tagger learned from, so it has most names of its queries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import arguments, show, show_table, this_machine
from dateline.settings import configure
from inference.models.store import ModelStore
from inference.tagger import NameTagger
from storage.words.names import folded_words, key_of
from training.tagger.conll import Sentence, read_conll, spans
from training.tagger.other_corpora import read_uner, read_wnut
from training.tagger.query_style import query_style

LONGEST = 5  # words of a known name
Name = tuple[int, int, str]  # begin, end and type, in words of a query
Book = Mapping[str, Sequence[str]]  # the types of each known name by its key, the commonest first
Way = Callable[[Sequence[str], Sequence[Name], Book], Sequence[Name]]


@dataclass(frozen=True, slots=True)
class Corpus:
    """What an archive knows, and what it is asked; `unmarked` is a type that the corpus lacks."""

    archive: Sequence[Sentence]
    queries: Sequence[Sentence]
    unmarked: str = ""


def corpora(root: Path) -> dict[str, Corpus]:
    """Return the corpora under `root` by name."""
    conll = root / "conll2003"
    testb = read_conll(conll / "eng.testb")
    wire = read_conll(conll / "eng.train") + read_conll(conll / "eng.testa")
    return {
        "testb": _halves(testb),
        "wnut17": _halves(read_wnut(root / "wnut17" / "emerging.test.annotated")),
        "uner_ewt": _halves(read_uner(root / "uner_ewt" / "en_ewt-ud-test.iob2"), "MISC"),
        "testb, archive of train and testa": Corpus(wire, query_style(testb)),
    }


def _halves(sentences: Sequence[Sentence], unmarked: str = "") -> Corpus:
    half = len(sentences) // 2
    return Corpus(sentences[:half], query_style(sentences[half:]), unmarked)


def names_in(tags: Sequence[str]) -> tuple[Name, ...]:
    """Return the names in BIO tags."""
    return tuple((begin, end, tags[begin][2:]) for begin, end in spans(tags))


def known(archive: Iterable[Sentence]) -> Book:
    """Return the archive's names with their types; names of other things are in no field of an
    item.
    """
    types: dict[str, Counter[str]] = {}
    for sentence in archive:
        for begin, end, kind in names_in(sentence.tags):
            if kind != "MISC":
                types.setdefault(_key(sentence.words[begin:end]), Counter())[kind] += 1
    return {key: [kind for kind, _ in kinds.most_common()] for key, kinds in types.items()}


def _key(words: Sequence[str]) -> str:
    text = " ".join(words)
    return key_of(folded_words(text), text)


def as_found(words: Sequence[str], found: Sequence[Name], book: Book) -> Sequence[Name]:
    """Return the tagger's names."""
    return found


def retyped(words: Sequence[str], found: Sequence[Name], book: Book) -> Sequence[Name]:
    """Return the tagger's names, each with the archive's type if the archive knows it, but not with
    the tagger's type. Queries are read so (storage/words/known_names.py).
    """
    known_as = [book.get(_key(words[begin:end]), ()) for begin, end, _ in found]
    return [
        (begin, end, kinds[0] if kinds and kind not in kinds else kind)
        for (begin, end, kind), kinds in zip(found, known_as, strict=True)
    ]


def with_known(least: int) -> Way:
    """Return the way that adds known names of at least `least` words among the words that the
    tagger left, the longest first.
    """

    def way(words: Sequence[str], found: Sequence[Name], book: Book) -> Sequence[Name]:
        taken = {place for begin, end, _ in found for place in range(begin, end)}
        added: list[Name] = []
        for begin, end in _runs(len(words), least):
            kinds = book.get(_key(words[begin:end]))
            if kinds and taken.isdisjoint(range(begin, end)):
                taken.update(range(begin, end))
                added.append((begin, end, kinds[0]))
        return [*found, *added]

    return way


def _runs(size: int, least: int) -> Iterator[tuple[int, int]]:
    """Yield all runs of at least `least` of `size` words, the longest first."""
    for length in range(min(LONGEST, size), least - 1, -1):
        for begin in range(size - length + 1):
            yield begin, begin + length


WAYS: Mapping[str, Way] = {
    "tagger": as_found,
    "archive's type": retyped,
    "with known names of two words or more": with_known(2),
    "with known names of any length": with_known(1),
}


def f1(way: Way, corpus: Corpus, found: Sequence[Sequence[Name]], book: Book) -> float:
    """Return entity F1 of a way over the corpus's queries."""
    right = wrong = 0
    for query, names in zip(corpus.queries, found, strict=True):
        wanted, given = set(names_in(query.tags)), set(way(query.words, names, book))
        right += len(wanted & given)
        wrong += len(wanted ^ given)
    return 2 * right / max(1, 2 * right + wrong)


def rows(tagger: NameTagger, corpus: Corpus) -> dict[str, float]:
    """Return F1 by way, and the number of names that the archive knows."""
    tagged = tagger.tag_words([query.words for query in corpus.queries])
    found = [
        [name for name in names_in(one.labels) if name[2] != corpus.unmarked] for one in tagged
    ]
    book = known(corpus.archive)
    figures = {name: round(f1(way, corpus, found, book), 4) for name, way in WAYS.items()}
    return {"known names": len(book), **figures}


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--ner", type=Path, default=Path("../shared/ner"), help="the corpora")
    chosen = parser.parse_args()
    machine = this_machine()
    settings = configure({}).settings
    tagger = NameTagger.open(ModelStore(settings.models), settings.tagger, threads=1)
    figures = {name: rows(tagger, corpus) for name, corpus in corpora(chosen.ner).items()}
    if chosen.json:
        show("archive names", figures, machine, as_json=True)
        return
    table = [(name, *map(str, row.values())) for name, row in figures.items()]
    show_table(("corpus", "known names", *WAYS), table)
    print(machine)


if __name__ == "__main__":
    main()
