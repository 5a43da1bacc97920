"""Pictures to unit vectors, and to the things that a model has names for, in ONNX Runtime.

Two kinds of model are read. A classifier gives `features` and `logits`: pictures that look alike
have vectors that lie close, and the classes are words. A model with texts and pictures in one space
(CLIP, SigLIP) has two graphs side by side, and its vectors can be searched by a text
(`PictureTexts`). Radford et al. 2021, https://arxiv.org/abs/2103.00020; Zhai et al. 2023,
https://arxiv.org/abs/2303.15343

A class's score is the mean of its two best probabilities among the parts of the picture: a thing is
often only in one corner. A label may name broader classes, after semicolons; the score of a broader
class is the sum of those of its members. A logistic curve turns scores into probabilities
(`Calibration`), and only classes that reach the threshold are told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.media import Looked
from core.media_words import Look
from core.observation import UNWATCHED, Watching
from inference.loaded import LoadedModel, bad_numbers, need_task
from inference.models.store import ModelFolder
from inference.preparation import PREPARATION, Preparation
from inference.runtime import Runtime
from inference.runtimes.loading import loading
from inference.runtimes.onnx import OnnxRuntime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits
from inference.texts.pooling import sound, unit_rows
from inference.texts.tokens import TextTokens, padded

PIXELS, LOGITS = "pixel_values", "logits"
VECTORS = ("features", "image_embeds", "pooler_output")  # outputs, the first that there is
TEXT_VECTORS = ("text_embeds", "pooler_output")
VIEWS_AT_ONCE = 10  # more gain nothing on a processor
MOST_LOOKS = 8  # of one picture
_ROUNDED = 4  # digits of a probability


@dataclass(frozen=True, slots=True)
class Calibration:
    """The probability of a class by its score s: 1 / (1 + exp(-(slope * logit(s) + start))). Only
    classes of at least `threshold` are told.
    """

    slope: float = 1.0
    start: float = 0.0
    threshold: float = 0.5

    @classmethod
    def read(cls, content: bytes, where: str) -> Calibration:
        """Return the calibration in a `preprocessor_config.json`. Raises ModelError."""
        with loading(where):
            found = json.loads(content).get("calibration", {})
            values = {name: float(found[name]) for name in ("slope", "start", "threshold")}
            return cls(**values)

    def probabilities(self, scores: FloatMatrix) -> FloatMatrix:
        """Return float32 [c] for scores [c] from 0 to 1."""
        bounded = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
        height = self.slope * np.log(bounded / (1 - bounded)) + self.start
        found: FloatMatrix = (1 / (1 + np.exp(-height))).astype(np.float32)
        return found


@dataclass(frozen=True, slots=True)
class Classes:
    """The names of classes, and which classes of the model each sums up: `members` bool [names,
    classes].
    """

    names: tuple[str, ...]
    members: FloatMatrix
    calibration: Calibration

    @classmethod
    def of(cls, labels: Sequence[str], calibration: Calibration) -> Classes:
        """Return the classes of a manifest's labels, `NAME` or `NAME; BROADER; BROADER`."""
        members: dict[str, list[int]] = {}
        for number, label in enumerate(labels):
            for name in label.split(";"):
                members.setdefault(name.strip(), []).append(number)
        matrix = np.zeros((len(members), len(labels)), np.float32)
        for row, numbers in enumerate(members.values()):
            matrix[row, numbers] = 1
        return cls(tuple(members), matrix, calibration)

    def scores(self, logits: FloatMatrix) -> FloatMatrix:
        """Return the score of each name, float32 [names], for logits [views, classes]: the mean of
        its two best probabilities among the views.
        """
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        odds = self.members @ (powers / powers.sum(axis=1, keepdims=True)).T
        best: FloatMatrix = np.sort(odds, axis=1)[:, -2:].mean(axis=1)
        return best

    def looks(self, logits: FloatMatrix) -> tuple[Look, ...]:
        """Return what is seen in the parts of a picture, float32 [views, classes], the most
        probable first.
        """
        found = self.calibration.probabilities(self.scores(logits))
        order = np.argsort(-found, kind="stable")[:MOST_LOOKS]
        return tuple(
            Look(self.names[place], round(float(found[place]), _ROUNDED))
            for place in order
            if found[place] >= self.calibration.threshold
        )


