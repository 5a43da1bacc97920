"""The models that clients can ask directly, each behind its port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.ports.media import ShotDetector
from core.ports.models import PairScorer, Tagger, TextEncoder, TokenizingMeter

Port = TypeVar("Port", bound=TextEncoder | Tagger | PairScorer)


@dataclass(frozen=True, slots=True)
class Served(Generic[Port]):
    """A model behind its port. `digest` names its files, `dimension` is 0 for a model without
    vectors, `longest` is how many tokens of a text it reads, `pooling` is how an encoder makes one
    vector of them, and `precision` is that of its weights.
    """

    name: str
    digest: str
    port: Port
    meter: TokenizingMeter
    longest: int
    dimension: int = 0
    pooling: str = ""
    precision: str = ""


@dataclass(frozen=True, slots=True)
class ServedShots:
    """A shot detector, which reads no texts."""

    name: str
    digest: str
    port: ShotDetector


@dataclass(frozen=True, slots=True)
class ServedModels:
    """One model per task, or none. `missing` says for a role why its model could not be loaded:
    role, name and reason. `shots` is asked on SageMaker only.
    """

    encoder: Served[TextEncoder] | None = None
    tagger: Served[Tagger] | None = None
    scorer: Served[PairScorer] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    shots: ServedShots | None = None
