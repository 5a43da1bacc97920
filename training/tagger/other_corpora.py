"""Corpora with other annotation rules, in CoNLL-2003's labels: for measuring only.

WNUT-17 (Derczynski et al. 2017) marks rare names in tweets and forums, but no nationalities and
events; Universal NER's English EWT (Mayhew et al. 2024) has no MISC at all. Figures on them show
how well a tagger carries over, not how good it could be there.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from training.tagger.conll import Sentence

WNUT_LABELS: Mapping[str, str] = {
    "person": "PER",
    "location": "LOC",
    "corporation": "ORG",
    "group": "ORG",
    "creative-work": "MISC",
    "product": "MISC",
}


def read_wnut(path: Path) -> list[Sentence]:
    """Return sentences from lines with word and tag, separated by a tab; WNUT_LABELS maps the
    labels.
    """
    return [
        Sentence(tuple(row[0] for row in rows), tuple(_wnut_tag(row[1]) for row in rows))
        for rows in _blocks(path)
    ]


def read_uner(path: Path) -> list[Sentence]:
    """Return sentences from lines with number, word and tag, separated by tabs, and comments; OTH
    becomes O.
    """
    return [
        Sentence(tuple(row[1] for row in rows), tuple(_uner_tag(row[2]) for row in rows))
        for rows in _blocks(path)
    ]


def without_label(sentence: Sentence, label: str) -> Sentence:
    """Return the sentence without names of `label`, for a corpus that does not mark them."""
    return Sentence(
        sentence.words, tuple("O" if tag.endswith(f"-{label}") else tag for tag in sentence.tags)
    )


def _wnut_tag(tag: str) -> str:
    edge, _, label = tag.strip().partition("-")
    return f"{edge}-{WNUT_LABELS[label]}" if label else "O"


def _uner_tag(tag: str) -> str:
    return "O" if tag.endswith("-OTH") else tag


def _blocks(path: Path) -> Iterator[list[list[str]]]:
    """Yield the rows between empty lines, split at tabs."""
    rows: list[list[str]] = []
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("# ") and "\t" not in line:
            continue
        if line.strip():
            rows.append(line.split("\t"))
        elif rows:
            yield rows
            rows = []