@dataclass(frozen=True, slots=True)
class _Seeing:
    """The queue's work: the parts of pictures, [views, 3, e, e] each, to one unit vector [1, d] and
    the logits [views, c] of each, or the picture's error.
    """

    runtime: Runtime
    where: str
    outputs: tuple[str, ...]
    dimension: int

    def __call__(self, pictures: Sequence[FloatMatrix]) -> list[_Seen | Exception]:
        joint = np.concatenate(pictures)
        found = self.runtime.run({PIXELS: joint}, self.outputs)
        arrays = [np.asarray(each, np.float32) for each in found]
        if arrays[0].shape != (len(joint), self.dimension):
            raise bad_numbers(self.where, f"its vectors have shape {arrays[0].shape}")
        ends = np.cumsum([len(picture) for picture in pictures])[:-1]
        rows = zip(*(np.split(each, ends) for each in arrays), strict=True)
        return [self._seen(*each) for each in rows]

    def _seen(self, vectors: FloatMatrix, logits: FloatMatrix | None = None) -> _Seen | Exception:
        if not all(sound(vectors)) or (logits is not None and not all(sound(logits))):
            return bad_numbers(self.where, "a picture's answer holds no numbers (NaN)")
        mean = unit_rows(unit_rows(vectors).mean(axis=0, keepdims=True, dtype=np.float32))
        return _Seen(mean, logits)


@dataclass(frozen=True, slots=True)
class _Seen:
    vector: FloatMatrix
    logits: FloatMatrix | None


@dataclass(frozen=True, slots=True)
class PictureEncoder(LoadedModel):
    """The PictureModel port over one loaded model. Safe to use from several threads."""

    preparation: Preparation
    pictures: BatchQueue[FloatMatrix, _Seen]
    classes: Classes | None
    texts: PictureTexts | None
    _digest: str

    leaves: ClassVar[bool] = False

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> PictureEncoder:
        """Return an encoder over a loaded graph; the graph for texts is loaded beside it, if the
        model has one. In `limits` each part of a picture is a token.

        Raises ModelError for a model that does not look at pictures.
        """
        need_task(folder, "look", "looks")
        manifest, where = folder.manifest, str(folder.path)
        vectors = next((name for name in VECTORS if name in runtime.outputs), "")
        if runtime.inputs != (PIXELS,) or not vectors:
            what = f"the graph takes {runtime.inputs} and gives {runtime.outputs}"
            raise ModelError(what, where=where, mend=f"needed: {PIXELS} in, {VECTORS[0]} out")
        prepared = folder.read(PREPARATION)
        labelled = bool(manifest.labels) and LOGITS in runtime.outputs
        calibration = Calibration.read(prepared, where) if labelled else Calibration()
        classes = Classes.of(manifest.labels, calibration) if labelled else None
        outputs = (vectors, LOGITS) if labelled else (vectors,)
        work = _Seeing(runtime, where, outputs, manifest.dimension)
        watch = watching.of(manifest.name, "look")
        limits = limits or BatchLimits(tokens=VIEWS_AT_ONCE, lanes=max(1, threads))
        queue = BatchQueue(work, limits, watch=watch)
        digest = _digest_of(manifest.digest, manifest.files[PREPARATION])
        texts = PictureTexts.beside(folder, digest, threads) if manifest.text_graph else None
        queues: tuple[BatchQueue[Any, Any], ...] = (queue,)
        queues = queues if texts is None else (queue, texts.queue)
        preparation = Preparation.read(prepared, where)
        return cls(folder, runtime, queues, preparation, queue, classes, texts, digest)

    @property
    def digest(self) -> str:
        """sha256 over the model's files and how pictures are put to it."""
        return self._digest

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.manifest.dimension

    @property
    def made_by(self) -> str:
        """The maker's name in items."""
        return f"{self.name}@{self._digest[:12]}"

    def look(self, jpegs: Sequence[bytes]) -> tuple[Looked | None, ...]:
        """Return what each still shows; None for bytes that are not a JPEG of a usual size.

        Raises BusyError if too much waits already, ModelError if the model fails.
        """
        parts: dict[int, FloatMatrix] = {}
        for place, jpeg in enumerate(jpegs):
            try:
                parts[place] = self.preparation.parts(jpeg)
            except (OSError, ValueError):
                continue
        found = dict(zip(parts, self.pictures.run(list(parts.values())), strict=True))
        return tuple(self._looked(found.get(place)) for place in range(len(jpegs)))

    def _looked(self, seen: _Seen | None) -> Looked | None:
        if seen is None:
            return None
        if self.classes is None or seen.logits is None:
            return Looked(seen.vector)
        return Looked(seen.vector, self.classes.looks(seen.logits))

    def close(self) -> None:
        """End the threads and free the graphs; later calls fail."""
        LoadedModel.close(self)
        if self.texts is not None:
            self.texts.runtime.close()


