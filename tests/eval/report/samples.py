"""Made-up results for reports: plausible figures, and texts that try to break out of a page."""

from __future__ import annotations

from functools import cache

import numpy as np

from eval.compare.comparison import Comparison, compare
from eval.compare.gate import Rule, Verdict, judge
from eval.compare.gate_baseline import Baseline
from eval.runs.results import Collection, QueryRow, RunResult, System
from eval.tune.cross_validation import Questions
from eval.tune.fusion.settings import FusionSetting, grid
from eval.tune.fusion.tuning import Tuning, tuned
from eval.tune.graphs.growth import Grown, Growth, Prediction, fitted, predict
from eval.tune.graphs.recommend import recommend
from eval.tune.graphs.sweep_filters import Narrowed
from eval.tune.graphs.sweep_grid import BuildCell, Grid
from eval.tune.graphs.sweep_report import Loss, Sweep
from eval.tune.graphs.sweep_target import Cell, parse_target
from search.profiles import standard_profiles

HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</title></style></script><svg onload=alert(1)>",
    "{{ 7*7 }} {% raw %} $\\frac{1}{2}$ & &amp; 'quoted' \"twice\"",
    "\u202egnirts desrever\u202c \u2067اقتصاد\u2069 الانتخابات في المدينة",
    "nul \x00 bell \x07 escape \x1b[31m lone \ud800 end",
    "word " * 2000,
    "x" * 10_000,
    "选举结果 速報 ข่าว 🗳️ e\u0301",
)
SETS = (("cables", 60), ("wires", 200))
MEASURES = ("nDCG@10", "R@100", "RR", "AP")


def result(
    name: str = "hybrid",
    collection: str = "cables",
    *,
    count: int = 60,
    lift: float = 0.0,
    seed: int = 7,
    hostile: bool = False,
) -> RunResult:
    """`count` queries, the same ones for every name; `lift` makes the answers better."""
    chance = np.random.default_rng(seed)
    hard = chance.beta(1.2, 1.0, count)
    own = np.random.default_rng(sum(name.encode()))
    rows = []
    for index in range(count):
        text = HOSTILE[index % len(HOSTILE)] if hostile else f"query number {index} about a port"
        value = float(np.clip(hard[index] + lift + own.normal(0, 0.08), 0, 1))
        documents = tuple(f"doc-{index}-{place}" for place in own.permutation(30)[:20])
        bad = hostile and index % 5 == 0
        rows.append(
            QueryRow(
                query_id=f"q{index}" + (HOSTILE[0] if hostile else ""),
                text=text,
                values={each: value ** (1 + place / 3) for place, each in enumerate(MEASURES)},
                documents=(text, *documents) if hostile else documents,
                milliseconds=float(own.lognormal(2.5 + 8 * abs(lift), 0.4)),
                slices={"kind": ("event", "person", "place")[index % 3], "text": text[:30]}
                if hostile
                else {"kind": ("event", "person", "place")[index % 3], "head": f"{index % 4}"},
                degraded=("tagger",) if bad else (),
                refused=text if hostile and index % 17 == 3 else "",
                unjudged=index % 4,
            )
        )
    asked = Collection(collection, "test", 3204, count, "c" * 64, "d" * 64)
    settings = {"lexical_weight": 0.5 + lift, "rerank": lift > 0, "entity_boost": 0.3}
    models = {"encoder": "a" * 64, "tagger": "b" * 64}
    note = HOSTILE[0] if hostile else "12 judged documents are not in the corpus"
    system = System(name, name, settings, models, "e" * 64, "here", "0.1.0+abc")
    return RunResult(asked, system, tuple(rows), 100, "2026-11-25T12:00:00Z", (note,))


@cache
def comparison(hostile: bool = False) -> tuple[Comparison, tuple[RunResult, ...]]:
    """Two systems against a third on two collections."""
    systems = [
        [
            result(name, label, lift=lift, count=size, seed=size, hostile=hostile)
            for label, size in SETS
        ]
        for name, lift in (("hybrid", 0.0), ("tuned", 0.03), ("lexical", -0.05))
    ]
    judgements = {
        f"{label}:test": {
            row.query_id: {name: int(name[-1] in "369") for name in row.documents[::2]}
            for row in each.rows
        }
        for (label, _), each in zip(SETS, systems[1], strict=True)
    }
    found = compare(systems[0], systems[1:], MEASURES[:2], judgements=judgements)
    return found, tuple(each for results in systems for each in results)


