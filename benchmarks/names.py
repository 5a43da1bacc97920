"""What names in queries cost: headlines with names boosting, filtering and off, in turns.

    python -m benchmarks.names [FOLDER] [--data DIR] [--queries N]

Each headline is asked once, of one side, by the profile hybrid for 10 hits, so that no side finds
the work of another in a cache. `stage names` is how long the query waits for names after retrieval
and looks them up. `lookup` is one name asked of an archive of 50,000 people with 20,000 surnames:
as it is written, in lower case, with two neighbouring letters swapped, by surname alone, unknown.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle
from time import perf_counter
from typing import Any

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import WARM_UP, Reporting, add_options
from core.entities import Entity, EntityLabel
from core.query_tree import EVERYTHING
from dateline.measuring.evaluate import open_indexed, reader_of
from dateline.settings import configure
from eval.sets.datasets import Conventions, read_judged_set
from search.answers import EntityUse, SearchRequest
from storage.embedded.columns.facts import Columns
from storage.embedded.columns.names import ColumnsNames
from storage.record.facts import FactRow

_PEOPLE, _SURNAMES, _STORIES = 50_000, 20_000, 100_000
_SYLLABLES = "an be ca do el fi go ha in jo ka li mo na or pe qua ri sa to ul va wi ya zo mer kel"


def main() -> None:
    """Runs the benchmark."""
    parser = arguments(__doc__)
    add_options(parser)
    chosen = parser.parse_args()
    machine = this_machine()
    settings = configure({"data": str(chosen.data)}).settings
    judged = read_judged_set(str(chosen.folder), Conventions())
    texts = list(dict.fromkeys(judged.queries.values()))
    end = WARM_UP + chosen.queries if chosen.queries else len(texts)
    times: dict[str, list[float]] = {}
    known = 0
    with open_indexed(settings, judged, Reporting()) as service:
        caller = reader_of(judged)
        sides = cycle(EntityUse)
        for number, text in enumerate(texts[:end]):
            use = next(sides)
            request = SearchRequest(q=text, profile="hybrid", page_size=10, entities=use)
            started = perf_counter()
            found = service.pipeline.search(request, caller)
            seconds = perf_counter() - started
            if number < WARM_UP:
                continue
            times.setdefault(use.value, []).append(seconds)
            known += any(name.known for name in found.understood.entities)
            if use is EntityUse.BOOST:
                times.setdefault("stage names", []).append(found.milliseconds["names"] / 1000)
    figures: dict[str, Any] = {"queries": end - WARM_UP, "with a known name": known}
    show("names", figures | _figures(times) | _figures(_lookups()), machine, as_json=chosen.json)


def _lookups() -> dict[str, list[float]]:
    """Seconds per kind of name."""
    chance = random.Random(7)

    def word(most: int) -> str:
        syllables = chance.choices(_SYLLABLES.split(), k=chance.randint(2, most))
        return "".join(syllables).capitalize()

    surnames = [word(4) for _ in range(_SURNAMES)]
    people = [f"{word(3)} {chance.choice(surnames)}" for _ in range(_PEOPLE)]
    columns = Columns()
    columns.append([_story(seq, people[seq % _PEOPLE]) for seq in range(1, _STORIES + 1)])
    columns.set_visible(range(1, _STORIES + 1), [])
    allowed = columns.view().allowed(frozenset({"wire"}), EVERYTHING)
    names = ColumnsNames(columns)
    started = perf_counter()
    names.known((), allowed)
    times = {"lookup, all taken in": [perf_counter() - started]}
    typed: dict[str, Callable[[str], str]] = {
        "as written": str,
        "lower case": str.lower,
        "misspelt": lambda name: f"{name[:2]}{name[3]}{name[2]}{name[4:]}".lower(),
        "surname": lambda name: name.split()[1].lower(),
        "unknown": lambda name: f"{name[::-1]} zz".lower(),
    }
    asked = chance.sample(people, 500)
    for kind, change in typed.items():
        times[f"lookup {kind}"] = [_lookup(names, change(name), allowed) for name in asked]
    return times


def _lookup(names: ColumnsNames, text: str, allowed: Any) -> float:
    entity = Entity(text, EntityLabel.PER, 0, len(text), 1.0)
    started = perf_counter()
    names.known([entity], allowed)
    return perf_counter() - started


def _story(seq: int, person: str) -> FactRow:
    facts = {
        "type": "text",
        "firstcreated": seq,
        "urgency": None,
        "products": ["wire"],
        "subject": [],
        "person": [[person, ""]],
        "organisation": [],
        "place": [],
    }
    return FactRow(seq, str(seq), "en", seq, facts)


def _figures(times: dict[str, list[float]]) -> dict[str, float]:
    figures: dict[str, float] = {}
    for side, seconds in times.items():
        for wanted in (50, 99):
            figures[f"{side} p{wanted}_ms"] = percentile(seconds, wanted)
    return figures


if __name__ == "__main__":
    main()
