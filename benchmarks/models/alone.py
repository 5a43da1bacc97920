"""One model in one runtime, in a process of its own: its start, its memory and its quality.

    python -m benchmarks.models.alone NAME RUNTIME [--pulled DIR] [--judge SET] [--ner FILE]

- `start_s`: from the choice of the runtime, whose library is not imported yet, to the answer to one
  short text; the form of the graph that a first load makes is kept before
- `memory_mb`: what the process has more after calls of both sizes than before the runtime
- `quality`: of an encoder nDCG@10 on SET by exact cosine of each document's first tokens; of a
  scorer nDCG@10 of the 20 documents that the bundled encoder finds nearest, in its own order; of a
  tagger entity F1 on the first sentences of FILE (CoNLL, needs seqeval); of what finds shots F1 of
  the cuts and dissolves in made windows
"""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from benchmarks.machine import arguments
from core.errors import DatelineError
from core.items import FloatMatrix
from dateline.build.models.runtimes import batch_limits, model_store, open_encoder, open_runtime
from dateline.measuring.model_bench import BenchPlan, inputs
from dateline.measuring.model_judge import entity_f1
from dateline.measuring.model_texts import strings
from dateline.settings import Settings, configure
from eval.runs.measures import means, parse_measures, per_query, ranked
from eval.sets.datasets import read_judged_set
from eval.sets.judged import JudgedSet
from eval.sets.lines import read_lines
from indexing.media.shots.windows import FILE_WINDOW
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.measuring.sample_windows import windows_with_changes
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.runtimes.bench import Shape
from inference.runtimes.parity import answer_of
from inference.runtimes.sample import narrowed
from inference.shot_detector import SHORTEST, TransitionDetector

# A call with one and with many; a window of shots is many pictures by itself.
SHAPES = {
    "encode": (Shape(1, 16), Shape(64, 32)),
    "tag": (Shape(1, 16), Shape(64, 16)),
    "score": (Shape(1, 48), Shape(64, 48)),
    "shots": (Shape(1, SHORTEST), Shape(1, FILE_WINDOW)),
}
_NDCG, _F1, _SHOTS_F1 = "nDCG@10", "entity F1", "F1 of changes"
_GROUP = 64
_CANDIDATES = 20
_WINDOWS, _LIKELY = 24, 0.5
_FIRST = "all-MiniLM-L6-v2"  # finds a scorer's candidates


def main() -> None:
    """Measure, and print JSON."""
    try:
        found = measured()
    except DatelineError as error:
        raise SystemExit(f"error: {error}") from error
    print(orjson.dumps(found).decode(), flush=True)
    os._exit(0)  # threads of a runtime may take their time to end


def measured() -> dict[str, Any]:
    """Return the figures, by name."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("name")
    parser.add_argument("runtime")
    parser.add_argument("--pulled", type=Path, help="where models are, beside the bundled ones")
    parser.add_argument("--judge", default="", help="a judged set, for encoders")
    parser.add_argument("--ner", type=Path, help="tagged sentences, for taggers")
    parser.add_argument("--sentences", type=int, default=1000, help="of --ner")
    chosen = parser.parse_args()
    flags = {"pulled_models": chosen.pulled, "runtimes": {chosen.name: chosen.runtime}}
    settings = configure({k: v for k, v in flags.items() if v is not None}).settings
    folder = model_store(settings).open(chosen.name)
    shapes = SHAPES[folder.manifest.task]
    small, large = inputs(folder, BenchPlan(shapes=shapes))[0].values()
    before, began = resident_mb(), perf_counter()
    runtime = open_runtime(settings, folder, threads=1)
    _call(runtime, small)
    started = perf_counter() - began
    _call(runtime, large)
    _call(runtime, large)
    found: dict[str, Any] = {"start_s": started, "memory_mb": resident_mb() - before}
    return found | quality(settings, folder, runtime, chosen)


def quality(
    settings: Settings, folder: ModelFolder, runtime: Runtime, chosen: Namespace
) -> dict[str, Any]:
    """Return the quality and the name of its measure; nothing where there is no data for it."""
    task = folder.manifest.task
    if task in ("encode", "score") and chosen.judge:
        judge = ndcg if task == "encode" else reranked
        return {"quality": judge(settings, folder, runtime, chosen.judge), "measure": _NDCG}
    if task == "shots":
        return {"quality": changes_f1(folder, runtime), "measure": _SHOTS_F1}
    if task != "tag" or not chosen.ner:
        return {}
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(first_sentences(chosen.ner, chosen.sentences))
        file.flush()
        f1 = entity_f1(settings, chosen.name, Path(file.name))
    return {"quality": f1, "measure": _F1}


def resident_mb() -> float:
    """Return the resident memory of this process, in MB of 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def ndcg(settings: Settings, folder: ModelFolder, runtime: Runtime, name: str) -> float:
    """Return the mean nDCG@10 of an encoder on a judged set, by exact cosine."""
    encoder = SentenceEncoder.over(folder, runtime, limits=batch_limits(settings))
    judged = read_judged_set(name)
    return _mean(judged, _nearest(encoder, judged, texts_of(judged), 100))


