"""How well the floor knows what is said in media, and what the weights of words found there do.

    python -m benchmarks.media.heard floor [--sets DIR] [--documents 150] [--only SET] [--json]

No judged set has spoken words. So documents of the demo, flickr8k_captions and bbc_news become
videos in which their text is said, a sentence an utterance, a share of the words heard wrong;
nothing else describes them. Each set is asked for 50 runs of four or eight words of a document
("find where she says …"), its judged queries, and queries that nothing answers: the sealed half of
`eval.sets.absent_queries`, and 24 queries of each other set, some of which have an answer. A row
is of the floor alone, or with the share of a query's words that one moment must have:

- `first`, `and strong`: the share of runs whose document is the first hit, and also strong;
- `kept`: the share of relevant documents among the first ten that are strong;
- `none for KIND`: the share of queries that nothing answers without a strong hit.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import REUTERS, arguments, show, this_machine
from core.callers import Caller
from core.items import Item, ItemType
from core.media_words import Utterance
from dateline.build.models.served import Models, load_models
from dateline.build.service import Service, build_service
from dateline.settings import Settings, configure
from eval.sets.absent_queries import absent_queries, words_of
from eval.sets.datasets import JudgedSet, read_judged_set
from eval.tune.fusion.features import PATIENCE_MS
from indexing.ingest import IngestOptions
from indexing.sources import Accepted
from search import media_evidence
from search.answers import DateUse, Relevance, SearchRequest

SHARES = (2.0, 1.0, 0.75, 0.5)  # the first is the floor alone
SPOKEN, JUDGED, ABSENT, ELSEWHERE = 50, 60, 40, 24
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_READER = Caller("benchmark", frozenset({"all"}))
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WORDS = re.compile(r"[^\W\d_]+")
_UTTERANCE_S = 5.0
_BATCH = 64
OFF = DateUse.OFF  # documents have no dates of their own


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, the grades of documents that answer it, and its kind."""

    text: str
    grades: Mapping[str, int]
    kind: str


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("what", choices=("floor",))
    parser.add_argument("--sets", type=Path, default=REUTERS.parent)
    parser.add_argument("--documents", type=int, default=150)
    parser.add_argument("--only", default="", help="name of one of the sets")
    parser.add_argument("--wrong", type=float, default=0.1, help="share of words heard wrong")
    chosen = parser.parse_args()
    machine = this_machine()
    show("heard", floor(chosen), machine, as_json=chosen.json)


def floor(chosen: Any) -> dict[str, Any]:
    """Return what each share does to each set."""
    names = ("datasets/demo", chosen.sets / "flickr8k_captions", chosen.sets / "bbc_news")
    judged = [read_judged_set(str(name)) for name in names]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = configure({"data": folder}).settings
        models = load_models(settings)
        for one in judged:
            if chosen.only not in ("", one.name):
                continue
            texts = _texts(one, chosen.documents)
            others = [other for other in judged if other is not one]
            asked = [*_spoken(texts), *_judged(one, texts), *_absent(one, others)]
            inner = settings.with_archive_in(Path(folder) / one.name)
            items = [video(uri, text, chosen.wrong) for uri, text in texts.items()]
            with archive(inner, models, items) as service:
                for share in SHARES:
                    name = f"{one.name}, {'floor alone' if share > 1 else f'share {share:g}'}"
                    figures[name] = _row(service, asked, share)
    return figures


def _texts(judged: JudgedSet, most: int) -> dict[str, str]:
    """Return the texts of documents by id, those that answer judged queries first. A headline is
    a query of bbc_news.
    """
    wanted = {uri for grades in judged.qrels.values() for uri, grade in grades.items() if grade}
    texts = {}
    for one in IngestOptions(products=("all",)).sources([judged.corpus], lambda: _NOW):
        if isinstance(one, Accepted):
            headline = "" if judged.conventions.body_only else one.item.headline
            words = (headline, one.item.description, one.item.body)
            texts[judged.document_id(one.item.uri)] = "\n".join(filter(None, words))
    order = sorted(texts, key=lambda uri: (uri not in wanted, uri))
    return {uri: texts[uri] for uri in order[:most]}


