"""Which runtime a model should have on this machine: contenders, texts, and the kept choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from core.errors import InputError, ModelError
from dateline.build.models.runtimes import (
    RUNTIMES,
    kept_choices,
    model_store,
    model_tokenizer,
    runtimes_of,
)
from dateline.measuring.model_texts import read_texts
from dateline.settings import Settings
from indexing.media.shots.windows import FILE_WINDOW
from inference.measuring.sample_windows import sample_windows
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder
from inference.runtimes.bench import Contender, Row, Shape, fastest, measure
from inference.runtimes.choice import (
    KeptChoice,
    Kinds,
    RuntimeChoice,
    on_device,
    open_choice,
    parse_choice,
)
from inference.runtimes.sample import Arrays, full_batch, ordinary_batches
from inference.shot_detector import FRAMES, SHORTEST

SHAPES = {
    "encode": (Shape(1, 16), Shape(64, 128)),
    "tag": (Shape(1, 16), Shape(64, 16)),
    "score": (Shape(20, 48),),
    "shots": (Shape(1, SHORTEST), Shape(1, FILE_WINDOW)),
}
REAL_TEXTS = 32  # on which answers are compared
REAL_WINDOWS = 4
Put = tuple[dict[Shape, Arrays], list[Arrays]]  # arrays to time by shape, arrays to compare on


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What to measure: shapes and runtimes, empty for the default ones, and seconds for a shape."""

    shapes: tuple[Shape, ...] = ()
    runtimes: tuple[str, ...] = ()
    seconds: float = 5.0
    threads: int = 1
    texts: Path | None = None


def bench(
    settings: Settings, name: str, plan: BenchPlan, report: Callable[[str], None]
) -> list[Row]:
    """Return a row for each runtime. Raises ModelError for a missing model, InputError for a shape
    that it can't read, SettingsError for an unknown runtime.
    """
    folder = model_store(settings).open(name)
    arrays, real = inputs(folder, plan)
    found = contenders(settings, folder, plan)
    return measure(found, arrays, real, seconds=plan.seconds, report=report)


def inputs(folder: ModelFolder, plan: BenchPlan) -> Put:
    """Return what a model is measured with. Raises InputError for a shape that it can't read."""
    manifest = folder.manifest
    shapes = plan.shapes or tuple(
        Shape(shape.texts, min(shape.tokens, manifest.max_tokens))
        for shape in SHAPES[manifest.task]
    )
    _check_shapes(manifest, shapes)
    put = _windows if manifest.task == "shots" else _texts
    return put(folder, tuple(dict.fromkeys(shapes)), plan)


def _check_shapes(manifest: ModelManifest, shapes: Sequence[Shape]) -> None:
    """Raise InputError for a shape that the model can't read."""
    longest = manifest.max_tokens
    least = SHORTEST if manifest.task == "shots" else 1
    for shape in shapes:
        if not (shape.texts >= 1 and least <= shape.tokens <= longest):
            mend = f"a text has 1 to {longest} tokens"
            if manifest.task == "shots":
                mend = f"a window has {least} to {longest} frames: 1x{least}, 1x{longest}"
            what = f"{manifest.name} can't read {shape} tokens"
            raise InputError(what, where="--shape", mend=mend)


def _texts(folder: ModelFolder, shapes: Sequence[Shape], plan: BenchPlan) -> Put:
    """Return texts, or pairs of them, as the model reads them."""
    manifest = folder.manifest
    tokenizer, texts = model_tokenizer(folder), read_texts(plan.texts)
    pairs = manifest.task == "score"
    arrays = {
        shape: full_batch(tokenizer, texts, pairs=pairs, rows=shape.texts, tokens=shape.tokens)
        for shape in shapes
    }
    real = ordinary_batches(
        tokenizer, texts[:REAL_TEXTS], pairs=pairs, longest=min(128, manifest.max_tokens)
    )
    return arrays, real


def _windows(folder: ModelFolder, shapes: Sequence[Shape], plan: BenchPlan) -> Put:
    """Return windows of frames with movement, cuts and dissolves."""
    arrays: dict[Shape, Arrays] = {
        shape: {FRAMES: sample_windows(shape.texts, frames=shape.tokens)} for shape in shapes
    }
    return arrays, [{FRAMES: sample_windows(1, seed=seed)} for seed in range(REAL_WINDOWS)]


def contenders(settings: Settings, folder: ModelFolder, plan: BenchPlan) -> list[Contender]:
    """Return the runtimes of the plan, the reference first: ONNX Runtime if the model has a graph
    for it. A runtime that can't be opened here is included with the reason.
    """
    names = plan.runtimes or tuple(RUNTIMES)
    choices = [
        on_device(parse_choice(text, RUNTIMES, where="--runtimes"), RUNTIMES, settings.device)
        for text in names
    ]
    choices.sort(key=lambda choice: list(RUNTIMES).index(choice.kind))
    kinds = runtimes_of(settings)
    return [_contender(folder, choice, kinds, plan.threads) for choice in dict.fromkeys(choices)]


def keep(settings: Settings, name: str, rows: Sequence[Row]) -> KeptChoice:
    """Keep the fastest runtime whose answers agree. Raises ModelError if there is none."""
    best = fastest(rows)
    if best is None:
        raise ModelError(
            "no runtime gave answers that agree", where=name, mend="see the problems in the table"
        )
    manifest = model_store(settings).open(name).manifest
    ratio = next((row.score for row in rows if row.speeds), best.score) / best.score
    choice = KeptChoice(name, best.name, round(ratio, 3), date.today().isoformat())
    kept_choices(settings).keep(manifest, choice)
    return choice


def _contender(folder: ModelFolder, choice: RuntimeChoice, kinds: Kinds, threads: int) -> Contender:
    kind = kinds[choice.kind]
    absent = ""
    if kind.missing:
        absent = f"not installed: {', '.join(kind.missing)}"
    elif not set(kind.formats) & set(folder.manifest.graphs):
        absent = f"the model has no {' or '.join(kind.formats)} graph"
    rounds = choice.option in ("bf16", "int8") or "int8" in folder.manifest.precision
    opener = partial(open_choice, choice, kinds, folder, threads=threads)
    return Contender(str(choice), opener, absent, rounds)
