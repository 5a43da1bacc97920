"""Pictures to captions by an open model on this machine (BLIP): nothing is sent anywhere.

The model is loaded from safetensors whose checksum is in its manifest, by the class of
transformers. BLIP describes in English, in the words of the captions that it learned from, and
knows no names: it does not read the agency's text. Li et al. 2022, BLIP: Bootstrapping
Language-Image Pre-training, https://arxiv.org/abs/2201.12086
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.media import Caption, ToCaption, Uncaptioned
from inference.loaded import need_task
from inference.models.store import ModelFolder
from inference.preparation import PREPARATION, Preparation
from inference.runtimes.checkpoint import read_checkpoint
from inference.runtimes.loading import beside, first_line, graph_path, library, loading, running

if TYPE_CHECKING:
    from tokenizers import Tokenizer

AT_ONCE = 8  # stills in one call
BEAMS = 3
MOST_NEW_TOKENS = 40


@dataclass(slots=True)
class PictureCaptioner:
    """The Captioner port over one loaded model. Calls from several threads take turns."""

    folder: ModelFolder
    device: str
    preparation: Preparation
    tokenizer: Tokenizer
    _model: Any
    _lock: threading.Lock = field(default_factory=threading.Lock)

    leaves = False

    @classmethod
    def open(
        cls, folder: ModelFolder, *, threads: int = 1, device: str = "cpu"
    ) -> PictureCaptioner:
        """Return the captioner of a folder; `threads` work on a call.

        Raises ModelError for a model of another task, weights that don't fit, and where the extra
        [torch] is not installed.
        """
        manifest = folder.manifest
        need_task(folder, "caption", "captioner")
        torch = library("torch")
        if device == "cuda" and not torch.cuda.is_available():
            what = "PyTorch can't use an NVIDIA card here"
            raise ModelError(what, where=str(folder.path), mend="use device cpu")
        _, path = graph_path(folder, "safetensors")
        where = str(folder.path / path)
        preparation = Preparation.read(folder.read(PREPARATION), where)
        config = next(iter(beside(folder, path).values()))
        read = read_checkpoint(config, folder.read(path), "caption", where, attention="eager")
        with loading(where):
            tokenizer = library("tokenizers").Tokenizer.from_str(
                folder.read(manifest.tokenizer).decode("utf-8")
            )
        torch.set_num_threads(threads)
        return cls(folder, device, preparation, tokenizer, read.model.to(device))

    @property
    def digest(self) -> str:
        """sha256 over the model's files and the settings of its answers."""
        manifest = self.folder.manifest
        told = [manifest.digest, manifest.files[PREPARATION], BEAMS, MOST_NEW_TOKENS]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
        """Return a caption of each still, or why it has none. One bad still raises nothing."""
        outcomes: list[Caption | Uncaptioned | None] = [None] * len(stills)
        places: list[int] = []
        arrays: list[FloatMatrix] = []
        for place, still in enumerate(stills):
            try:
                arrays.append(self.preparation.pixels(still.jpeg))
                places.append(place)
            except (OSError, ValueError) as error:
                reason = f"the still can't be read: {first_line(error)}"
                outcomes[place] = Uncaptioned(reason, again=False)
        for first in range(0, len(places), AT_ONCE):
            batch = np.stack(arrays[first : first + AT_ONCE])
            for place, text in zip(places[first:], self._described(batch), strict=False):
                outcomes[place] = self._caption(text)
        return tuple(one for one in outcomes if one is not None)

    def close(self) -> None:
        """Free the model; captioning fails afterwards."""
        self._model = None

    def _described(self, pixels: FloatMatrix) -> list[str]:
        """Return what the model says of float32 [n, 3, edge, edge]. Raises ModelError."""
        torch = library("torch")
        with self._lock, running(str(self.folder.path)), torch.inference_mode():
            rows = self._model.generate(
                pixel_values=torch.from_numpy(pixels).to(self.device),
                num_beams=BEAMS,
                max_new_tokens=MOST_NEW_TOKENS,
            )
            return self.tokenizer.decode_batch(rows.cpu().tolist(), skip_special_tokens=True)

    def _caption(self, text: str) -> Caption | Uncaptioned:
        manifest = self.folder.manifest
        line = " ".join(text.split())
        if not line:
            return Uncaptioned("the model said nothing", again=False)
        return Caption(line[0].upper() + line[1:], f"{manifest.name}@{self.digest[:12]}")