def _spoken(texts: Mapping[str, str]) -> list[Asked]:
    """Return what asks for four or eight words in a row of a document, in turns."""
    chance, found = random.Random(1), list[Asked]()
    for number, uri in enumerate(chance.sample(sorted(texts), min(SPOKEN, len(texts)))):
        words, count = _WORDS.findall(chance.choice(_sentences(texts[uri]))), (4, 8)[number % 2]
        start = chance.randrange(max(1, len(words) - count + 1))
        said = " ".join(words[start : start + count]).lower()
        found.append(Asked(f"find where she says {said}", {uri: 1}, "spoken"))
    return found


def _judged(judged: JudgedSet, texts: Mapping[str, str]) -> list[Asked]:
    known = [
        Asked(text, judged.qrels[query], "judged")
        for query, text in judged.queries.items()
        if not {uri for uri, grade in judged.qrels[query].items() if grade}.isdisjoint(texts)
    ]
    return random.Random(1).sample(known, min(JUDGED, len(known)))


def _absent(judged: JudgedSet, others: Sequence[JudgedSet]) -> list[Asked]:
    """Return queries that nothing answers; most of other sets' queries are such."""
    made: dict[str, list[Asked]] = {}
    for query in absent_queries(words_of(judged.corpus), 1):
        if query.sealed:
            made.setdefault(query.kind, []).append(Asked(query.text, {}, query.kind.value))
    found = [one for listed in made.values() for one in listed[:ABSENT]]
    for other in others:
        chance = random.Random(1)
        texts = chance.sample(sorted({*other.queries.values()}), ELSEWHERE)
        found += [Asked(text, {}, "elsewhere") for text in texts]
    return found


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(" ".join(text.split())) if len(part) > 1] or [text]


def video(uri: str, text: str, wrong: float) -> Item:
    """Return a video in which the text is said, as a machine hears it: a share of the words is
    `wrong`, another one of the text.
    """
    chance, words = random.Random(uri), _WORDS.findall(text)

    def heard(word: re.Match[str]) -> str:
        return chance.choice(words) if chance.random() < wrong else word[0]

    said = tuple(
        Utterance(_UTTERANCE_S * n, _UTTERANCE_S * (n + 1), _WORDS.sub(heard, part))
        for n, part in enumerate(_sentences(text))
    )
    plain = Item(uri, 1, ItemType.VIDEO, _NOW, _NOW, uri, products=("all",))
    return replace(plain, speech=said, speech_by="benchmark")


@contextmanager
def archive(settings: Settings, models: Models, items: Sequence[Item]) -> Iterator[Service]:
    """Yield a service over an archive of the items."""
    service = build_service(settings, models=models, background=False)
    try:
        for start in range(0, len(items), _BATCH):
            service.ingest.put(service.ingest.embed(items[start : start + _BATCH]))
        service.engine.catch_up()
        yield service
    finally:
        service.close()


def _row(service: Service, asked: Sequence[Asked], share: float) -> str:
    media_evidence.LEAST_SHARE = share
    told: dict[str, list[bool]] = {}
    for one in asked:
        request = SearchRequest(q=one.text, page_size=10, deadline_ms=PATIENCE_MS, dates=OFF)
        answer = service.pipeline.search(request, _READER)
        strong = [hit.relevance is Relevance.STRONG for hit in answer.hits]
        relevant = [one.grades.get(hit.item.uri, 0) > 0 for hit in answer.hits]
        if one.kind == "spoken":
            first = relevant[:1] == [True]
            told.setdefault("first", []).append(first)
            told.setdefault("and strong", []).append(first and strong[0])
        elif one.kind == "judged":
            pairs = zip(strong, relevant, strict=True)
            told.setdefault("kept", []).extend(kept for kept, right in pairs if right)
        else:
            told.setdefault(f"none for {one.kind}", []).append(not any(strong))
    return ", ".join(f"{name} {sum(each) / len(each):.3f}" for name, each in told.items())


if __name__ == "__main__":
    main()
