"""Each model by each runtime, in one run: time, memory, size on disk, start, quality, and which one
`models bench --choose` takes.

    python -m benchmarks.models.runtimes [--models NAME|FOLDER ...] [--runtimes NAME[:OPTION],...]
                                [--judge SET|FILE ...] [--output DIR] [--seconds S]
                                [--only forms|quality|times]

The bundled models are int8 graphs for ONNX Runtime. So that runtimes have the same weights, each
model is also exported in float32, in every form that a runtime here reads: as `NAME-float32` by the
extra `torch` (no scorer, and not what finds shots), as `NAME-tensorflow` by the extra `tensorflow`.
Every runtime has a row with each of its options; one that can't be used here says why. A scorer
that is not bundled is named by its folder.

- `small` and `large` call: p50 of calls in turns, on one thread, in one process (`models bench`)
- `memory`, `start`, `quality`: of a process for each (`benchmarks.models.alone`); for TorchServe of
  its server, whose processes are counted together
- `quality`: over the rows of all data of `--judge` that are for the model's task: judged sets for
  encoders and scorers, CoNLL files for taggers, composed clips for what finds shots (made windows
  where none are named)
- `points`: what that is above the model's first runtime, with the 95 % interval over the same rows
- `likeness`: the least cosine with the model's first runtime, on ordinary text

DIR keeps the forms, the quality and the rows of each model, and what is there is not measured
again. So a long run can be stopped, and done in parts: `--only` does one part, as quality may be
measured beside other work and times may not; each name of `--models` is a part, too. It gets
`runtimes.md`, `runtimes.svg`, `runtimes.json` and `quality.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import SecretStr

from benchmarks.machine import arguments, this_machine
from benchmarks.models.alone import SHAPES
from benchmarks.models.judged import Quality, data_for, joined
from benchmarks.sides import NAN, Side, draw, markdown, side_of, tell
from core.errors import DatelineError, ModelError
from dateline.build.models.runtimes import RUNTIMES, model_store
from dateline.measuring.model_bench import BenchPlan, bench, contenders
from dateline.measuring.model_texts import read_texts
from dateline.settings import Settings, configure
from inference.models.manifest import ModelManifest, companions
from inference.models.store import ModelFolder
from inference.runtimes.bench import Row, fastest
from inference.runtimes.loading import installed, library
from scripts.torchserve_server import missing, torchserve
from tests.free_ports import ports_in_a_row

MODELS = ("all-MiniLM-L6-v2", "distilbert-ner-news", "transnetv2-int8")
PARTS = ("forms", "quality", "times")
FLOATS = {"transnetv2-int8": "transnetv2"}  # bundled in float32 too
_TENSORS = ("tensorflow", "tflite", "tflite-int8")
_LONGEST_S = 3600.0
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured with what: `judge` are data for quality, `parts` what is done of PARTS."""

    settings: Settings
    output: Path
    runtimes: tuple[str, ...]
    seconds: float
    judge: tuple[str, ...]
    parts: tuple[str, ...] = PARTS

    @property
    def exported(self) -> Path:
        """Where the models in float32 are."""
        return self.output / "models"


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--runtimes", default="", help="by commas; all with all options else")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each size of call")
    parser.add_argument("--judge", nargs="+", default=["datasets/demo"], help="data for quality")
    parser.add_argument("--output", type=Path, default=Path("build/runtimes"))
    parser.add_argument("--only", choices=PARTS, help="do one part; all where none is named")
    chosen = parser.parse_args()
    exported = chosen.output / "models"
    exported.mkdir(parents=True, exist_ok=True)
    settings = configure({"pulled_models": str(exported)}).settings
    named = tuple(one for one in chosen.runtimes.split(",") if one) or every_option()
    parts = (chosen.only,) if chosen.only else PARTS
    plan = Plan(settings, chosen.output, named, chosen.seconds, tuple(chosen.judge), parts)
    try:
        names = list(forms(plan, [brought(plan, name) for name in chosen.models]))
        if "quality" in plan.parts:
            for name in names:
                judge(plan, name)
        sides = [side for name in names for side in rows_of(plan, name)]
    except DatelineError as error:
        raise SystemExit(f"error: {error}") from error
    if sides:
        tell("models by runtimes", sides, this_machine(), as_json=chosen.json)
        (plan.output / "runtimes.md").write_text(markdown(sides), encoding="utf-8")
    if sides and "times" in plan.parts and installed("matplotlib"):
        draw(sides, plan.output / "runtimes.svg", "Models by runtimes, one thread")


def every_option() -> tuple[str, ...]:
    """Return every runtime with each of its options."""
    return tuple(f"{name}:{option}" for name, kind in RUNTIMES.items() for option in kind.options)


