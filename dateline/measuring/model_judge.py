"""Measures a model on judged data before and after it was made smaller."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import InputError, ModelError
from dateline.build.models.runtimes import model_store, open_tagger
from dateline.measuring.evaluate import evaluate_folder
from dateline.measuring.model_texts import read_texts
from dateline.settings import Settings
from eval.runs.run_summary import degraded
from inference.models.store import MANIFEST, ModelStore
from inference.runtimes.loading import library

MOST_LOST = 0.005  # half a point
_MEASURES = {"encode": "nDCG@10", "score": "nDCG@10", "tag": "entity F1"}


@dataclass(frozen=True, slots=True)
class Judged:
    """The figure `measure` on `dataset` of the model before and now."""

    measure: str
    dataset: str
    before: float
    after: float

    @property
    def holds(self) -> bool:
        """Return whether no more than half a point was lost."""
        return self.before - self.after <= MOST_LOST


@dataclass(frozen=True, slots=True)
class QuantizePlan:
    """What to make of a model: see `training.public_models.compress`. `judge` names data to measure
    it on: a BEIR folder, perhaps with :SPLIT, for encoders and scorers, a CoNLL file for taggers;
    "" for none.
    """

    method: str
    output: Path
    calibrate: Path | None = None
    judge: str = ""
    texts: int = 128  # to calibrate on


@dataclass(frozen=True, slots=True)
class Quantized:
    """The result: its place, its bytes before and after, and the judged figures.

    A model that lost too much is `refused`: it is put aside under a name that nothing loads.
    """

    place: Path
    size_before: int
    size_after: int
    judged: Judged | None

    @property
    def refused(self) -> bool:
        """Return whether it lost more than half a point."""
        return self.judged is not None and not self.judged.holds


def quantize(settings: Settings, name: str, plan: QuantizePlan) -> Quantized:
    """Make the model `name` smaller. Raises ModelError if that fails, InputError for a name that is
    taken or an unknown method.
    """
    source = model_store(settings).open(name)
    if source.manifest.task == "shots":
        mend = "python -P -m training.transnetv2 makes the int8 form"
        raise InputError(f"{name} reads no texts to be measured on", where=name, mend=mend)
    tools = library("training.public_models.compress")
    output = plan.output
    if plan.method not in tools.METHODS:
        mend = f"one of {', '.join(tools.METHODS)}"
        raise InputError(f"there is no method {plan.method!r}", where="--method", mend=mend)
    if output.exists() or output.name in model_store(settings).names():
        raise InputError("there is a model or folder of this name", where=str(output))
    texts: Sequence[str] = ()
    if plan.method == "static":
        texts = read_texts(plan.calibrate, plan.texts)
    staging = output.with_name(f".{output.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        made = staging / output.name
        tools.compress(source, made, tools.CompressPlan(plan.method, tuple(texts)))
        judged = None
        if plan.judge:
            judged = judge(settings, name, staging, output.name, plan.judge)
            _write_figure(staging, output.name, judged)
        lost = judged is not None and not judged.holds
        place = output.with_name(f"{output.name}.refused") if lost else output
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Quantized(place, _size(source.path / source.manifest.graph), _graph_size(place), judged)


def judge(settings: Settings, name: str, root: Path, made: str, dataset: str) -> Judged:
    """Return the figures of the model `name` and of `made`, which is below `root`."""
    task = model_store(settings).open(name).manifest.task
    there = settings.model_copy(update={"pulled_models": root})
    before, after = figure(settings, task, name, dataset), figure(there, task, made, dataset)
    return Judged(_MEASURES[task], dataset, before, after)


def figure(settings: Settings, task: str, name: str, dataset: str) -> float:
    """Return one model's figure, by the served pipeline. Raises ModelError if an answer lacks a
    stage. No second encoder embeds the items: none of these profiles asks it.
    """
    if task == "tag":
        return entity_f1(settings, name, Path(dataset))
    settings = settings.with_one_encoder()
    if task == "encode":
        changed = {"encoder": name, "tagger": "", "reranker": ""}
        return _ndcg(settings.model_copy(update=changed), dataset, "vector")
    changed = {"reranker": name, "tagger": ""}
    return _ndcg(settings.model_copy(update=changed), dataset, "hybrid-rerank")


def _ndcg(settings: Settings, dataset: str, profile: str) -> float:
    found = evaluate_folder(settings, dataset, profile)
    if flagged := degraded(found):
        told = ", ".join(f"{stage} in {count} answers" for stage, count in flagged.items())
        raise ModelError(f"the model was not measured: degraded {told}", where=dataset)
    return found.mean("nDCG@10")


def entity_f1(settings: Settings, name: str, path: Path) -> float:
    """Return entity F1 (seqeval: exact span and type) on a CoNLL file, with its words unchanged."""
    metrics, corpus = library("seqeval.metrics"), library("training.tagger.conll")
    try:
        sentences = corpus.read_conll(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the data can't be read: {error}", where=str(path)) from error
    tagger = open_tagger(settings, name)
    found = tagger.tag_words([list(sentence.words) for sentence in sentences])
    gold = [list(sentence.tags) for sentence in sentences]
    return float(metrics.f1_score(gold, [list(tags.labels) for tags in found]))


def _write_figure(root: Path, name: str, judged: Judged) -> None:
    """Put the figure, and the command that measured it, into the manifest."""
    folder = ModelStore(root).open(name)
    title = f"{Path(judged.dataset).name}, {judged.measure}"
    command = f"{folder.manifest.recipe} --judge {judged.dataset}"
    manifest = replace(
        folder.manifest,
        quality={title: round(judged.after, 4), f"{title}, before": round(judged.before, 4)},
        commands={title: command, f"{title}, before": command},
    )
    (folder.path / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _graph_size(place: Path) -> int:
    return sum(_size(path) for path in place.glob("*.onnx"))


def _size(path: Path) -> int:
    return path.stat().st_size
