"""Scores mined pairs by frozen models, so that a passage that is right by chance is not a negative.

    python -P -m training.rerank.teachers --lists DIR --cache DIR --names NAME,NAME
                                   [--teachers MODEL,MODEL] [--models DIR] [--depth N] [--threads N]

A teacher is a model that ranks pairs and that nobody here fine-tuned on a judged set: an encoder,
by the vectors of its tokens, or a cross-encoder that was pulled. NAME.jsonl.gz gets
NAME.taught.jsonl beside it, one line a query: the mean of the teachers' scores, each put on 0 to 1
over the list. Its first line names the teachers, and the others are in the order of the lists: a
run that is stopped goes on behind the last one, and other teachers begin anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.ports.models import PairScorer
from inference.cross_encoder import CrossEncoder
from inference.late_interaction import max_sim
from inference.models.store import ModelStore
from inference.runtimes.onnx import OnnxRuntime
from training.graphs.quantize import Floats
from training.rerank.candidates import CandidateList, read_lists
from training.rerank.token_cache import Tokens, fill_lists

MARGIN = 0.05
DEPTH = 20
Teacher = Callable[[str, Sequence[str]], Floats]
"""The scores [n] of n passages for a query."""


@dataclass(frozen=True, slots=True)
class Taught:
    """A list, and the teachers' scores [n] of its first candidates; none if nobody taught."""

    given: CandidateList
    scores: Floats

    def negatives(self, margin: float | None) -> tuple[int, ...]:
        """Return places of the candidates that are not judged relevant, and whose score is lower
        than the best right one's by more than `margin`. All of them if `margin` is None or nobody
        taught.
        """
        right = [place for place in self.given.found if place < len(self.scores)]
        if margin is None or not right:
            return self.given.others
        least = max(float(self.scores[place]) for place in right) - margin
        return tuple(
            place
            for place in self.given.others
            if place < len(self.scores) and self.scores[place] < least
        )


def unit(scores: Floats) -> Floats:
    """Return `scores` [n] put on 0 to 1; all 1 if they are equal."""
    low, high = float(scores.min()), float(scores.max())
    if high <= low:
        return np.ones_like(scores)
    return np.asarray((scores - low) / (high - low), np.float32)


def read_taught(path: Path) -> list[Taught]:
    """Return the lists of a file, with their teachers' scores if there are any."""
    beside = taught_path(path)
    lines = beside.read_text("ascii").splitlines() if beside.exists() else []
    told = [np.array(json.loads(line), np.float32) for line in lines[1:]]
    none = np.zeros(0, np.float32)
    lists = read_lists(path)
    return [
        Taught(given, told[place] if place < len(told) else none)
        for place, given in enumerate(lists)
    ]


def learning_parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options of every recipe that learns from lists; its own are added to them."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    parser.add_argument("--lists", type=Path, required=True, help="folder of candidate lists")
    parser.add_argument("--learn", default="learn-en", help="names of the lists to learn from")
    parser.add_argument("--margin", type=float, help=f"drop doubtful negatives, such as {MARGIN}")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def lists_to_learn(given: argparse.Namespace) -> list[Taught]:
    """Return the lists that `--lists` and `--learn` name."""
    files = [given.lists / f"{name}.jsonl.gz" for name in given.learn.split(",")]
    return [one for path in files for one in read_taught(path)]


def taught_path(lists: Path) -> Path:
    """Return where the teachers' scores of a file of lists are."""
    return lists.with_name(lists.name.partition(".")[0] + ".taught.jsonl")


def teach(path: Path, teachers: Mapping[str, Teacher], depth: int) -> Iterator[int]:
    """Append the scores of the lists that have none yet; yield how many lists are left."""
    lists, beside = read_lists(path), taught_path(path)
    heading = json.dumps([*sorted(teachers), depth]) + "\n"
    kept = _whole_lines(beside)
    if kept[:1] != [heading]:
        kept = [heading]
    beside.write_text("".join(kept), "ascii")
    with beside.open("a", encoding="ascii") as lines:
        for place in range(len(kept) - 1, len(lists)):
            scores = scored(lists[place], [*teachers.values()], depth)
            lines.write(json.dumps([round(float(each), 4) for each in scores]) + "\n")
            lines.flush()
            yield len(lists) - place - 1


def scored(given: CandidateList, teachers: Sequence[Teacher], depth: int) -> Floats:
    """Return the mean of the teachers' scores of the first `depth` candidates, each on 0 to 1."""
    texts = given.texts[:depth]
    each = [unit(teacher(given.query, texts)) for teacher in teachers]
    return np.asarray(np.mean(each, axis=0), np.float32)


def _whole_lines(path: Path) -> list[str]:
    """Return the lines of the file, without a last one that was cut off."""
    if not path.exists():
        return []
    return [line for line in path.read_text("ascii").splitlines(True) if line.endswith("\n")]


def by_pairs(scorer: PairScorer) -> Teacher:
    """Return a teacher that reads query and passage together."""
    return lambda query, texts: np.asarray(
        scorer.score([query] * len(texts), texts)[:, 0], np.float32
    )


def by_tokens(cache: Tokens) -> Teacher:
    """Return a teacher by late interaction over token vectors that are in `cache`."""
    return lambda query, texts: np.array(
        [max_sim(cache[query], cache[text]) for text in texts], np.float32
    )


def pair_scorer(models: Path, name: str, threads: int) -> PairScorer:
    """Return the cross-encoder `name`."""
    folder = ModelStore(models).open(name)
    return CrossEncoder.over(folder, OnnxRuntime.open(folder, threads=threads))


def teachers_of(given: argparse.Namespace, lists: Sequence[CandidateList]) -> dict[str, Teacher]:
    """Return the teachers that the command line names; what they need of `lists` is computed
    first.
    """
    found: dict[str, Teacher] = {}
    store = ModelStore(given.models)
    for name in given.teachers.split(","):
        if store.open(name).manifest.task == "score":
            found[name] = by_pairs(pair_scorer(given.models, name, given.threads))
        else:
            some = (given.cache, name, lists, given.depth, given.models, given.threads)
            found[name] = by_tokens(fill_lists(*some))
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--lists", type=Path, required=True, help="folder of candidate lists")
    parser.add_argument("--cache", type=Path, required=True, help="folder of token vectors")
    parser.add_argument("--names", required=True, help="which of them, with commas between")
    parser.add_argument("--teachers", default="bge-small-en-v1.5,all-MiniLM-L6-v2")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    files = [given.lists / f"{name}.jsonl.gz" for name in given.names.split(",")]
    teachers = teachers_of(given, [one for path in files for one in read_lists(path)])
    for path in files:
        for left in teach(path, teachers, given.depth):
            if left % 100 == 0:
                print(f"{path.name}: {left} lists left", flush=True)


if __name__ == "__main__":
    main()
