"""Names of queues: one for reading, and one for each stage."""

from __future__ import annotations

from core.errors import InputError
from core.work import MODEL_STAGES, READ, STAGES

QUEUES = (READ, *(str(stage) for stage in STAGES))
MODELS = "models"  # stands for the queues whose work needs a model


def queues_named(text: str) -> tuple[str, ...]:
    """Return the queues in a list with commas. Raises InputError."""
    named = [name.strip() for name in text.split(",") if name.strip()]
    models = [str(stage) for stage in MODEL_STAGES]
    found = [one for name in named for one in (models if name == MODELS else [name])]
    unknown = next((name for name in found if name not in QUEUES), "" if found else text)
    if unknown or not found:
        mend = f"one of {', '.join(QUEUES)}, or {MODELS} for {', '.join(models)}"
        raise InputError(f"there is no queue {unknown!r}", mend=mend)
    return tuple(dict.fromkeys(found))
