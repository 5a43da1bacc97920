"""Learns to rank lists: chooses the passages of each step, and runs the training loop."""

import functools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from training.graphs.bert import BertShape, Weights
from training.rerank.candidates import CandidateList, read_lists
from training.rerank.joint import JointEncoder, PairTokens, trained_weights
from training.tagger.finetune import pace, report

HELD_OUT = 10  # one of this many lists is not learned from


@dataclass(frozen=True, slots=True)
class Source:
    """A file of lists to learn from: seen `times`, at most `most` of its lists. `headlines` says
    that its queries are headlines, which the passages must not show.
    """

    name: str
    times: int = 1
    most: int | None = None
    headlines: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """A run over lists with its own schedule. Rates are the highest, after `warm_up` steps."""

    sources: tuple[Source, ...]
    steps: int
    rate: float
    head_rate: float
    warm_up: int


# Judged queries are scarce and seen several times; titles are many and seen once.
FIRST = Stage(
    (
        Source("scifact-train", 3),
        Source("checkthat2020-train", 2),
        Source("bbc_news", 1, 1500),
        Source("reuters21578", 1, 3000, headlines=True),
    ),
    steps=676,
    rate=4e-5,
    head_rate=1e-3,
    warm_up=40,
)
# The same sets again, with other wrong passages and a lower rate.
SECOND = Stage(
    (
        Source("scifact-train"),
        Source("checkthat2020-train"),
        Source("bbc_news"),
        Source("reuters21578", 1, 2500, headlines=True),
    ),
    steps=443,
    rate=3e-5,
    head_rate=5e-4,
    warm_up=20,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. A step sees `lists` lists with `candidates` passages each; half of the wrong
    ones come from the hybrid search's `nearest`. A share `short` of the steps sees pairs of half
    the length.
    """

    stages: tuple[Stage, ...] = (FIRST, SECOND)
    lists: int = 6
    candidates: int = 8
    nearest: int = 12
    scale_rate: float = 1e-2
    short: float = 0.4
    seed: int = 1

    def cut(self, steps: int | None) -> "Plan":
        """Return the plan with at most `steps` steps a stage, for a trial."""
        if steps is None:
            return self
        stages = tuple(replace(each, steps=min(each.steps, steps)) for each in self.stages)
        return replace(self, stages=stages)


def learned(lists: Sequence[CandidateList]) -> list[CandidateList]:
    """Return the lists of a file that are learned from: nine of ten."""
    return [one for number, one in enumerate(lists) if number % HELD_OUT]


def held_out(lists: Sequence[CandidateList]) -> list[CandidateList]:
    """Return every tenth list. It is never learned from, so that the weight of the mix can be
    chosen on it.
    """
    return list(lists[::HELD_OUT])


def training_lists(
    folder: Path, sources: Sequence[Source], least: int, chance: random.Random
) -> list[CandidateList]:
    """Return all lists to learn from, in random order; lists without a right passage are left out.
    Raises ValueError if there are fewer than `least`.
    """
    chosen: list[CandidateList] = []
    for source in sources:
        path = folder / f"{source.name}.jsonl.gz"
        if not path.exists():
            print(f"without {source.name}: {path} is not there", flush=True)
            continue
        lists = [one for one in learned(read_lists(path)) if one.found and len(one.others) >= 7]
        chance.shuffle(lists)
        kept = lists[: source.most]
        chosen += [one.without_headlines() if source.headlines else one for one in kept] * (
            source.times
        )
    chance.shuffle(chosen)
    if len(chosen) < least:
        raise ValueError(f"{folder} has no lists to learn from; see `dateline eval candidates`")
    return chosen


def drawn(given: CandidateList, plan: Plan, chance: random.Random) -> list[tuple[str, str]]:
    """Return a right passage first, then wrong ones, half of them from the hybrid search's best."""
    near = given.others[: plan.nearest]
    picks = chance.sample(near, min(plan.candidates // 2, len(near)))
    rest = [place for place in given.others if place not in picks]
    picks += chance.sample(rest, min(plan.candidates - 1 - len(picks), len(rest)))
    places = [chance.choice(given.found), *picks]
    return [(given.query, given.texts[place]) for place in places]


def loss_of(
    model: JointEncoder, tokens: PairTokens, pairs: Sequence[tuple[str, str]], lists: int
) -> torch.Tensor:
    """Return listwise cross-entropy of `lists` groups of pairs, each with its right pair first."""
    lengths = [len(tokens.row(*pair)[0]) for pair in pairs]
    order = np.argsort(lengths, kind="stable")
    halves = np.array_split(order, 2)  # by length, so that padding is small
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [model(tokens.batch([pairs[place] for place in half])) for half in halves]
    places = torch.from_numpy(np.argsort(np.concatenate(halves)))
    logits = torch.cat(found)[places].view(lists, -1)
    return torch.nn.functional.cross_entropy(logits, torch.zeros(lists, dtype=torch.long))


def train(start: Weights, tokens: PairTokens, folder: Path, plan: Plan) -> Weights:
    """Fine-tune from BERT weights on the lists in `folder`; return the weights of BERT and the
    head.
    """
    torch.manual_seed(plan.seed)
    chance = random.Random(plan.seed)  # noqa: S311
    model = JointEncoder(start, BertShape()).train()
    for stage in plan.stages:
        lists = training_lists(folder, stage.sources, plan.lists, chance)
        run(model, tokens, lists, stage, plan, chance)
    return trained_weights(model)


def run(
    model: JointEncoder,
    tokens: PairTokens,
    lists: Sequence[CandidateList],
    stage: Stage,
    plan: Plan,
    chance: random.Random,
) -> None:
    """Run one stage over `lists`, in order."""
    optimizer = optimizer_of(model, stage, plan)
    steps = min(stage.steps, len(lists) // plan.lists)
    warm = min(stage.warm_up, max(1, steps // 4))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, functools.partial(pace, total=steps, warm=warm)
    )
    begin = time.monotonic()
    for step in range(steps):
        group = lists[step * plan.lists : (step + 1) * plan.lists]
        limit = tokens.limit // 2 if chance.random() < plan.short else tokens.limit
        pairs = [pair for each in group for pair in drawn(each, plan, chance)]
        loss = loss_of(model, replace(tokens, limit=limit), pairs, len(group))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0:
            report(step + 1, steps, loss.item(), time.monotonic() - begin)


def optimizer_of(model: JointEncoder, stage: Stage, plan: Plan) -> torch.optim.Optimizer:
    """Return AdamW; the CLS term and the scale learn faster, because they start from nothing."""
    head = [*model.cls.parameters()]
    return torch.optim.AdamW(
        [
            {"params": list(model.bert.parameters()), "lr": stage.rate, "weight_decay": 0.01},
            {"params": head, "lr": stage.head_rate, "weight_decay": 0.0},
            {"params": [model.scale], "lr": plan.scale_rate, "weight_decay": 0.0},
        ]
    )
