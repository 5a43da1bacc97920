"""A made archive that grows: its stories, the queries to ask it by, and what making it took.

It is made as a backfill makes one, not as a feed does: the record first, with indexes in memory;
then words in one go, and one graph for each vector field. A size is never made of the graph of the
size before: that would build the smaller graph, the rest, and then both again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from capacity.measurements import QUANTILES, Calls
from core.items import PubStatus
from core.writes import PutItem
from dateline.build.engine import drop_indexes
from dateline.build.service import Service, build_service
from dateline.default_folders import demo_folder
from dateline.measuring.made_stories import Parents, made_stories, parents_of
from dateline.settings import Settings

WHOLE, PART = "demo", "part"  # products: every story has the first, each third one the second, too
_PART_OF = 3
_BATCH = 500
_NEW = 0.1  # share of the stories that the filter by date leaves


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter: parameters of a search, the products of its caller, and the share of the stories
    that are left.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    products: str
    allowed: float


@dataclass(frozen=True, slots=True)
class Grown:
    """An archive: what its stories are made from, how many were `made`, its size with those of the
    demo corpus, and calls to make it, by passage.
    """

    parents: Parents
    made: int
    stories: int
    passages: int
    calls: tuple[Calls, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the texts that the stories are made from."""
        return tuple(item.body for item in self.parents.items)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """Return filters by the caller's rights, by date, and by the subject that most stories
        have.
        """
        items = self.parents.items
        dates = sorted(item.versioncreated for item in items)
        since = dates[int(len(dates) * (1 - _NEW))]
        names = Counter(concept.name for item in items for concept in set(item.subject))
        subject, having = names.most_common(1)[0]
        later = sum(date >= since for date in dates) / len(dates)
        return (
            Filter("rights", (), PART, 1 / _PART_OF),
            Filter("date", (("since", since.isoformat()),), WHOLE, later),
            Filter("facet", (("subject", f'"{subject}"'),), WHOLE, having / len(items)),
        )


def grow(settings: Settings, size: int, before: Grown | None = None) -> Grown:
    """Fill the archive up to `size` made stories of one passage each; `before` is the smaller one
    that it grows from.
    """
    if before is not None:
        drop_indexes(settings)
    service = build_service(settings, background=False)
    try:
        parents = _parents(service) if before is None else before.parents
        made = 0 if before is None else before.made
        began = time.process_time()
        for first in range(made, size, _BATCH):
            service.engine.put(tuple(_shared(parents, first, min(_BATCH, size - first))))
        recorded = (time.process_time() - began) / max(1, size - made)
        began = time.process_time()
        service.engine.catch_up()
        words = (time.process_time() - began) / size
        began = time.process_time()
        service.engine.compact()
        graphs = (time.process_time() - began) / size
        status = service.status()
        calls = (flat("import", (recorded + words) * 1000), flat("graph", graphs * 1000))
        return Grown(parents, size, int(status["visible"]), int(status["passages"]), calls)
    finally:
        service.close()


def _parents(service: Service) -> Parents:
    """Return the demo corpus, from which all stories are made."""
    documents = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
    service.ingest.put_documents(documents)
    return parents_of(service)


def _shared(parents: Parents, first: int, size: int) -> Iterator[PutItem]:
    """Yield made stories that callers with `WHOLE` may see; every third one has `PART`, too."""
    for number, write in enumerate(made_stories(parents, first, size), start=first):
        products = (WHOLE, PART) if number % _PART_OF == 0 else (WHOLE,)
        item = replace(write.item, products=products, pubstatus=PubStatus.USABLE)
        yield replace(write, item=replace(item, embargoed=None, expires=None))


def flat(what: str, ms: float) -> Calls:
    """Return the mean of many small pieces of work, of which no distribution is known."""
    return Calls(what, 1, 1, 1, (ms,) * len(QUANTILES), "python")


def keys_of(keys: Sequence[tuple[str, str]]) -> list[dict[str, object]]:
    """Return the setting `keys` of a service for (product, key)."""
    return [{"name": product, "key": key, "products": [product]} for product, key in keys]
