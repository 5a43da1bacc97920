"""Measures a model on judged data before and after it was made smaller, and reports on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import eq
from pathlib import Path
from time import perf_counter

import numpy as np

from core.errors import InputError, ModelError
from dateline.build.models.runtimes import model_store, model_tokenizer, open_tagger
from dateline.measuring.evaluate import evaluate_folder
from dateline.measuring.model_texts import read_texts
from dateline.settings import Settings
from eval.compare.significance import ratio_interval
from eval.runs.run_summary import degraded
from inference.measuring.made_costs import costs_of
from inference.measuring.made_report import (
    Figure,
    Judged,
    LayerError,
    MadeReport,
    Sums,
    judged_of,
    peak_mb,
    texts_of,
    write_report,
)
from inference.models.store import MANIFEST, ModelFolder, ModelStore
from inference.runtimes.loading import installed, library
from inference.runtimes.sample import ordinary_batches

HELD_OUT = 16  # texts on which layers are compared
_MEASURES = {"encode": "nDCG@10", "score": "nDCG@10", "tag": "entity F1"}


@dataclass(frozen=True, slots=True)
class QuantizePlan:
    """What to make of a model: see `training.public_models.compress`. `judge` names data to measure
    it on: BEIR folders, perhaps with :SPLIT, for encoders and scorers, CoNLL files for taggers.
    """

    method: str
    output: Path
    calibrate: Path | None = None
    judge: tuple[str, ...] = ()
    texts: int = 128  # to calibrate on


@dataclass(frozen=True, slots=True)
class Quantized:
    """The result: its place, its bytes before and after, and the judged figures. The whole report
    lies in its place.

    A model that lost too much is `refused`: it is put aside under a name that nothing loads.
    """

    place: Path
    size_before: int
    size_after: int
    judged: tuple[Judged, ...]

    @property
    def refused(self) -> bool:
        """Return whether it lost more than half a point on any of the data."""
        return not all(one.holds for one in self.judged)


def _untold(line: str) -> None:
    """Show nothing."""


def quantize(
    settings: Settings, name: str, plan: QuantizePlan, tell: Callable[[str], None] = _untold
) -> Quantized:
    """Make the model `name` smaller; `tell` gets a line before each part, as some take minutes.
    Raises ModelError if that fails, InputError for a name that is taken or an unknown method.
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
    static = plan.method == "static"
    read = read_texts(plan.calibrate, plan.texts + HELD_OUT)
    fitted = read[: plan.texts] if static else ()
    held_out = read[len(fitted) :][:HELD_OUT]
    staging = output.with_name(f".{output.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        made = staging / output.name
        began = perf_counter()
        tell(f"makes {output.name}: {plan.method}")
        tools.compress(source, made, tools.CompressPlan(plan.method, tuple(fitted)))
        seconds = perf_counter() - began
        judged = tuple(judge(settings, name, staging, output.name, one, tell) for one in plan.judge)
        if judged:
            _write_figures(staging, output.name, judged)
        sizes = _size(source.path / source.manifest.graph), _graph_size(made)
        data = plan.calibrate.name if plan.calibrate else "the demo corpus"
        smaller = ModelStore(staging).open(output.name)
        tell("measures time and memory, and each layer")
        report = MadeReport(
            output.name,
            name,
            plan.method,
            costs_of(source, smaller, read),
            seconds,
            peak_mb(),
            fitted=(texts_of(data, fitted),) if fitted else (),
            held_out=(texts_of(f"other texts of {data}", held_out),) if held_out else (),
            judged=judged,
            layers=_layers(source, smaller, held_out),
        )
        write_report(report, made)
        if installed("jinja2") and installed("matplotlib"):
            library("eval.report.made").write_page(report, made)
        found = Quantized(output, *sizes, judged)
        place = output.with_name(f"{output.name}.refused") if found.refused else output
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return replace(found, place=place)


def _layers(
    before: ModelFolder, after: ModelFolder, texts: tuple[str, ...]
) -> tuple[LayerError, ...]:
    """Return the error of each layer on `texts`; none without texts."""
    if not texts:
        return ()
    manifest = before.manifest
    batches = ordinary_batches(
        model_tokenizer(before),
        texts,
        pairs=manifest.task == "score",
        longest=min(128, manifest.max_tokens),
        rows=1,
    )
    tools = library("training.public_models.layer_errors")
    found: tuple[LayerError, ...] = tools.layer_errors(before, after, batches)
    return found


def judge(
    settings: Settings,
    name: str,
    root: Path,
    made: str,
    dataset: str,
    tell: Callable[[str], None] = _untold,
) -> Judged:
    """Return the figures of the model `name` and of `made`, which is below `root`."""
    task = model_store(settings).open(name).manifest.task
    there = settings.model_copy(update={"pulled_models": root})
    tell(f"judges {name} on {dataset}")
    before = measured(settings, task, name, dataset)
    tell(f"judges {made} on {dataset}")
    after = measured(there, task, made, dataset)
    interval = ratio_interval(before.sums, after.sums)
    return judged_of(_MEASURES[task], dataset, before, after, interval)


def figure(settings: Settings, task: str, name: str, dataset: str) -> float:
    """Return one model's figure; see `measured`."""
    return measured(settings, task, name, dataset).value


def measured(settings: Settings, task: str, name: str, dataset: str) -> Figure:
    """Return one model's figure, by the served pipeline. Raises ModelError if an answer lacks a
    stage. No second encoder embeds the items: none of these profiles asks it.
    """
    if task == "tag":
        return tagged(settings, name, Path(dataset))
    settings = settings.with_one_encoder()
    if task == "encode":
        changed = {"encoder": name, "tagger": "", "reranker": ""}
        return _ndcg(settings.model_copy(update=changed), dataset, "vector")
    changed = {"reranker": name, "tagger": ""}
    return _ndcg(settings.model_copy(update=changed), dataset, "hybrid-rerank")


def _ndcg(settings: Settings, dataset: str, profile: str) -> Figure:
    found = evaluate_folder(settings, dataset, profile)
    if flagged := degraded(found):
        told = ", ".join(f"{stage} in {count} answers" for stage, count in flagged.items())
        raise ModelError(f"the model was not measured: degraded {told}", where=dataset)
    values = [row.values["nDCG@10"] for row in found.rows]
    return Figure.mean_of([row.text for row in found.rows], values)


def entity_f1(settings: Settings, name: str, path: Path) -> float:
    """Return entity F1 on a CoNLL file; see `tagged`."""
    return tagged(settings, name, path).value


def tagged(settings: Settings, name: str, path: Path) -> Figure:
    """Return entity F1 (exact span and type) on a CoNLL file, with its words unchanged, and of each
    sentence the share of words with the right label.
    """
    corpus = library("training.tagger.conll")
    try:
        sentences = corpus.read_conll(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the data can't be read: {error}", where=str(path)) from error
    tagger = open_tagger(settings, name)
    found = tagger.tag_words([list(sentence.words) for sentence in sentences])
    gold = [list(sentence.tags) for sentence in sentences]
    labels = [list(tags.labels) for tags in found]
    rows = {
        " ".join(sentence.words): sum(map(eq, right, given)) / len(right)
        for sentence, right, given in zip(sentences, gold, labels, strict=True)
    }
    return Figure(rows, entity_counts(gold, labels))


def entity_counts(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> Sums:
    """Return, of each sentence's labels, twice the names that are right, and the names that are
    there and that were found, float64 [n, 2]: entity F1 is the ratio of their sums.
    """
    rows = [(_names(right), _names(given)) for right, given in zip(gold, found, strict=True)]
    return np.array([(2.0 * len(a & b), float(len(a) + len(b))) for a, b in rows])


def _names(labels: Sequence[str]) -> set[tuple[int, int, str]]:
    """Return the first and last word and the type of each name. One may begin with I-, too."""
    found, begins = set(), 0
    for place, (label, then) in enumerate(zip(labels, [*labels[1:], "O"], strict=True)):
        kind = label[2:]
        if not label.startswith("I-") or place == 0 or labels[place - 1][2:] != kind:
            begins = place
        if kind and then != f"I-{kind}":
            found.add((begins, place, kind))
    return found


def _write_figures(root: Path, name: str, judged: Sequence[Judged]) -> None:
    """Put the figures, and the command that measured each, into the manifest."""
    folder = ModelStore(root).open(name)
    quality: dict[str, float] = {}
    commands: dict[str, str] = {}
    for one in judged:
        title = f"{Path(one.dataset).name}, {one.measure}"
        quality |= {title: round(one.after, 4), f"{title}, before": round(one.before, 4)}
        command = f"{folder.manifest.recipe} --judge {one.dataset}"
        commands |= dict.fromkeys((title, f"{title}, before"), command)
    manifest = replace(folder.manifest, quality=quality, commands=commands)
    (folder.path / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _graph_size(place: Path) -> int:
    return sum(_size(path) for path in place.glob("*.onnx"))


def _size(path: Path) -> int:
    return path.stat().st_size
