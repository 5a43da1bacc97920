"""Fewer layers from a joint encoder of many, with teacher and student judged side by side.

`dateline models distill` runs it. The teacher is a run of `training.rerank.distil`. It scores the
lists, the student starts from its last layer of each group and learns those scores, and both
become int8 models below one folder. A stage that is done is not done again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.errors import InputError
from core.ports.models import PairScorer
from training.folder import plain_tokenizer
from training.graphs.quantize import Floats
from training.rerank.candidates import CandidateList, read_lists
from training.rerank.distil import MAX_TOKENS, Run, learn, shape_of, start_of, state_of
from training.rerank.joint import PairTokens
from training.rerank.joint_folder import write_model
from training.rerank.judge_lists import DEPTH, WEIGHTS, Rule, Scored, chosen, values
from training.rerank.projection import Teaching
from training.rerank.teachers import by_pairs, pair_scorer, read_taught, teach

TEACHER, STUDENT = "teacher", "student"
NEGATIVES = 7
_LISTS = "`dateline eval candidates FOLDER --output FILE.jsonl.gz` writes lists"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make. `teacher` is a run's file; `learn` and `judge` are files of lists; `output` is
    the folder for both models and the student's run. The teacher's scores have the share `told` of
    what is learned, the judgements the rest.
    """

    teacher: Path
    learn: tuple[Path, ...]
    judge: tuple[Path, ...]
    output: Path
    tokenizer: Path
    layers: int = 6
    steps: int = 1000
    seconds: float = float("inf")
    told: float = 0.7
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its layers, nDCG@10 over the judged lists, milliseconds of processor time
    for the candidates of a list.
    """

    name: str
    layers: int
    ndcg: float
    ms: float


@dataclass(frozen=True, slots=True)
class Halved:
    """How far learning is, and both sides once it is done."""

    step: int
    steps: int
    sides: tuple[Side, ...] = ()


def halve(plan: Plan) -> Halved:
    """Return the two models side by side, or how far learning came in `plan.seconds`. Raises
    InputError for layers that can't be grouped, and for lists that lack a right passage.
    """
    weights, layers = state_of(plan.teacher)
    if plan.layers >= layers or layers % plan.layers:
        mend = f"a smaller number that divides {layers}"
        what = f"{layers} layers can't become {plan.layers}"
        raise InputError(what, where="--layers", mend=mend)
    plan.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    learned = [one for path in plan.learn for one in read_lists(path) if one.found]
    if not learned:
        raise InputError("no list has a right passage", where="--learn", mend=_LISTS)
    if not (plan.output / TEACHER).exists():
        shape = shape_of(weights)
        write_model(plan.output / TEACHER, weights, shape, plan.tokenizer, learned)
    run = _taught_run(plan)
    if run.step < plan.steps:
        return Halved(run.step, plan.steps)
    student, depth = state_of(plan.output / "student.run")
    shape = shape_of(student)
    write_model(plan.output / STUDENT, student, shape, plan.tokenizer, learned)
    return Halved(run.step, plan.steps, _sides(plan, {TEACHER: layers, STUDENT: depth}))


def _taught_run(plan: Plan) -> Run:
    """Return the student's run after learning."""
    scorer = pair_scorer(plan.output, TEACHER, plan.threads)
    taught = []
    for path in plan.learn:
        link = plan.output / path.name  # the teacher's scores lie beside it, not beside the lists
        if not link.exists():
            link.symlink_to(path.resolve())
        for _ in teach(link, {TEACHER: by_pairs(scorer)}, DEPTH):
            pass
        taught += read_taught(link)
    run = Run.of(start_of(str(plan.teacher), plan.layers, plan.output))
    state = plan.output / "student.run"
    if state.exists():
        run.read(state)
    tokens = PairTokens(plain_tokenizer(plan.tokenizer), MAX_TOKENS)
    teaching = Teaching(None, plan.told, negatives=NEGATIVES)
    learn(run, taught, tokens, teaching, plan.steps, state, plan.seconds)
    return run


def _sides(plan: Plan, layers: dict[str, int]) -> tuple[Side, ...]:
    """Return both sides, measured in turns, at the weight that is best for the teacher."""
    lists = [one for path in plan.judge for one in read_lists(path) if one.ideal]
    if not lists:
        raise InputError("no list is judged", where="--judge", mend=_LISTS)
    scorers = {name: pair_scorer(plan.output, name, plan.threads) for name in layers}
    scores, seconds = _in_turns(scorers, lists)
    sides = {
        name: [Scored(given, found) for given, found in zip(lists, scores[name], strict=True)]
        for name in layers
    }
    rule = chosen({TEACHER: sides[TEACHER]}, [Rule(weight) for weight in WEIGHTS[1:]])
    return tuple(
        Side(
            name,
            layers[name],
            float(values(rule, sides[name]).mean()),
            seconds[name] / len(lists) * 1000,
        )
        for name in layers
    )


def _in_turns(
    scorers: dict[str, PairScorer], lists: Sequence[CandidateList]
) -> tuple[dict[str, list[Floats]], dict[str, float]]:
    """Return each scorer's scores of each list, and its seconds of processor time."""
    scores: dict[str, list[Floats]] = {name: [] for name in scorers}
    seconds = dict.fromkeys(scorers, 0.0)
    for given in lists:
        texts = given.texts[:DEPTH]
        for name, scorer in scorers.items():
            begin = time.process_time()
            found = scorer.score([given.query] * len(texts), texts)[:, 0]
            seconds[name] += time.process_time() - begin
            scores[name].append(np.asarray(found, np.float32))
    return scores, seconds
