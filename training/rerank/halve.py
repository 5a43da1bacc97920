"""Fewer layers from a joint encoder of many, with teacher and student judged side by side.

`dateline models distill` runs it. The teacher is a run of `training.rerank.distil`. The student
starts from its last layer of each group, and both read the pairs of each step: the student learns
the teacher's token vectors after those layers, and its order of each list. Both become int8 models
below one folder. A stage that is done is not done again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from core.errors import InputError
from core.ports.models import PairScorer
from eval.compare.significance import bootstrap_interval
from inference.measuring.made_costs import costs_of
from inference.measuring.made_report import (
    Cost,
    Figure,
    Judged,
    LayerError,
    LayerSums,
    MadeReport,
    Texts,
    judged_of,
    peak_mb,
    write_report,
)
from inference.models.store import ModelStore
from inference.runtimes.loading import installed, library
from training.folder import plain_tokenizer
from training.graphs.quantize import Floats
from training.rerank.candidates import CandidateList, read_lists
from training.rerank.distil import (
    MAX_TOKENS,
    Run,
    batches_of,
    by_list,
    learn,
    shape_of,
    start_of,
    state_of,
)
from training.rerank.joint import JointEncoder, PairTokens
from training.rerank.joint_folder import write_model
from training.rerank.judge_lists import DEPTH, WEIGHTS, Rule, Scored, chosen, values
from training.rerank.projection import Lesson, Teaching
from training.rerank.teachers import Taught, pair_scorer

TEACHER, STUDENT = "teacher", "student"
HELD_OUT, PAIRS = 16, 4  # judged lists, and pairs of each, on which layers are compared
TOLD_EVERY = 50  # judged lists
NEGATIVES = 3  # few pairs a step: its time goes to more steps
RATE = 1e-4  # the teacher's vectors say much of each token, so a step may be large
NOT_TOLD: Floats = np.zeros(0, np.float32)  # the teacher reads the pairs as they are learned
_LISTS = "`dateline eval candidates FOLDER --output FILE.jsonl.gz` writes lists"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make. `teacher` is a run's file; `learn` and `judge` are files of lists; `output` is
    the folder for both models and the student's run. The teacher's order has the share `told` of
    what is learned of a list, the judgements the rest.
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
    """How far learning is; once it is done, both sides, and the 95 % interval of the points that
    the student loses.
    """

    step: int
    steps: int
    sides: tuple[Side, ...] = ()
    interval: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Told:
    """A `Loss`: what the teacher makes of the same pairs. Its order of a list has the share `told`,
    the judgements the rest; the token vectors count once more.
    """

    teacher: JointEncoder
    told: float

    def __call__(
        self, student: JointEncoder, tokens: PairTokens, group: Sequence[Lesson]
    ) -> torch.Tensor:
        """Return the loss of one step."""
        batches, back = batches_of(tokens, group)
        ours, theirs, gaps = [], [], []
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for batch in batches:
                with torch.no_grad():
                    told, seen = self.teacher.read(batch)
                logits, states = student.read(batch)
                ours.append(logits)
                theirs.append(told)
                gaps.append(_gap(states, seen, torch.from_numpy(batch["attention_mask"]).bool()))
        pairs = zip(by_list(torch.cat(ours)[back], group), group, strict=True)
        orders = by_list(torch.cat(theirs)[back], group)
        losses = [
            functional.cross_entropy(logits, self._target(one, order))
            for (logits, one), order in zip(pairs, orders, strict=True)
        ]
        return torch.stack(losses).mean() + torch.stack(gaps).mean()

    def _target(self, one: Lesson, order: torch.Tensor) -> torch.Tensor:
        judged = torch.from_numpy(one.target)
        return self.told * torch.softmax(order, 0) + (1 - self.told) * judged


def _gap(
    states: Sequence[torch.Tensor], seen: Sequence[torch.Tensor], real: torch.Tensor
) -> torch.Tensor:
    """Return how far the student's token vectors are from those after the teacher's last layer of
    each group: the squared difference as a share of the teacher's square, in the mean of layers.
    `real` bool [n, t] tells tokens from padding.
    """
    group = len(seen) // len(states)
    shares = []
    for ours, theirs in zip(states, seen[group - 1 :: group], strict=True):
        right = theirs[real].float()
        shares.append(functional.mse_loss(ours[real].float(), right) / right.square().mean())
    return torch.stack(shares).mean()


def _untold(line: str) -> None:
    """Show nothing."""


def halve(plan: Plan, tell: Callable[[str], None] = _untold) -> Halved:
    """Return the two models side by side, or how far learning came in `plan.seconds`. Their report
    lies beside them. `tell` gets a line before each part, as some take minutes. Raises InputError
    for layers that can't be grouped, and for lists that lack a right passage.
    """
    began = time.perf_counter()
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
        tell("writes the teacher in int8")
        shape = shape_of(weights)
        write_model(plan.output / TEACHER, weights, shape, plan.tokenizer, learned)
    tell(f"teaches {plan.layers} layers what {layers} know: {plan.steps:,} steps")
    run = _taught_run(plan)
    spent = _spent(plan.output / "seconds.txt", time.perf_counter() - began)
    if run.step < plan.steps:
        return Halved(run.step, plan.steps)
    student, depth = state_of(plan.output / "student.run")
    shape = shape_of(student)
    tell("writes the student in int8")
    write_model(plan.output / STUDENT, student, shape, plan.tokenizer, learned)
    sides, interval, judged = _sides(plan, {TEACHER: layers, STUDENT: depth}, tell)
    tell("measures time and memory, and each layer")
    report = MadeReport(
        f"{plan.output.name}/{STUDENT}",
        plan.teacher.name,
        f"distillation of {layers} layers into {depth}, {run.step:,} steps",
        _costs(plan, sides),
        spent,
        peak_mb(),
        fitted=tuple(_lists_of(path) for path in plan.learn),
        held_out=(_lists_of(plan.judge[0], HELD_OUT),),
        judged=judged,
        layers=_layer_errors(plan, run.model),
    )
    write_report(report, plan.output)
    if installed("jinja2") and installed("matplotlib"):
        library("eval.report.made").write_page(report, plan.output)
    return Halved(run.step, plan.steps, sides, interval)


def _spent(place: Path, seconds: float) -> float:
    """Return the seconds of all runs of the command until now, and keep them."""
    before = float(place.read_text("ascii")) if place.exists() else 0.0
    place.write_text(f"{before + seconds:.1f}\n", encoding="ascii")
    return before + seconds


def _costs(plan: Plan, sides: Sequence[Side]) -> tuple[Cost, ...]:
    """Return what teacher and student take."""
    teacher, student = (ModelStore(plan.output).open(name) for name in (TEACHER, STUDENT))
    texts = [one.query for one in list(read_lists(plan.judge[0]))[:HELD_OUT]]
    return (
        *costs_of(teacher, student, texts),
        Cost(f"ms of processor time for a list of {DEPTH}", *(one.ms for one in sides)),
    )


def _lists_of(path: Path, most: int | None = None) -> Texts:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Texts(f"lists of {path.name}", len(list(read_lists(path))[:most]), digest)


def _layer_errors(plan: Plan, student: JointEncoder) -> tuple[LayerError, ...]:
    """Return how far the student's token vectors are from the teacher's after the layers that they
    learned, on pairs of the first judged lists. Both compute in float32.
    """
    tokens = PairTokens(plain_tokenizer(plan.tokenizer), MAX_TOKENS)
    teacher = start_of(str(plan.teacher), 0, plan.output).eval()
    student = student.eval()
    sums: dict[str, LayerSums] = {}
    for one in list(read_lists(plan.judge[0]))[:HELD_OUT]:
        batch = tokens.batch([(one.query, text) for text in one.texts[:PAIRS]])
        real = batch["attention_mask"].astype(bool)
        with torch.inference_mode():
            states, seen = student.read(batch)[1], teacher.read(batch)[1]
        group = len(seen) // len(states)
        for number, (ours, theirs) in enumerate(zip(states, seen[group - 1 :: group], strict=True)):
            name = f"layer {number + 1}, the teacher's {group * (number + 1)}"
            kept = sums.setdefault(name, LayerSums())
            kept.add(theirs.float().numpy()[real], ours.float().numpy()[real])
    return tuple(each.error(name) for name, each in sums.items())


def _taught_run(plan: Plan) -> Run:
    """Return the student's run after learning."""
    lists = [Taught(one, NOT_TOLD) for path in plan.learn for one in read_lists(path)]
    student = start_of(str(plan.teacher), plan.layers, plan.output)
    student.bert.embeddings.requires_grad_(False)  # they are the teacher's
    run = Run.of(student, RATE)
    state = plan.output / "student.run"
    if state.exists():
        run.read(state)
    tokens = PairTokens(plain_tokenizer(plan.tokenizer), MAX_TOKENS)
    told = Told(start_of(str(plan.teacher), 0, plan.output).eval(), plan.told)
    teaching = Teaching(negatives=NEGATIVES)
    learn(run, lists, tokens, teaching, plan.steps, state, plan.seconds, told)
    return run