def brought(plan: Plan, name: str) -> str:
    """Return a model's name; one that is named by its folder is put beside the exported ones."""
    place = Path(name)
    if place.is_dir() and not (plan.exported / place.name).exists():
        shutil.copytree(place, plan.exported / place.name)
    return place.name


def forms(plan: Plan, names: Sequence[str]) -> Iterator[str]:
    """Yield each model and its forms in float32, which are made where they are missing."""
    for name in names:
        yield name
        if not model_store(plan.settings).open(name).manifest.precision.startswith("int8"):
            continue
        source = model_store(plan.settings).open(FLOATS.get(name, name))
        for part, extra, write in _FORMS:
            made = plan.exported / f"{source.manifest.name}-{part}"
            if not installed(extra):
                _progress(f"{made.name} is left out: {extra} is not installed")
                continue
            try:
                if not made.exists():
                    _progress(f"exporting {made.name}")
                    write(source, made)
                yield made.name
            except ModelError as error:
                _progress(f"{made.name} can't be made: {error}")


def _torch_forms(source: ModelFolder, made: Path) -> None:
    """Write PyTorch's forms, and an ONNX graph of its own."""
    manifest = source.manifest
    hub, parts = library("training.public_models.hub_folder"), checkpoint_folder()
    opened = made.parent.parent / f"{manifest.name}-hub"
    if not opened.exists():
        hub.write_hub_folder(source, opened)
    wanted = parts.ExportPlan(
        manifest.task,
        _read_here(parts.PATHS),
        pooling=manifest.pooling,
        query_prefix=manifest.query_prefix,
        passage_prefix=manifest.passage_prefix,
        max_tokens=manifest.max_tokens,
        licence=manifest.licence,
    )
    library("training.public_models.export").export(opened, made, wanted, read_texts(None, 16))


def _tensor_forms(source: ModelFolder, made: Path) -> None:
    """Write TensorFlow's forms and the ONNX graph that they were made from."""
    formats = _read_here(_TENSORS)
    texts = read_texts(None, 16)
    library("training.tensorflow.export").export_tensorflow(source, made, formats, texts)


_FORMS = (("float32", "torch", _torch_forms), ("tensorflow", "tensorflow", _tensor_forms))


def _read_here(formats: Iterable[str]) -> tuple[str, ...]:
    kinds = [kind for kind in RUNTIMES.values() if not kind.missing]
    return tuple(one for one in formats if any(one in kind.formats for kind in kinds))


def checkpoint_folder() -> Any:
    """Return the exporter's names of forms."""
    return library("training.public_models.checkpoint_folder")


def judge(plan: Plan, name: str) -> None:
    """Keep the model's quality by each runtime on each of the data, where it is not kept yet."""
    folder, place = model_store(plan.settings).open(name), plan.output / "quality.json"
    data = data_for(folder.manifest.task, list(plan.judge))
    known = _kept(place).get(name, {})
    left = [one for one in plan.runtimes if not set(data) <= set(known.get(_by(one), {}))]
    wanted = replace(plan, runtimes=tuple(left))
    with server(wanted, folder) as served:
        named = BenchPlan(runtimes=_named(wanted, served))
        for one in contenders(plan.settings, folder, named) if left else ():
            if not one.absent:
                _judge_by(plan, name, one.name, data, served)


def _judge_by(plan: Plan, name: str, runtime: str, data: Sequence[str], served: AtServer) -> None:
    place = plan.output / "quality.json"
    known = _kept(place).get(name, {}).get(_by(runtime), {})
    new = [one for one in data if one not in known]
    _progress(f"quality of {name} by {runtime}: {', '.join(new)}")
    told = alone(plan, name, runtime, served, new)
    if "quality" not in told:
        _progress(told["problem"])
        return
    found = _kept(place)  # another environment may have added its own meanwhile
    found.setdefault(name, {}).setdefault(_by(runtime), {}).update(told["quality"])
    place.write_text(json.dumps(found) + "\n", encoding="utf-8")


def rows_of(plan: Plan, name: str) -> list[Side]:
    """Return the rows of a model with its quality: those that an earlier run kept, or new ones if
    times are a part of the plan.
    """
    place = plan.output / "runtimes.json"
    rows = _kept(place)
    if name not in rows and "times" in plan.parts:
        rows[name] = [asdict(side) for side in measured(plan, name)]
        place.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    quality = _kept(plan.output / "quality.json").get(name, {})
    task = model_store(plan.settings).open(name).manifest.task
    data = data_for(task, list(plan.judge))
    known = {
        by: joined([sets[one] for one in data])
        for by, sets in quality.items()
        if data and all(one in sets for one in data)
    }
    timed = [side_of(tree) for tree in rows.get(name, [])]
    return [with_quality(side, known) for side in timed or [Side(name, by) for by in known]]


