"""What searches of a graph on OpenSearch find at each width, compared with the widest.

    python -m benchmarks.opensearch.graph_width [SET] [--url URL] [--widths 200,300,400] [--queries
    N]

SET is FOLDER[:SPLIT], by default checkthat2020:dev, whose number of passages is just above the
limit for exact search. The index is that of `benchmarks.opensearch.equality`: one segment. Queries
go through the whole pipeline by vectors alone, so the measured searches are the served ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.machine import arguments, show, this_machine
from benchmarks.opensearch.equality import MEASURE, on_cluster, some_of
from dateline.build.models.served import load_models
from dateline.build.service import Service, build_service
from dateline.measuring.evaluate import open_indexed, reader_of
from dateline.settings import configure
from eval.runs.answering import PipelineAnswers
from eval.runs.results import RunResult, System
from eval.runs.runner import evaluate_answers
from eval.sets.datasets import JudgedSet, read_judged_set

_SET = "../shared/datasets/checkthat2020:dev"
_WIDEST = 4_000  # the largest value of the setting
_PROFILE, _DEPTH, _FIRST = "vector", 100, 10


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("set", nargs="?", default=_SET, metavar="SET", help="FOLDER[:SPLIT]")
    parser.add_argument("--url", default="http://127.0.0.1:9200")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where archives are kept")
    parser.add_argument("--widths", default="200,256,300,400,600,1000")
    parser.add_argument("--queries", type=int, default=0, help="at most; 0: all")
    chosen = parser.parse_args()
    machine = this_machine()
    flags = {"data": str(chosen.data), "engine": "embedded", "next_encoder": ""}
    settings = configure(flags).settings
    models = load_models(settings)
    judged = some_of(read_judged_set(chosen.set), chosen.queries)
    figures: dict[str, float] = {"queries": len(judged.queries)}
    with (
        open_indexed(settings, judged, models=models) as embedded,
        on_cluster(embedded, chosen.url) as cluster,
    ):
        widest = _answered(cluster, judged, _WIDEST)
        for width in map(int, chosen.widths.split(",")):
            figures |= _figures(width, _answered(cluster, judged, width), widest)
    show("widths of a search in a graph", figures, machine, as_json=chosen.json)


def _answered(cluster: Service, judged: JudgedSet, width: int) -> RunResult:
    """Return the service's answers with that width, to the depth of its candidates."""
    wide = cluster.settings.model_copy(update={"opensearch_ef_search": width})
    service = build_service(wide, models=cluster.models, background=False)
    try:
        answers = PipelineAnswers(service.pipeline, _PROFILE, reader_of(judged))
        system = System(wide.engine, _PROFILE)
        return evaluate_answers(answers, judged, system, _DEPTH, (MEASURE,))
    finally:
        service.close()


def _figures(width: int, found: RunResult, widest: RunResult) -> dict[str, float]:
    pairs = [
        (mine.documents, theirs.documents)
        for mine, theirs in zip(found.rows, widest.rows, strict=True)
    ]
    return {
        f"{width}: recall@{_FIRST}, %": 100 * _recall(pairs, _FIRST),
        f"{width}: recall@{_DEPTH}, %": 100 * _recall(pairs, _DEPTH),
        f"{width}: queries without their nearest": sum(
            bool(theirs) and theirs[0] not in mine for mine, theirs in pairs
        ),
        f"{width}: {MEASURE}, %": 100 * float(np.mean(found.values(MEASURE))),
    }


def _recall(pairs: Sequence[tuple[Sequence[str], Sequence[str]]], depth: int) -> float:
    """Return the mean share of the other list's first documents that are among the first
    documents.
    """
    shares = [
        len({*mine[:depth]} & {*theirs[:depth]}) / len(theirs[:depth])
        for mine, theirs in pairs
        if theirs
    ]
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