def reranked(settings: Settings, folder: ModelFolder, runtime: Runtime, name: str) -> float:
    """Return the mean nDCG@10 of a scorer's order of the nearest documents of a judged set."""
    scorer = CrossEncoder.over(folder, runtime, limits=batch_limits(settings))
    judged = read_judged_set(name)
    texts = texts_of(judged)
    lists = _nearest(open_encoder(settings, _FIRST), judged, texts, _CANDIDATES)
    run = {}
    for query, candidates in lists.items():
        passages = [texts[one] for one in candidates]
        scores = scorer.score_pairs([judged.queries[query]] * len(passages), passages)
        run[query] = dict(zip(candidates, scores, strict=True))
    return _mean(judged, run)


def changes_f1(folder: ModelFolder, runtime: Runtime) -> float:
    """Return F1 of the changes in made windows: one is found if a frame of it is likely, and every
    other run of likely frames is false.
    """
    windows, changes = windows_with_changes(_WINDOWS)
    scores = TransitionDetector.over(folder, runtime).transitions(windows)[:, : windows.shape[1]]
    found = false = 0
    for likely, true in zip(scores > _LIKELY, changes, strict=True):
        found += sum(bool(likely[first : last + 1].any()) for first, last in true)
        for first, last in true:
            likely[first : last + 1] = False
        false += int(np.sum(np.diff(likely.astype(np.int8), prepend=0) == 1))
    wanted = sum(map(len, changes))
    return 2 * found / (found + false + wanted)


def texts_of(judged: JudgedSet) -> dict[str, str]:
    """Return the documents of a judged set, by id."""
    texts: dict[str, str] = {}
    for line in read_lines(judged.corpus):
        tree = line.json_object()
        texts[str(tree.get("_id") or tree.get("uri"))] = " ".join(strings(tree))
    return texts


def _nearest(
    encoder: SentenceEncoder, judged: JudgedSet, texts: Mapping[str, str], count: int
) -> dict[str, dict[str, float]]:
    """Return the cosines of each query's nearest documents, by id."""
    documents = _encoded(encoder, list(texts.values()))
    scores, ids = encoder.encode_queries(list(judged.queries.values())) @ documents.T, list(texts)
    return {
        query: {ids[at]: float(row[at]) for at in np.argsort(-row)[:count]}
        for query, row in zip(judged.queries, scores, strict=True)
    }


def _mean(judged: JudgedSet, run: Mapping[str, Mapping[str, float]]) -> float:
    lists = {query: ranked(scores) for query, scores in run.items()}
    return means(per_query(parse_measures([_NDCG]), judged.qrels, lists))[_NDCG]


def first_sentences(path: Path, count: int) -> str:
    """Return the first sentences of a CoNLL file, with a blank line after each."""
    sentences = path.read_text("utf-8").split("\n\n")
    return "\n\n".join(sentences[:count]) + "\n\n"


def _encoded(encoder: SentenceEncoder, texts: list[str]) -> FloatMatrix:
    parts = [encoder.encode_passages(texts[n : n + _GROUP]) for n in range(0, len(texts), _GROUP)]
    return np.concatenate(parts)


def _call(runtime: Runtime, arrays: Any) -> None:
    runtime.run(narrowed(arrays, runtime), (answer_of(runtime),))


if __name__ == "__main__":
    main()
