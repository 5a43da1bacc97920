"""The encoders of queries while an archive moves to another encoder: those of the served index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from core.model_ports import TextEncoder


@runtime_checkable
class HoldsSpaces(Protocol):
    """An engine whose index may change to vectors of another encoder."""

    @property
    def encoders(self) -> Mapping[str, str]:
        """The digest of each vector field's encoder at this moment."""
        ...


class ServedEncoders(Mapping[str, TextEncoder]):
    """By vector field, the encoder in `fields` or `following` that made the vectors of the engine's
    index. If neither did, the encoder in `fields`, which the engine then refuses.
    """

    def __init__(
        self,
        fields: Mapping[str, TextEncoder],
        following: Mapping[str, TextEncoder],
        engine: HoldsSpaces,
    ) -> None:
        self._fields = fields
        self._following = following
        self._engine = engine

    def __getitem__(self, field: str) -> TextEncoder:
        following = self._following.get(field)
        if following is not None and self._engine.encoders.get(field) == following.digest:
            return following
        return self._fields[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