def _sides(
    plan: Plan, layers: dict[str, int], tell: Callable[[str], None]
) -> tuple[tuple[Side, ...], tuple[float, float], tuple[Judged, ...]]:
    """Return both sides, measured in turns, at the weight that is best for the teacher, the
    interval of the points that the student loses, and both on each file of lists.
    """
    read = [(path.name, one) for path in plan.judge for one in read_lists(path) if one.ideal]
    lists = [one for _, one in read]
    if not lists:
        raise InputError("no list is judged", where="--judge", mend=_LISTS)
    scorers = {name: pair_scorer(plan.output, name, plan.threads) for name in layers}
    scores, seconds = _in_turns(scorers, lists, tell)
    sides = {
        name: [Scored(given, found) for given, found in zip(lists, scores[name], strict=True)]
        for name in layers
    }
    rule = chosen({TEACHER: sides[TEACHER]}, [Rule(weight) for weight in WEIGHTS[1:]])
    found = {name: values(rule, sides[name]) for name in layers}
    both = tuple(
        Side(name, layers[name], float(each.mean()), seconds[name] / len(lists) * 1000)
        for name, each in found.items()
    )
    interval = bootstrap_interval([100 * (found[TEACHER] - found[STUDENT])])
    judged = []
    for name in dict.fromkeys(name for name, _ in read):
        at = [number for number, (file, _) in enumerate(read) if file == name]
        queries = [lists[n].query for n in at]
        before, after = (
            Figure.mean_of(queries, found[side][at].tolist()) for side in (TEACHER, STUDENT)
        )
        between = bootstrap_interval([found[STUDENT][at] - found[TEACHER][at]])
        # A small weight keeps most of the search's order, so little can be lost.
        measure = f"nDCG@10, weight {rule.weight:g} of the reranker"
        judged.append(judged_of(measure, name, before, after, between))
    return both, interval, tuple(judged)


def _in_turns(
    scorers: dict[str, PairScorer], lists: Sequence[CandidateList], tell: Callable[[str], None]
) -> tuple[dict[str, list[Floats]], dict[str, float]]:
    """Return each scorer's scores of each list, and its seconds of processor time."""
    scores: dict[str, list[Floats]] = {name: [] for name in scorers}
    seconds = dict.fromkeys(scorers, 0.0)
    for number, given in enumerate(lists):
        if number % TOLD_EVERY == 0:
            tell(f"judges both: {number:,} of {len(lists):,} lists")
        texts = given.texts[:DEPTH]
        for name, scorer in scorers.items():
            begin = time.process_time()
            found = scorer.score([given.query] * len(texts), texts)[:, 0]
            seconds[name] += time.process_time() - begin
            scores[name].append(np.asarray(found, np.float32))
    return scores, seconds
