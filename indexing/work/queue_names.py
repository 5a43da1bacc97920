"""Queues by name: one for reading, and one a stage."""

from __future__ import annotations

from core.errors import InputError
from core.work import MODEL_STAGES, READ, STAGES

QUEUES = (READ, *(str(stage) for stage in STAGES))
MODELS = "models"  # stands for the queues of what needs a model


def queues_named(text: str) -> tuple[str, ...]:
    """The queues that a list by commas names. Raises InputError."""
    named = [name.strip() for name in text.split(",") if name.strip()]
    models = [str(stage) for stage in MODEL_STAGES]
    found = [one for name in named for one in (models if name == MODELS else [name])]
    unknown = next((name for name in found if name not in QUEUES), "" if found else text)
    if unknown or not found:
        mend = f"one of {', '.join(QUEUES)}, or {MODELS} for {', '.join(models)}"
        raise InputError(f"there is no queue {unknown!r}", mend=mend)
    return tuple(dict.fromkeys(found))
