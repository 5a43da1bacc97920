"""A small head over frozen token vectors, which late interaction learns in minutes.

    python -P -m training.rerank.projection --lists DIR --cache DIR --checkpoint FILE
                                     [--learn NAME,NAME] [--encoder NAME] [--models DIR]
                                     [--width 64] [--passes N] [--margin M]
                                     [--distilled SHARE] [--threads N]

The score of a query and a passage is the weighted mean, over the query's tokens, of each token's
best cosine with a token of the passage, after one linear map of both. Three things are learned: the
map (an encoder's width to `--width`), how much each token of a query counts (a linear function of
its vector), and the shares of this score and of the search's own. They are learned together: the
head learns what the search gets wrong, because the search's score is in the sum that is compared.

DIR has lists that `dateline eval candidates` wrote. Negatives that frozen teachers score nearly as
high as the right passage are dropped (`training.rerank.teachers`): many outlets tell one event.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch.nn import functional

from core.items import FloatMatrix
from training.graphs.quantize import Floats
from training.rerank.candidates import CandidateList
from training.rerank.teachers import Taught, learning_parser, lists_to_learn, unit
from training.rerank.token_cache import Tokens, fill_lists

ENCODER = "bge-small-en-v1.5"
WIDTH = 64
DEPTH = 20
NEGATIVES = 11
AT_ONCE = 8  # lists of a step
RATE = 2e-3
SCALE = 20.0
FUSED_SHARE = 5.0  # of the search's score, put on 0 to 1, at the start
SAVED_EVERY = 100  # steps


@dataclass(frozen=True, slots=True)
class Head:
    """The learned numbers: `projection` float32 [d, width]; `importance` float32 [d + 1], of a
    query's token, the last one constant; `shares` float32 [2], of the search's score and of ours.
    """

    projection: Floats
    importance: Floats
    shares: Floats

    def project(self, tokens: FloatMatrix) -> FloatMatrix:
        """Return float32 [n, width], rows of unit norm."""
        mapped = tokens @ self.projection
        norms = np.linalg.norm(mapped, axis=1, keepdims=True)
        return np.asarray(mapped / np.maximum(norms, 1e-9), np.float32)

    def weights(self, query: FloatMatrix) -> Floats:
        """Return float32 [n]: how much each token of `query` [n, d] counts; they add up to 1."""
        raised = np.exp(query @ self.importance[:-1])
        return np.asarray(raised / raised.sum(), np.float32)

    def score(self, query: FloatMatrix, passage: FloatMatrix) -> float:
        """Return the score of a pair of token vectors; 0 if one of them has no token."""
        return weighted_best(self.weights(query), self.project(query), self.project(passage))


def weighted_best(weights: Floats, query: FloatMatrix, passage: FloatMatrix) -> float:
    """Return the mean, by `weights` [n], of the best cosine of each of a query's projected tokens
    [n, d] with a token of the passage; 0 if one of them has no token.
    """
    if not len(query) or not len(passage):
        return 0.0
    return float((query @ passage.T).max(axis=1) @ weights)


def started(sample: FloatMatrix, width: int) -> Head:
    """Return the head before learning: the first `width` directions of a `sample` [n, d] of tokens,
    all tokens of a query counting alike.
    """
    _, vectors = np.linalg.eigh(sample.T @ sample)
    projection = np.ascontiguousarray(vectors[:, ::-1][:, :width], np.float32)
    importance = np.zeros(sample.shape[1] + 1, np.float32)
    return Head(projection, importance, np.array([FUSED_SHARE, SCALE], np.float32))


@dataclass(frozen=True, slots=True)
class Lesson:
    """One query and the places of the passages that are compared, the right one first. `target`
    float32 [n] is the share of each that the head learns.
    """

    given: CandidateList
    places: tuple[int, ...]
    target: Floats


@dataclass(frozen=True, slots=True)
class Teaching:
    """How lists become lessons: at most `negatives`, drawn among those that the teachers score
    lower than the right passage by more than `margin` (None: among all). The teachers' opinion,
    sharpened by `sharpness`, has the share `distilled` of what is learned; the judgement has the
    rest.
    """

    margin: float | None = None
    distilled: float = 0.0
    sharpness: float = 8.0
    negatives: int = NEGATIVES


def lessons(lists: Sequence[Taught], teaching: Teaching, chance: random.Random) -> Iterator[Lesson]:
    """Yield the lists that have a right passage among the first DEPTH, and others."""
    for one in lists:
        right = [place for place in one.given.found if place < DEPTH]
        others = [place for place in one.negatives(teaching.margin) if place < DEPTH]
        if not right or not others:
            continue
        wrong = chance.sample(others, min(len(others), teaching.negatives))
        places = (right[0], *wrong)
        yield Lesson(one.given, places, _target(one.scores, places, teaching))


def _target(scores: Floats, places: Sequence[int], teaching: Teaching) -> Floats:
    judged: Floats = np.eye(1, len(places), dtype=np.float32)[0]
    if not len(scores) or not teaching.distilled:
        return judged
    raised = np.exp(teaching.sharpness * scores[list(places)])
    share = np.float32(teaching.distilled)
    return np.asarray((1 - share) * judged + share * raised / raised.sum(), np.float32)


class _Learner(torch.nn.Module):  # type: ignore[misc] # torch ships no types that mypy reads here
    """The head in PyTorch."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.projection = torch.nn.Parameter(torch.from_numpy(head.projection.copy()))
        self.importance = torch.nn.Parameter(torch.from_numpy(head.importance.copy()))
        self.shares = torch.nn.Parameter(torch.from_numpy(head.shares.copy()))

    def forward(
        self, query: FloatMatrix, passages: Sequence[FloatMatrix], fused: Floats
    ) -> torch.Tensor:
        """Return logits [n] of `passages` for `query`; `fused` [n] is on 0 to 1."""
        asked = torch.from_numpy(query)
        sizes = [len(one) for one in passages]
        told = functional.normalize(torch.from_numpy(np.concatenate(passages)) @ self.projection)
        cosines = functional.normalize(asked @ self.projection) @ told.T
        parts = torch.split(cosines, sizes, dim=1)
        best = torch.stack([part.amax(dim=1) for part in parts], dim=1)  # [tokens, n]
        weights = torch.softmax(asked @ self.importance[:-1], dim=0)
        ours = self.shares[1] * (weights @ best)
        return self.shares[0] * torch.from_numpy(fused) + ours

    def head(self) -> Head:
        """Return the numbers as they are now."""
        values = (self.projection, self.importance, self.shares)
        return Head(*(value.detach().numpy().copy() for value in values))


