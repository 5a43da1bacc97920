"""Pictures and texts in one space, by a service that speaks embeddings with pictures.

A request is `{"model", "input": [{"image": BASE64} or {"text": TEXT}, …], "dimensions",
"normalized": true, "embedding_type": "float"}` to URL/embeddings, an answer `{"data": [{"index",
"embedding"}, …]}`, as for Jina's CLIP models. The answer is read as bytes, within limits of time
and size, and checked here. https://api.jina.ai/redoc (Embeddings)
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import httpx
import numpy as np
from pydantic import BaseModel, Field, ValidationError

from core.errors import ModelError, SettingsError, UnavailableError
from core.items import FloatMatrix
from core.media import Looked
from indexing.captions.connection import bounded, bounded_client
from indexing.captions.provider import check_address, check_key

AT_ONCE = 16  # pictures or texts in one request
_MOST_BYTES = 16 * 2**20
_BUSY = (408, 429, 500, 502, 503, 504)
_STEP = 1  # raise it when pictures are put otherwise


class _Row(BaseModel):
    index: int = Field(ge=0, le=AT_ONCE)
    embedding: list[float]


class _Answer(BaseModel):
    data: list[_Row]


@dataclass(frozen=True, slots=True)
class PictureService:
    """The PictureModel port, and the TextEncoder port for texts in the same space. It has vectors
    of `dimension` numbers and no words for what it sees. Thread-safe.
    """

    url: str
    model: str
    dimension: int
    key: str = field(default="", repr=False)
    seconds: float = 60.0
    client: httpx.Client = field(default_factory=lambda: bounded_client(60.0), compare=False)

    leaves: ClassVar[bool] = True

    @classmethod
    def open(
        cls, url: str, model: str, dimension: int, *, key: str = "", seconds: float = 60.0
    ) -> PictureService:
        """Return a service that is not called yet. Raises SettingsError."""
        if not url:
            mend = "write the address before /embeddings, such as https://provider.example/v1"
            raise SettingsError("no address is named", where="looks_url", mend=mend)
        check_address(url, "looks_url")
        check_key(key, "looks_key")
        if not model:
            raise SettingsError("no model is named", where="looks_model", mend="name one")
        client = bounded_client(seconds)
        return cls(url.rstrip("/"), model, dimension, key, seconds, client)

    @property
    def name(self) -> str:
        """The service's model."""
        return self.model

    @property
    def digest(self) -> str:
        """sha256 over address, model, dimension and how pictures are put."""
        told = [self.url, self.model, self.dimension, _STEP]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def made_by(self) -> str:
        """The maker's name in items."""
        return f"{self.model}@{self.digest[:12]}"

    @property
    def texts(self) -> PictureService:
        """What encodes texts in the space of the pictures."""
        return self

    def look(self, jpegs: Sequence[bytes]) -> tuple[Looked | None, ...]:
        """Return the vector of each still. Raises ModelError, UnavailableError if it may answer
        later.
        """
        found = self._vectors([{"image": b64encode(jpeg).decode()} for jpeg in jpegs])
        return tuple(Looked(row[None]) for row in found)

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm."""
        return self._vectors([{"text": text} for text in texts])

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm."""
        return self.encode_queries(texts)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _vectors(self, inputs: Sequence[Mapping[str, str]]) -> FloatMatrix:
        rows = [
            self._asked(inputs[start : start + AT_ONCE]) for start in range(0, len(inputs), AT_ONCE)
        ]
        empty = np.zeros((0, self.dimension), np.float32)
        return np.concatenate([empty, *rows])

    def _asked(self, inputs: Sequence[Mapping[str, str]]) -> FloatMatrix:
        body = {
            "model": self.model,
            "input": list(inputs),
            "dimensions": self.dimension,
            "normalized": True,
            "embedding_type": "float",
        }
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            with bounded(self.seconds, _MOST_BYTES):
                answer = self.client.post(f"{self.url}/embeddings", json=body, headers=headers)
        except httpx.HTTPError as error:
            what = f"the service does not answer: {type(error).__name__}"
            raise UnavailableError(what, where=self.model) from None
        if answer.status_code in _BUSY:
            raise UnavailableError(f"the service answers {answer.status_code}", where=self.model)
        if answer.status_code != httpx.codes.OK:
            mend = "check looks_url, looks_model and looks_key"
            what = f"the service answers {answer.status_code}"
            raise ModelError(what, where=self.model, mend=mend)
        return self._read(answer.content, len(inputs))

    def _read(self, content: bytes, count: int) -> FloatMatrix:
        try:
            rows = sorted(_Answer.model_validate_json(content).data, key=lambda row: row.index)
            matrix = np.array([row.embedding for row in rows], np.float32)
        except (ValidationError, ValueError):
            matrix = np.zeros((0, 0), np.float32)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True) if matrix.ndim == 2 else None
        if matrix.shape != (count, self.dimension) or lengths is None or not lengths.all():
            raise ModelError(
                f"the service gave no {count} vectors of {self.dimension} numbers",
                where=self.model,
                mend="set looks_dimension to what its model gives",
            )
        unit: FloatMatrix = (matrix / lengths).astype(np.float32)
        if not np.isfinite(unit).all():
            raise ModelError("the service gave a vector without numbers", where=self.model)
        return unit
