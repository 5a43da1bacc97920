"""Do both engines answer equally well? Asks judged sets of each, over one record of truth.

    python -m benchmarks.opensearch.equality [SET…] [--url URL] [--profiles hybrid,lexical,vector]
        [--queries N]

SET is FOLDER[:SPLIT]; the default is every split of the shared sets, of the demo and of the news
queries. All queries of each set are asked, or at most N, spread over the set. Documents are
embedded once, into the evaluations' cache in the data folder, and the index on the cluster is made
from the same record: so the vectors are the same, and no model runs twice. The index is merged to
one segment, whose one graph is the hardest case for recall.

Prints a table in Markdown, one row a set and profile: the mean nDCG@10 of each engine, their
difference, the largest difference of a query, how many queries have another nDCG@10, and how many
have other documents or another order in their first ten. Exits with 1 if a mean differs by more
than `--most`, or if an engine could not answer in full.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.machine import arguments, this_machine
from benchmarks.opensearch.archive import engine_of
from dateline.build.engine import drop_indexes
from dateline.build.models.served import Models, load_models
from dateline.build.service import Service, build_service
from dateline.measuring.evaluate import cached_index, open_indexed, reader_of
from dateline.settings import Settings, configure
from eval.runs.answering import PipelineAnswers
from eval.runs.results import RunResult, System
from eval.runs.runner import evaluate_answers
from eval.sets.corpus_place import shared_sets
from eval.sets.datasets import JudgedSet, is_judged_folder, read_judged_set, splits_of
from storage.opensearch.index.settle import LEASES_S, settle

MEASURE, DEPTH = "nDCG@10", 10
MOST = 0.005  # of nDCG@10, between the engines' means over a set
PROFILES = ("hybrid", "lexical", "vector")
HEAD = "| set | profile | queries | embedded | OpenSearch | difference | largest of a query | \
other nDCG@10 | other first ten |\n|---|---|---|---|---|---|---|---|---|"
_NAME = f"dateline-equality-{os.getpid()}"  # two may run side by side
_OWN = Path(__file__).resolve().parents[2] / "datasets"
_PATIENT_S = 60.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One set under one profile: `values` float64 [2, queries] of nDCG@10, embedded first; how many
    queries have other first ten; how many answers one engine flagged, or refused while the other
    did not.
    """

    name: str
    profile: str
    values: np.typing.NDArray[np.float64]
    relisted: int
    flagged: int

    @property
    def difference(self) -> float:
        """The cluster's mean less the embedded engine's."""
        embedded, cluster = self.values.mean(axis=1)
        return float(cluster - embedded)

    def row(self) -> str:
        """Return the row of the table under HEAD."""
        embedded, cluster = self.values.mean(axis=1)
        apart = np.abs(self.values[1] - self.values[0])
        counts = (f"{np.count_nonzero(apart > 1e-9)}", f"{self.relisted}")
        means = (f"{embedded:.4f}", f"{cluster:.4f}", f"{self.difference:+.4f}")
        cells = (self.name, self.profile, f"{len(apart)}", *means, f"{apart.max():.3f}", *counts)
        return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the benchmark."""
    chosen = _parser().parse_args()
    machine = this_machine()
    flags = {"data": str(chosen.data), "engine": "embedded", "next_encoder": ""}
    settings = configure(flags).settings
    models = load_models(settings)
    judged = [read_judged_set(name) for name in chosen.sets or _all_sets()]
    print(HEAD, flush=True)
    found: list[Compared] = []
    for sets in _by_archive(settings, judged, models):
        with (
            open_indexed(settings, sets[0], models=models) as embedded,
            on_cluster(embedded, chosen.url) as cluster,
        ):
            for each in (some_of(judged_set, chosen.queries) for judged_set in sets):
                for profile in chosen.profiles.split(","):
                    found.append(compared(embedded, cluster, each, profile))
                    print(found[-1].row(), flush=True)
    print(machine)
    sys.exit("\n".join(wrong(found, chosen.most)) or None)


def _parser() -> ArgumentParser:
    parser = arguments(__doc__, json=False)
    parser.add_argument("sets", nargs="*", metavar="SET", help="FOLDER[:SPLIT]")
    parser.add_argument("--url", default="http://127.0.0.1:9200")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where archives are kept")
    parser.add_argument("--profiles", default=",".join(PROFILES))
    parser.add_argument("--queries", type=int, default=0, help="of a set at most; 0: all")
    parser.add_argument("--most", type=float, default=MOST, help="difference of a set's means")
    return parser


@contextmanager
def on_cluster(embedded: Service, url: str) -> Iterator[Service]:
    """A service over the same record of truth, whose index is made on the cluster and removed
    afterwards.
    """
    changes = {
        "engine": "opensearch",
        "opensearch_url": url,
        "opensearch_index": _NAME,
        "opensearch_replicas": 0,
        "opensearch_patience_s": _PATIENT_S,
        "opensearch_timeout_s": _PATIENT_S,
        "opensearch_search_timeout_s": _PATIENT_S,
    }
    settings = embedded.settings.model_copy(update=changes)
    drop_indexes(settings)
    cluster = build_service(settings, models=embedded.models, background=False)
    try:
        engine = engine_of(cluster)
        engine.catch_up()
        name = engine.family.name
        held = engine.cluster.ask("GET", f"/{name}/_stats/docs")["_all"]["primaries"]["docs"]
        # A write that was sent twice leaves a replaced document, whose words count until a merge
        # drops it. Otherwise what the shard still keeps only makes the index larger.
        patience_s = LEASES_S if held["deleted"] else 0
        settle(engine.cluster, name, engine.family.spaces, _unheard, leases_s=patience_s)
        assert engine.status()["visible"] == embedded.engine.status()["visible"]
        yield cluster
    finally:
        cluster.close()
        drop_indexes(settings)


def compared(embedded: Service, cluster: Service, judged: JudgedSet, profile: str) -> Compared:
    """Ask both engines every judged query once."""
    ours, theirs = (_answered(service, judged, profile) for service in (embedded, cluster))
    rows = [*zip(ours.rows, theirs.rows, strict=True)]
    return Compared(
        f"{judged.name}:{judged.split}",
        profile,
        np.array([ours.values(MEASURE), theirs.values(MEASURE)]),
        sum(mine.documents != yours.documents for mine, yours in rows),
        sum(mine.refused != yours.refused for mine, yours in rows)
        + sum(bool(row.degraded) for pair in rows for row in pair),
    )


def some_of(judged: JudgedSet, count: int) -> JudgedSet:
    """Return the set with at most `count` of its queries, spread over it; 0 means all."""
    step = max(1, -(-len(judged.queries) // count)) if count else 1
    queries = dict([*judged.queries.items()][::step])
    return replace(judged, queries=queries, qrels={one: judged.qrels[one] for one in queries})


def _answered(service: Service, judged: JudgedSet, profile: str) -> RunResult:
    answers = PipelineAnswers(service.pipeline, profile, reader_of(judged))
    system = System(service.settings.engine, profile)
    return evaluate_answers(answers, judged, system, DEPTH, (MEASURE,))


def _all_sets() -> list[str]:
    folders = [_OWN / "demo", _OWN / "news"]
    folders += [*filter(is_judged_folder, sorted((shared_sets() or _OWN).iterdir()))]
    return [f"{each}:{split}" for each in dict.fromkeys(folders) for split in splits_of(each)]


def _by_archive(
    settings: Settings, judged: Sequence[JudgedSet], models: Models
) -> Sequence[Sequence[JudgedSet]]:
    """Return the sets grouped by their documents; the smallest group first."""
    found: dict[Path, list[JudgedSet]] = {}
    for each in judged:
        found.setdefault(cached_index(settings, each, models).folder, []).append(each)
    return sorted(found.values(), key=lambda sets: sets[0].documents)


def wrong(found: Sequence[Compared], most: float) -> Iterator[str]:
    """Yield messages about sets whose means differ by more than `most`, and sets that were not
    answered in full.
    """
    for each in found:
        if abs(each.difference) > most:
            yield f"{each.name}, {each.profile}: the means differ by {each.difference:+.4f}"
        if each.flagged:
            what = f"{each.flagged} answers were flagged, or refused by one alone"
            yield f"{each.name}, {each.profile}: {what}"


def _unheard(_: str) -> None:
    """Ignore the progress of the merge."""


if __name__ == "__main__":
    main()