def learn(
    head: Head,
    every: Sequence[Lesson],
    cache: Tokens,
    passes: int,
    checkpoint: Path | None = None,
    rate: float = RATE,
) -> Head:
    """Return the head after `passes` over the lessons. The head so far is written to `checkpoint`
    every SAVED_EVERY steps.
    """
    learner = _Learner(head)
    steps = passes * (len(every) // AT_ONCE)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, max(steps, 1))
    chance, begin, losses = random.Random(2), time.monotonic(), []  # noqa: S311
    for step in range(steps):
        group = chance.sample(every, AT_ONCE)
        loss = torch.stack([_loss(learner, one, cache) for one in group]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % SAVED_EVERY == SAVED_EVERY - 1 or step == steps - 1:
            took = time.monotonic() - begin
            print(f"step {step + 1}/{steps} loss {np.mean(losses):.4f} {took:.0f} s", flush=True)
            losses = []
            if checkpoint is not None:
                write_head(learner.head(), checkpoint)
    return learner.head()


def _loss(learner: _Learner, lesson: Lesson, cache: Tokens) -> torch.Tensor:
    given = lesson.given
    texts = [given.texts[place] for place in lesson.places]
    fused = unit(given.fused)[list(lesson.places)].astype(np.float32)
    logits = learner(cache[given.query], [cache[text] for text in texts], fused)
    return functional.cross_entropy(logits[None], torch.from_numpy(lesson.target)[None])


def write_head(head: Head, path: Path) -> None:
    """Write the head as safetensors; the file appears when it is whole."""
    values = {name: getattr(head, name) for name in Head.__slots__}
    part = path.with_name(path.name + ".part")
    save_file(values, part)
    part.replace(path)


def read_head(path: Path) -> Head:
    """Return the head of a file that `write_head` wrote."""
    return Head(**load_file(path))


def head_scores(
    head: Head, lists: Sequence[CandidateList], cache: Tokens, depth: int = DEPTH
) -> list[Floats]:
    """Return the scores of each list's first `depth` candidates."""
    kept: dict[str, FloatMatrix] = {}
    found = []
    for given in lists:
        query = cache[given.query]
        asked, weights, texts = head.project(query), head.weights(query), given.texts[:depth]
        kept |= {text: head.project(cache[text]) for text in texts if text not in kept}
        row = [weighted_best(weights, asked, kept[text]) for text in texts]
        found.append(np.array(row, np.float32))
    return found


def main() -> None:
    """The command line."""
    parser = learning_parser(__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of token vectors")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--encoder", default=ENCODER, help="or several, with + between them")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--distilled", type=float, default=0.0, help="the teachers' share, 0 to 1")
    parser.add_argument("--checkpoint", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    chance = random.Random(1)  # noqa: S311
    taught = lists_to_learn(given)
    lists = [one.given for one in taught]
    cache = fill_lists(given.cache, given.encoder, lists, DEPTH, given.models, given.threads)
    teaching = Teaching(given.margin, given.distilled)
    every = list(lessons(taught, teaching, chance))
    sample = np.concatenate([cache[one.given.query] for one in every[:2000]])
    print(f"{len(every)} lessons", flush=True)
    head = learn(started(sample, given.width), every, cache, given.passes, given.checkpoint)
    print(f"shares {head.shares.tolist()}")


if __name__ == "__main__":
    main()
