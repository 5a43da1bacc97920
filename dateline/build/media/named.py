"""What the settings name for a stage of an ingest: a model or a service, which may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from core.errors import ModelError
from core.work import Stage, Tracked
from dateline.settings import Settings
from indexing.work.sources.listing import is_sound
from indexing.work.stages.stage import PassOn


class Closes(Protocol):
    """What holds a model or connections until it is closed."""

    def close(self) -> None:
        """Free them."""
        ...


M = TypeVar("M", bound=Closes)


@dataclass(frozen=True, slots=True)
class Named(Generic[M]):
    """What does the work of a stage, None for nothing; `lacks` says why if the settings name
    something that is not here.
    """

    model: M | None = None
    lacks: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether assets go through the stage."""
        return self.model is not None or bool(self.lacks)

    def close(self) -> None:
        """Free the model, or close the connections."""
        if self.model is not None:
            self.model.close()


def named(settings: Settings, setting: str, opened: Callable[[], M]) -> Named[M]:
    """Return what a setting names. The default is used where it is there, and not missed where it
    is not.
    """
    if not getattr(settings, setting):
        return Named()
    try:
        return Named(opened())
    except ModelError as error:
        return Named(lacks=error.what if setting in settings.model_fields_set else "")


def without_pictures(then: Stage, remark: str) -> PassOn:
    """Return the stage of a missing model for pictures: a sound needs none, and has no remark."""

    def shows(asset: Tracked) -> bool:
        return not is_sound(asset.found.location)

    return PassOn(then, remark, shows)
