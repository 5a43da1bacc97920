"""Encoding, tagging and reranking against stock torch and transformers, in the same run.

    python -m benchmarks.models.stock --stock-python PYTHON --stock-model DIR
                                      [--seconds S] [--work TASK:TEXTSxTOKENS ...]

The stock path (benchmarks/models/stock_path.py) follows the tutorials of sentence-transformers and
transformers: fp32 and their own batching, once with torch's default number of threads and once with
one. Ours is compared with the faster of the two, and has as many batches at once as a service (the
setting `threads`), one thread each. The stock path runs in an interpreter of its own that has these
packages (extra [torch]); `--stock-model` is a folder of MiniLM-L6 as sentence-transformers saves
it, whose shape all three of our models have. Both sides get the same texts, in turns; each times
itself, so that passing the texts costs neither of them anything. The target is at least 3 times as
fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.interpreter import OtherInterpreter, other_interpreter
from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.models.costs import add_options, model_of, read_work, settings_of
from dateline.build.models.runtimes import model_store
from dateline.build.models.subject import open_subject
from dateline.settings import Settings
from inference.measuring.profiling import Subject
from inference.texts.sized_texts import sized_pairs, sized_texts
from inference.texts.tokens import TextTokens

WORKS = ("encode:1x16", "encode:64x128", "tag:1x16", "score:20x48", "score:20x128")
LEAST_TIMES = 3.0
_PATH = Path(__file__).with_name("stock_path.py")
_LEAST_TURNS = 5
_LABELS = 9


@dataclass(slots=True)
class Both:
    """One row: our call, the same work for the other interpreter, and the seconds of both; those of
    stock are by threads, 0 for torch's default.
    """

    name: str
    subject: Subject
    message: dict[str, Any]
    ours: list[float] = field(default_factory=list)
    stock: dict[int, list[float]] = field(default_factory=lambda: {0: [], 1: []})

    def figures(self) -> dict[str, float]:
        """Return milliseconds of each side, and how many times as fast ours is as the faster stock
        run.
        """
        ours = percentile(self.ours, 50)
        default, single = (percentile(times, 50) for times in self.stock.values())
        return {
            f"{self.name} ours p50_ms": ours,
            f"{self.name} stock p50_ms": default,
            f"{self.name} stock on one thread p50_ms": single,
            f"{self.name} times faster": min(default, single) / ours,
        }


def main() -> None:
    """Run the benchmark."""
    chosen = _arguments()
    machine = this_machine()
    settings = settings_of(chosen)
    rows = [_opened(settings, text) for text in chosen.work or WORKS]
    command = [chosen.stock_python, "-P", str(_PATH), chosen.stock_model, str(_LABELS)]
    with other_interpreter(command, {"HF_HUB_OFFLINE": "1"}) as stock:  # it must not download
        measure(rows, stock, chosen.seconds)
        versions = stock.versions
    figures: dict[str, Any] = {}
    for row in rows:
        figures |= row.figures()
    figures["stock parts"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    slow = [name for name, value in figures.items() if "times" in name and value < LEAST_TIMES]
    figures[f"below {LEAST_TIMES:g} times"] = ", ".join(slow) or "none"
    show("models against stock torch and transformers", figures, machine, as_json=chosen.json)


def measure(rows: Sequence[Both], stock: OtherInterpreter, seconds: float) -> None:
    """Run turns of every row; each side goes first in every other turn, and the first turn is a
    warm-up.
    """
    until = perf_counter() + seconds
    turns = 0
    while turns <= _LEAST_TURNS or perf_counter() < until:
        for row in rows:
            for side in ("ours", "stock") if turns % 2 else ("stock", "ours"):
                if side == "ours":
                    row.ours.append(_timed(row.subject))
                else:
                    for threads, times in row.stock.items():
                        answer = stock.ask({**row.message, "threads": threads})
                        times.append(float(answer["seconds"]))
        if not turns:
            for row in rows:
                row.ours.clear()
                for times in row.stock.values():
                    times.clear()
        turns += 1


def _timed(subject: Subject) -> float:
    subject.runtime.reset()
    started = perf_counter()
    subject.call()
    return perf_counter() - started


def _opened(settings: Settings, text: str) -> Both:
    """Return a row. Its texts are made as `open_subject` makes them, so both sides have the
    same.
    """
    task, texts, tokens, _ = read_work(text)
    name = model_of(settings, task)
    subject = open_subject(
        settings, name, texts, tokens, task=task, lanes=settings.threads, as_served=True
    )
    tokenizer = TextTokens.open(model_store(settings).open(name)).tokenizer
    message: dict[str, Any] = {"work": task}
    if task == "score":
        pairs = sized_pairs(tokenizer, texts, tokens)
        message |= {"queries": pairs.queries, "passages": pairs.passages}
    else:
        message["texts"] = sized_texts(tokenizer, texts, tokens)
    return Both(f"{task} {texts} x {tokens}", subject, message)


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--stock-python", required=True, help="an interpreter with the stock parts")
    parser.add_argument("--stock-model", required=True, help="folder of the model")
    add_options(parser, WORKS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