def verdict(lift: float, floor: float, hostile: bool = False) -> Verdict:
    """A gate's, on a system that is better or worse by `lift`."""
    before = tuple(result("hybrid", label, count=n, seed=n, hostile=hostile) for label, n in SETS)
    after = [
        result("hybrid", label, count=n, seed=n, lift=lift, hostile=hostile) for label, n in SETS
    ]
    rule = Rule(floors={"kind=event": floor, "kind=person": 0.1})
    return judge(Baseline(before, ("nDCG@10", "R@100")), after, rule)


def sweep(target: str = "recall .98, p95 under 5 ms") -> Sweep:
    """Four graphs at six widths."""
    grid = Grid(m=(8, 16), ef_construction=(100, 200), ef=(16, 32, 64, 128, 256, 400))
    cells = tuple(_cell(build, k, ef) for build in grid.builds() for k, ef in grid.asks())
    chosen = recommend(cells, parse_target(target), grid)
    narrowed = [
        Narrowed(what, way, share, int(share * 20_000), 0.9 + share / 20, 900.0, 1.4)
        for share in (0.5, 0.001)
        for what in ("random", "cluster")
        for way in ("walked", "served")
    ]
    return Sweep(
        {"vectors": "cables, 20,000 of 384", "machine": HOSTILE[0], "threads": 2},
        grid,
        cells,
        chosen,
        ((chosen.cell, tuple(narrowed)),),
        (Loss(chosen.cell, "hybrid", "nDCG@10", 0.4432, 0.4425, 52, scanned=False),),
        notes=("repeated vectors with noise: " + HOSTILE[1],),
    )


def growth() -> tuple[Growth, list[Prediction]]:
    """Four sizes, the largest of which misses the recall."""
    sizes = [
        Grown(n, min(n, 200_000), n / 9e3, n * 1.8e3, n * 1.9e3, 64, 4e6 / n**0.5, n**0.3 / 20)
        for n in (10_000, 30_000, 100_000)
    ]
    sizes.append(Grown(300_000, 200_000, 40.0, 5.4e8, 5.6e8, *[float("nan")] * 3))
    found = fitted("faiss fp32, M 16, efConstruction 200, ef 64", 0.99, 10, sizes)
    return found, [predict(found, n, 5.0, 2e9) for n in (10_000_000, 100_000_000)]


def tuning(*, gain: float = 0.0) -> Tuning:
    """Two sets of queries that weigh fusion; a weight of .6 is better by `gain`."""
    weights = {"lexical_weight": (0.3, 0.4, 0.6, 0.7), "fusion": ("convex", "rrf")}
    shipped = FusionSetting.of(standard_profiles(("text",))["hybrid"])
    settings = grid(shipped, weights)
    chance = np.random.default_rng(5)
    hard = chance.beta(1.2, 1.0, (200, 1))
    lift = np.array([gain * (setting.lexical_weight == 0.6) for setting in settings])
    values = np.clip(hard + lift + chance.normal(0, 0.05, (200, len(settings))), 0, 1)
    questions = Questions(np.repeat([0, 1], 100), np.arange(200))
    labels = ["cables:train", "<b>wires</b>:train"]
    return tuned(values, questions, labels, settings, measure="nDCG@10", names=tuple(weights))


def _cell(build: BuildCell, k: int, ef: int) -> Cell:
    missed = 3 / (build.m * ef**0.8) * (1.2 if build.ef_construction == 100 else 1.0)
    time = 0.02 + ef * build.m * 2e-5
    return Cell(
        build=build,
        k=k,
        ef=ef,
        recalls={10: 1 - missed / 2} | ({100: 1 - missed} if k == 100 else {}),
        qps=1000 / time,
        qps_all=1800 / time,
        milliseconds={"p50": time, "p95": 1.6 * time, "p99": 2.5 * time},
        memory=20_000 * (1536 + 8 * build.m),
        disk=20_000 * (1540 + 8 * build.m),
        build_seconds=build.ef_construction * build.m / 400,
    )
