"""One model in one runtime, in a process of its own: its start, its memory and its quality.

    python -m benchmarks.models.alone NAME RUNTIME [--pulled DIR] [--judge SET] [--ner FILE]

- `start_s`: from the choice of the runtime, whose library is not imported yet, to the answer to one
  short text; the form of the graph that a first load makes is kept before
- `memory_mb`: what the process has more after calls of both sizes than before the runtime
- `quality`: of an encoder nDCG@10 on SET by exact cosine of each document's first tokens; of a
  tagger entity F1 on the first sentences of FILE (CoNLL, needs seqeval). Other models have none.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from benchmarks.machine import arguments
from core.errors import DatelineError
from core.items import FloatMatrix
from dateline.build.models.runtimes import batch_limits, model_store, open_runtime
from dateline.measuring.model_bench import BenchPlan, inputs
from dateline.measuring.model_judge import entity_f1
from dateline.measuring.model_texts import strings
from dateline.settings import Settings, configure
from eval.runs.measures import means, parse_measures, per_query, ranked
from eval.sets.datasets import read_judged_set
from eval.sets.lines import read_lines
from inference.encoder import SentenceEncoder
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.runtimes.parity import answer_of
from inference.runtimes.sample import narrowed

_NDCG, _F1 = "nDCG@10", "entity F1"
_GROUP = 64


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
    small, large = list(inputs(folder, BenchPlan())[0].values())[:2] or [{}, {}]
    before, began = resident_mb(), perf_counter()
    runtime = open_runtime(settings, folder, threads=1)
    _call(runtime, small)
    started = perf_counter() - began
    _call(runtime, large)
    _call(runtime, large)
    found: dict[str, Any] = {"start_s": started, "memory_mb": resident_mb() - before}
    if folder.manifest.task == "encode" and chosen.judge:
        found |= {"quality": ndcg(settings, folder, runtime, chosen.judge), "measure": _NDCG}
    if folder.manifest.task == "tag" and chosen.ner:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(first_sentences(chosen.ner, chosen.sentences))
            file.flush()
            f1 = entity_f1(settings, chosen.name, Path(file.name))
        found |= {"quality": f1, "measure": _F1}
    return found


def resident_mb() -> float:
    """Return the resident memory of this process, in MB of 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def ndcg(settings: Settings, folder: ModelFolder, runtime: Runtime, name: str) -> float:
    """Return the mean nDCG@10 of an encoder on a judged set, by exact cosine."""
    judged = read_judged_set(name)
    encoder = SentenceEncoder.over(folder, runtime, limits=batch_limits(settings))
    texts: dict[str, str] = {}
    for line in read_lines(judged.corpus):
        tree = line.json_object()
        texts[str(tree.get("_id") or tree.get("uri"))] = " ".join(strings(tree))
    documents = _encoded(encoder, list(texts.values()))
    queries = encoder.encode_queries(list(judged.queries.values()))
    scores, ids = queries @ documents.T, list(texts)
    run = {
        query: ranked({ids[at]: float(row[at]) for at in np.argsort(-row)[:100]})
        for query, row in zip(judged.queries, scores, strict=True)
    }
    return means(per_query(parse_measures([_NDCG]), judged.qrels, run))[_NDCG]


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
