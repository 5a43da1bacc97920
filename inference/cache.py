"""A bounded, counted memory of query vectors: people page, refine and repeat."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from core.items import FloatMatrix


@dataclass(slots=True)
class VectorCache:
    """The `size` most recently used vectors by text. Safe to use from several threads."""

    size: int
    hits: int = 0
    misses: int = 0
    _vectors: OrderedDict[str, FloatMatrix] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, text: str) -> FloatMatrix | None:
        """The vector [1, d] kept for `text`, or None; either is counted."""
        with self._lock:
            vector = self._vectors.get(text)
            if vector is None:
                self.misses += 1
                return None
            self.hits += 1
            self._vectors.move_to_end(text)
            return vector

    def put(self, text: str, vector: FloatMatrix) -> None:
        """Keep a vector [1, d], dropping the one longest unused if there are too many."""
        vector.setflags(write=False)  # one array is handed to many callers
        with self._lock:
            self._vectors[text] = vector
            self._vectors.move_to_end(text)
            while len(self._vectors) > self.size:
                self._vectors.popitem(last=False)

    def __len__(self) -> int:
        with self._lock:
            return len(self._vectors)
