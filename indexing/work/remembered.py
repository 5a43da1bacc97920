"""Results in the ledger as JSON, their keys, and an encoder that keeps its vectors there.

A key is sha256 over the digest of the content, the step, the digest of the model and the step's
parameters. So other bytes, another model or another size have another key, and after any other
change nothing is computed again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson

from core.items import FloatMatrix
from core.media import Caption, MediaFacts, MediaKind, ShotBounds, Transition
from core.ports.media import Ledger
from core.ports.models import TextEncoder

_CANONICAL = orjson.OPT_SORT_KEYS
_MOST = 4_096  # results that are kept in memory, each of at most _MOST_BYTES
_MOST_BYTES = 8_192


def result_key(content: str, step: str, model: str, parameters: Mapping[str, Any]) -> str:
    """Return the key of the result of `step` for the content with this sha256."""
    parts = [content, step, model, parameters]
    return hashlib.sha256(orjson.dumps(parts, option=_CANONICAL)).hexdigest()


class Remembered:
    """A ledger with values in JSON. Results never change, so those that were put or read lately
    come from memory. Thread-safe.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._late: OrderedDict[str, bytes] = OrderedDict()
        self._held: dict[str, bytes] = {}

    def get(self, keys: Sequence[str]) -> tuple[Any, ...]:
        """Return the result under each key, None if there is none."""
        with self._lock:
            known = {key: value for key in keys if (value := self._at_hand(key)) is not None}
        missing = [key for key in keys if key not in known]
        asked = zip(missing, self._ledger.get(missing), strict=True) if missing else ()
        fresh = {key: value for key, value in asked if value is not None}
        self._keep(fresh)
        found = (known.get(key) or fresh.get(key) for key in keys)
        return tuple(None if value is None else orjson.loads(value) for value in found)

    def one_of(self, keys: Sequence[str]) -> tuple[int, Any] | None:
        """Return the place among `keys` of one with a result, and the result; None if none has one.
        If several have one, it is one in memory, else the first.
        """
        with self._lock:
            near = ((place, self._at_hand(key)) for place, key in enumerate(keys))
            late = next(((place, value) for place, value in near if value is not None), None)
        if late is not None:
            return late[0], orjson.loads(late[1])
        found = self.get(keys)
        return next(((n, tree) for n, tree in enumerate(found) if tree is not None), None)

    def put(self, results: Mapping[str, Any], *, fixed: bool = False) -> None:
        """Put results; durable when it returns; a result is never null. `fixed` results are the
        same whoever computes them, so they come from memory from then on. Of others, the ledger may
        keep the first one of another process.
        """
        made = _written(results)
        if made:
            self._ledger.put(made)
        if fixed:
            self._keep(made)

    def hold(self, results: Mapping[str, Any]) -> None:
        """Keep fixed results in memory until `flush` makes them durable; a large one is durable
        when it returns.
        """
        made = _written(results)
        large = {key: value for key, value in made.items() if len(value) > _MOST_BYTES}
        if large:
            self._ledger.put(large)
        with self._lock:
            self._held |= {key: value for key, value in made.items() if key not in large}

    def flush(self) -> None:
        """Make all held results durable, whoever computed them, in one commit."""
        with self._lock:
            held = dict(self._held)
        if not held:
            return
        self._ledger.put(held)
        self._keep(held)
        with self._lock:
            for key in held:
                self._held.pop(key, None)

    def _at_hand(self, key: str) -> bytes | None:
        return self._held.get(key) or self._late.get(key)

    def _keep(self, results: Mapping[str, bytes]) -> None:
        with self._lock:
            for key, value in results.items():
                if len(value) <= _MOST_BYTES:
                    self._late[key] = value
            while len(self._late) > _MOST:
                self._late.popitem(last=False)


def _written(results: Mapping[str, Any]) -> dict[str, bytes]:
    return {key: orjson.dumps(value, option=_CANONICAL) for key, value in results.items()}


def facts_tree(facts: MediaFacts) -> dict[str, Any]:
    """Return facts as values for JSON."""
    return asdict(facts) | {"tags": dict(facts.tags)}


def facts_of(tree: Mapping[str, Any]) -> MediaFacts:
    """Return the facts that `facts_tree` wrote."""
    return MediaFacts(
        **{**tree, "kind": MediaKind(tree["kind"]), "notes": tuple(tree["notes"])},
    )


def bounds_tree(bounds: ShotBounds) -> list[Any]:
    """Return a shot's bounds as values for JSON."""
    return [
        bounds.start_s,
        bounds.end_s,
        bounds.start_frame,
        bounds.end_frame,
        str(bounds.transition),
    ]


def bounds_of(tree: Sequence[Any]) -> ShotBounds:
    """Return the shot that `bounds_tree` wrote."""
    start_s, end_s, start_frame, end_frame, transition = tree
    return ShotBounds(start_s, end_s, start_frame, end_frame, Transition(transition))


def caption_tree(caption: Caption) -> dict[str, Any]:
    """Return a caption as values for JSON."""
    return asdict(caption)


def caption_of(tree: Mapping[str, Any]) -> Caption:
    """Return the caption that `caption_tree` wrote."""
    lists = {name: tuple(tree[name]) for name in ("persons", "places", "keywords")}
    return Caption(tree["text"], tree["made_by"], **lists)


class RememberedEncoder:
    """A `core.ports.models.TextEncoder`; keeps passages' vectors by text and the model's digest."""

    def __init__(self, encoder: TextEncoder, ledger: Ledger) -> None:
        self._encoder = encoder
        self._ledger = ledger

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._encoder.name

    @property
    def digest(self) -> str:
        """Return the model's digest."""
        return self._encoder.digest

    @property
    def dimension(self) -> int:
        """Return the width of a vector."""
        return self._encoder.dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode queries, which are not kept."""
        return self._encoder.encode_queries(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode passages; known ones are not computed."""
        keys = [self._key(text) for text in texts]
        known = {key: v for key, v in zip(keys, self._ledger.get(keys), strict=True) if v}
        missing = {k: text for k, text in zip(keys, texts, strict=True) if k not in known}
        if missing:
            rows = self._encoder.encode_passages(list(missing.values()))
            fresh = {
                key: np.ascontiguousarray(row, "<f4").tobytes()
                for key, row in zip(missing, rows, strict=True)
            }
            self._ledger.put(fresh)
            known |= fresh
        found = np.frombuffer(b"".join(known[key] for key in keys), "<f4").astype(np.float32)
        return found.reshape(len(texts), self.dimension)

    def _key(self, text: str) -> str:
        content = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return result_key(content, "passage", self.digest, {"dtype": "float32"})
