"""What a model sees in the shared pictures and clips: how often its words are right, what it has no
word for, and whether pictures that look alike are found by one another.

    python -m benchmarks.media.looks [--model NAME] [--models DIR] [--json]

`looked_at.tsv` beside this file says what is in each still, as a person looked: things that the
model has a class for, and things that a newsroom would ask for and that it has no class for. Stills
of clips are taken at seven moments, four of which were looked at.

- `words`: of the words that are told (probability at the threshold or above), the share that is
  right; of all things that are there, the share that is told. The curve from scores to
  probabilities was fitted on these stills and eleven others, so `fitted apart` fits it once for
  each file on all others.
- `words of the demo`: the same for the demo's photos that the curve has never seen, as it is.
- `no class`: of the things that are there, the share that the thousand classes have no word for.
- `looks like this`: each still of a clip asks for the others of its clip among all stills.
  Neighbours in time look much the same, so this is an indication, not a test.
- `ms a picture`: a JPEG of at most 1,024 pixels to vector and words, on one thread; and its parts.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import numpy as np
from PIL import Image

from benchmarks.machine import arguments, show, this_machine
from core.items import FloatMatrix
from core.media import Looked
from inference.models.store import ModelStore
from inference.picture_encoder import Calibration, Classes, PictureEncoder

TRUTH = Path(__file__).with_name("looked_at.tsv")
PARTS = 8  # of a clip; a still is taken at each border
EDGE = 1024
FIVE = 5
_TURNS = 5
_LEAST = 0.01  # of a score, to be fitted
_RIDGE = 1e-2


@dataclass(frozen=True, slots=True)
class Seen:
    """A still: its file and second, its JPEG, and what is there; None where nobody looked."""

    file: str
    name: str
    jpeg: bytes
    there: frozenset[str] | None
    beyond: frozenset[str]


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--models", type=Path, default=Path("build/models"))
    parser.add_argument("--pictures", type=Path, default=Path("../shared/media/photos"))
    parser.add_argument("--demo", type=Path, default=Path("datasets/demo/media"))
    parser.add_argument("--clips", type=Path, default=Path("../shared/media/video"))
    chosen = parser.parse_args()
    machine = this_machine()
    encoder = PictureEncoder.open(ModelStore(chosen.models), chosen.model)
    stills = list(_stills(chosen.pictures, chosen.clips))
    looked = encoder.look([still.jpeg for still in stills])
    demo = list(_photos(chosen.demo, "demo/"))
    figures = {
        "words": _words(stills, looked),
        "words of the demo": _words(demo, encoder.look([still.jpeg for still in demo])),
        "fitted apart": _fitted_apart(encoder, stills),
        "no class": _no_class([*stills, *demo]),
        "looks like this": _alike(stills, looked),
        "ms a picture": _speed(encoder, [still.jpeg for still in stills]),
    }
    encoder.close()
    show("what a model sees in pictures", figures, machine, as_json=chosen.json)


def _stills(pictures: Path, clips: Path) -> Iterator[Seen]:
    yield from _photos(pictures)
    truth = _truth()
    for path in sorted(clips.iterdir()):
        if path.suffix in (".mp4", ".webm"):
            for number, image in enumerate(_moments(path), 1):
                yield _seen(path.name, f"{path.name}#{number}", image, truth)


def _photos(folder: Path, prefix: str = "") -> Iterator[Seen]:
    truth = _truth()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".jpg", ".png"):
            name = f"{prefix}{path.name}"
            yield _seen(name, name, Image.open(path).convert("RGB"), truth)


def _seen(
    file: str, name: str, image: Image.Image, truth: dict[str, tuple[frozenset[str], ...]]
) -> Seen:
    image.thumbnail((EDGE, EDGE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    there, beyond = truth.get(name, (None, frozenset()))
    return Seen(file, name, stream.getvalue(), there, beyond or frozenset())


def _moments(path: Path) -> Iterator[Image.Image]:
    """Yield the frames at the borders of equal parts of a clip."""
    with av.open(str(path)) as container:
        length = float((container.duration or 0) / av.time_base)
        marks = [length * number / PARTS for number in range(1, PARTS)]
        for frame in container.decode(video=0):
            if marks and frame.time is not None and frame.time >= marks[0]:
                marks.pop(0)
                yield Image.fromarray(frame.to_ndarray(format="rgb24"))


def _truth() -> dict[str, tuple[frozenset[str], ...]]:
    """Return, by still, the things that are there with and without a class."""
    found = {}
    for line in TRUTH.read_text("utf-8").splitlines()[1:]:
        name, there, beyond = line.split("\t")
        found[name] = tuple(frozenset(filter(None, each.split(", "))) for each in (there, beyond))
    return found


def _first(name: str) -> str:
    return name.partition(",")[0]


def _words(stills: Sequence[Seen], looked: Sequence[Looked | None]) -> dict[str, Any]:
    told = right = there = 0
    for still, one in zip(stills, looked, strict=True):
        if still.there is None or one is None:
            continue
        names = {_first(look.name) for look in one.looks}
        told, right = told + len(names), right + len(names & still.there)
        there += len(still.there)
    return {"told": told, "right": right / told, "of what is there": right / there}


def _fitted_apart(encoder: PictureEncoder, stills: Sequence[Seen]) -> dict[str, Any]:
    """Return precision and recall where no still helped to fit the curve that judges it."""
    classes, shown = encoder.classes, [still for still in stills if still.there is not None]
    if classes is None:
        return {}
    scores = _scores(encoder, classes, shown)
    truths = np.array(
        [[_first(name) in (still.there or ()) for name in classes.names] for still in shown]
    )
    told = right = 0
    for file in {still.file for still in shown}:
        apart = np.array([still.file != file for still in shown])
        curve = fitted(scores[apart].ravel(), truths[apart].ravel())
        own = curve.probabilities(scores[~apart]) >= classes.calibration.threshold
        told, right = told + int(own.sum()), right + int((own & truths[~apart]).sum())
    there = sum(len(still.there or ()) for still in shown)
    whole = fitted(scores.ravel(), truths.ravel())
    return {
        "told": told,
        "right": right / told,
        "of what is there": right / there,
        "slope on all": whole.slope,
        "start on all": whole.start,
    }


def _scores(encoder: PictureEncoder, classes: Classes, stills: Sequence[Seen]) -> FloatMatrix:
    """Return the scores of all names, float32 [stills, names], before any curve."""
    rows = []
    for still in stills:
        parts = encoder.preparation.parts(still.jpeg)
        (logits,) = encoder.runtime.run({"pixel_values": parts}, ("logits",))
        rows.append(classes.scores(np.asarray(logits, np.float32)))
    return np.stack(rows)


def fitted(scores: FloatMatrix, truths: np.ndarray) -> Calibration:
    """Return the logistic curve of the scores above the least, by Newton's method."""
    known = scores > _LEAST
    bounded = np.clip(scores[known].astype(np.float64), 1e-6, 1 - 1e-6)
    inputs = np.stack([np.log(bounded / (1 - bounded)), np.ones(len(bounded))], axis=1)
    weights = np.zeros(2)
    for _ in range(50):
        chances = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (chances - truths[known]) + _RIDGE * weights
        bend = (inputs * (chances * (1 - chances))[:, None]).T @ inputs + _RIDGE * np.eye(2)
        weights = weights - np.linalg.solve(bend, slope)
    return Calibration(float(weights[0]), float(weights[1]))