@dataclass(frozen=True, slots=True)
class _Reading:
    """The queue's work: token rows to one unit vector [d] each. A graph without a mask learned from
    texts that were all padded to the same length.
    """

    runtime: Runtime
    where: str
    output: str
    dimension: int
    padding: int
    length: int

    def __call__(self, rows: Sequence[tuple[int, ...]]) -> list[FloatMatrix | Exception]:
        arrays: Mapping[str, np.ndarray] = padded(rows, padding=self.padding)
        if "attention_mask" not in self.runtime.inputs:
            missing = self.length - arrays["input_ids"].shape[1]
            filled = np.pad(
                arrays["input_ids"], ((0, 0), (0, missing)), constant_values=self.padding
            )
            arrays = {"input_ids": filled}
        (output,) = self.runtime.run(arrays, (self.output,))
        vectors = unit_rows(np.asarray(output, np.float32))
        if vectors.shape != (len(rows), self.dimension):
            raise bad_numbers(self.where, f"its vectors have shape {vectors.shape}")
        return [
            row if good else bad_numbers(self.where, "a text's vector holds no numbers (NaN)")
            for row, good in zip(vectors, sound(vectors), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class PictureTexts:
    """The TextEncoder port: texts in the space of a model's pictures."""

    folder: ModelFolder
    runtime: Runtime
    tokens: TextTokens
    queue: BatchQueue[tuple[int, ...], FloatMatrix]
    digest: str

    @classmethod
    def beside(cls, folder: ModelFolder, digest: str, threads: int) -> PictureTexts:
        """Return the reader of texts of a model for pictures. Raises ModelError."""
        manifest, where = folder.manifest, str(folder.path)
        own = replace(manifest, graphs={"onnx": manifest.text_graph})
        runtime = OnnxRuntime.open(replace(folder, manifest=own), threads=1)
        output = next((name for name in TEXT_VECTORS if name in runtime.outputs), "")
        if "input_ids" not in runtime.inputs or not output:
            what = f"the graph for texts takes {runtime.inputs} and gives {runtime.outputs}"
            raise ModelError(what, where=where, mend=f"needed: input_ids in, {TEXT_VECTORS[0]} out")
        tokens = TextTokens.open(folder)
        padding = _padding(tokens, manifest.query_prefix)
        size = (manifest.dimension, padding, tokens.max_tokens)
        work = _Reading(runtime, where, output, *size)
        limits = BatchLimits(lanes=max(1, threads), alike=1.0)
        return cls(folder, runtime, tokens, BatchQueue(work, limits), digest)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.manifest.name

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.folder.manifest.dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm."""
        rows = self.tokens.rows(texts, prefix=self.folder.manifest.query_prefix).rows
        found = self.queue.run(rows)
        return np.stack(found) if found else np.zeros((0, self.dimension), np.float32)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm: a text is described as a picture would be."""
        return self.encode_queries(texts)


def _padding(tokens: TextTokens, prefix: str) -> int:
    """Return the number with which texts are filled up: the padding's, else that of the end, which
    is what CLIP's makers take.
    """
    return tokens.padding or (tokens.rows([prefix]).rows[0] or (0,))[-1]


def _digest_of(manifest: str, preparation: str) -> str:
    return hashlib.sha256(json.dumps([manifest, preparation]).encode()).hexdigest()