def with_quality(side: Side, known: Mapping[str, Quality]) -> Side:
    """Return a row with its quality, and how far that is from the first one's."""
    if side.problem or side.by not in known:
        return side
    found, (reference, *_) = known[side.by], known.values()
    points, low, high = found.change(reference)
    if found is reference:
        points = low = high = NAN
    return replace(
        side, quality=found.value, measure=found.measure, points=points, low=low, high=high
    )


def _kept(place: Path) -> dict[str, Any]:
    return json.loads(place.read_text("utf-8")) if place.exists() else {}


def measured(plan: Plan, name: str) -> list[Side]:
    """Return a row for each runtime of one model."""
    folder = model_store(plan.settings).open(name)
    with server(plan, folder) as served:
        named = _named(plan, served)
        settings = plan.settings.model_copy(update={"remote_key": served.key})
        wanted = BenchPlan(SHAPES[folder.manifest.task], named, plan.seconds)
        rows = bench(settings, name, wanted, _progress)
        best = fastest(rows)
        sides = []
        for row in rows:
            side = _side(folder.manifest, row, folder, chosen=row == best)
            if not side.problem:
                _progress(f"{name} by {row.name}, alone")
                side = replace(side, **alone(plan, name, row.name, served))
            sides.append(side)
    return sides


def _named(plan: Plan, served: AtServer) -> tuple[str, ...]:
    return tuple(served.address if one.startswith("torchserve") else one for one in plan.runtimes)


def _by(runtime: str) -> str:
    """Return the name of a runtime in the table: a server's address says nothing there."""
    return runtime if not runtime.startswith("torchserve") else "torchserve"


@dataclass(frozen=True, slots=True)
class AtServer:
    """A running TorchServe: its runtime's name, its key, its start and its memory; empty if there
    is none.
    """

    address: str = "torchserve"
    key: Any = None
    start_s: float = NAN
    memory_mb: float = NAN


@contextmanager
def server(plan: Plan, folder: ModelFolder) -> Iterator[AtServer]:
    """Serve the model by a TorchServe, where there is one and a form that it reads."""
    if missing() or not any(one.startswith("torchserve") for one in plan.runtimes):
        yield AtServer()
        return
    import psutil

    archive = library("training.public_models.torchserve_archive")
    made = plan.output / f"{folder.manifest.name}-torchserve-{os.getpid()}"
    archive.write_torchserve(folder, made, archive.ServePlan(ports_in_a_row(5)[0]))
    began = monotonic()
    with torchserve(made) as served:
        started = monotonic() - began
        tree = [psutil.Process(served.process), *psutil.Process(served.process).children(True)]
        memory = sum(one.memory_info().rss for one in tree) / 1e6
        key = SecretStr(served.inference_key)
        yield AtServer(f"torchserve:{served.inference}", key, started, memory)


def alone(
    plan: Plan, name: str, runtime: str, served: AtServer, data: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Return start and memory of a process of its own, or with `data` the quality on them."""
    command = [sys.executable, "-m", "benchmarks.models.alone", name, runtime]
    command += ["--pulled", str(plan.exported), *(["--judge", *data] if data else [])]
    key = {"DATELINE_REMOTE_KEY": served.key.get_secret_value()} if served.key else {}
    ended = subprocess.run(
        command,
        env={**os.environ, **key},
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    if ended.returncode:
        return {"problem": (ended.stderr.strip().splitlines() or ["it ended early"])[-1][:300]}
    found: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    if runtime == served.address and not data:
        found |= {"start_s": served.start_s, "memory_mb": served.memory_mb}
    return found


def _side(manifest: ModelManifest, row: Row, folder: ModelFolder, *, chosen: bool) -> Side:
    """Return what the turns gave for one runtime."""
    by = _by(row.name)
    if row.problem:
        return Side(manifest.name, by, problem=row.problem)
    (small, one), (large, many) = list(row.speeds.items())[:2]
    what = f"{manifest.name} ({small}, {large})"
    likeness = row.parity.cosine if row.parity else NAN
    return Side(
        what,
        by,
        one.p50,
        many.p50,
        disk_mb=size_mb(folder, row.name),
        likeness=likeness,
        chosen=chosen,
    )


def size_mb(folder: ModelFolder, runtime: str) -> float:
    """Return the size of the form that a runtime reads, with what must lie beside it."""
    name, _, option = runtime.partition(":")
    graphs = folder.manifest.graphs
    formats = sorted(RUNTIMES[name].formats, key=lambda one: not one.endswith(f"-{option}"))
    path = next(graphs[one] for one in formats if one in graphs)
    paths = (path, *companions(path, folder.manifest.files))
    return sum((folder.path / one).stat().st_size for one in paths) / 1e6


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