def _no_class(stills: Sequence[Seen]) -> dict[str, Any]:
    there = sum(len(still.there or ()) for still in stills)
    beyond = sum(len(still.beyond) for still in stills)
    return {"things": there + beyond, "without a class": beyond / (there + beyond)}


def _alike(stills: Sequence[Seen], looked: Sequence[Looked | None]) -> dict[str, Any]:
    vectors = np.concatenate([one.vector for one in looked if one is not None])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    files = np.array([still.file for still in stills])
    asked = [n for n, file in enumerate(files) if np.count_nonzero(files == file) > FIVE]
    best = np.argsort(-cosines[asked], axis=1)[:, :FIVE]
    right = files[best] == files[asked][:, None]
    return {"stills": len(stills), "asked": len(asked), "precision at 5": float(right.mean())}


def _speed(encoder: PictureEncoder, jpegs: Sequence[bytes]) -> dict[str, Any]:
    some = jpegs[:16]
    parts = [encoder.preparation.parts(jpeg) for jpeg in some]
    sides: dict[str, Callable[[], object]] = {
        "whole": lambda: [encoder.look([jpeg]) for jpeg in some],
        "preparing five views": lambda: [encoder.preparation.parts(jpeg) for jpeg in some],
        "the model, five views": lambda: [
            encoder.runtime.run({"pixel_values": part}, encoder.runtime.outputs) for part in parts
        ],
    }
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(_TURNS):
        for name, work in sides.items():
            began = perf_counter()
            work()
            best[name] = min(best[name], (perf_counter() - began) / len(some) * 1000)
    return best


if __name__ == "__main__":
    main()
