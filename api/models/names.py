"""Which model a request asks for, and what its answer must tell of that.

It imports no framework: a function on Lambda starts with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.models.bodies import NamingBody
from api.models.served_models import Served, ServedModels
from api.problems import ModelAbsentError, UnknownModelError

# Names that clients of the published APIs send unless told otherwise. Our one model of the task
# answers them, and says so; a name that is not here is refused.
USUAL_NAMES: Mapping[str, frozenset[str]] = {
    "encoder": frozenset(
        {
            "text-embedding-ada-002",
            "text-embedding-3-small",
            "text-embedding-3-large",
            "embed-english-v2.0",
            "embed-english-v3.0",
            "embed-english-light-v3.0",
            "embed-multilingual-v3.0",
            "embed-multilingual-light-v3.0",
            "embed-v4.0",
        }
    ),
    "reranker": frozenset(
        {
            "rerank-english-v2.0",
            "rerank-english-v3.0",
            "rerank-multilingual-v3.0",
            "rerank-v3.5",
            "rerank-v4.0-fast",
            "rerank-v4.0-pro",
        }
    ),
}
# Of those, the ones with a public tokenizer: their clients may send numbers of its tokens.
OPENAI_NAMES = frozenset(
    {"text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"}
)


def named(models: ServedModels, role: str, asked: str = "") -> Served[Any]:
    """Return the model of a role by any of its names; raises UnknownModelError (404) or
    ModelAbsentError (503).
    """
    served = of_role(models, role)
    if served is None and models.missing.get(role, ""):
        raise ModelAbsentError(
            f"The {role} of this service could not be loaded.",
            mend="Tell its operator; `dateline doctor` says why.",
        )
    if served is None:
        raise UnknownModelError(
            f"This service runs no {role}.",
            mend=f"Its operator can name one in the setting {role}; GET /v1/models lists the rest.",
        )
    if not _answers_to(served, role, asked):
        raise UnknownModelError(
            f"There is no {role} '{asked[:80]}' here.",
            mend=f"Use '{served.name}', or leave model out.",
        )
    return served


def found(models: ServedModels, asked: str) -> Served[Any]:
    """Return the model of any role by any of its names; raises UnknownModelError."""
    for role in ("encoder", "tagger", "reranker"):
        served = of_role(models, role)
        if served is not None and asked and _answers_to(served, role, asked):
            return served
    raise UnknownModelError(
        f"There is no model '{asked[:80]}' here.", mend="GET /v1/models lists what is."
    )


def of_role(models: ServedModels, role: str) -> Served[Any] | None:
    """Return the model that serves as `encoder`, `tagger` or `reranker`; None without one."""
    roles = {"encoder": models.encoder, "tagger": models.tagger, "reranker": models.scorer}
    return roles[role]


def notes(served: Served[Any], body: NamingBody) -> list[str]:
    """Return what the answer must tell of how the request was read: a sentence if another model
    answers than the one that was named, and one if members changed nothing.
    """
    told = []
    if body.model and _own_name(body.model) != served.name:
        told.append(f"{body.model} is not here; {served.name} answered.")
    if body.unread:
        names = ", ".join(name[:40] for name in body.unread)
        told.append(f"Not read here: {names}.")
    return told


def _answers_to(served: Served[Any], role: str, asked: str) -> bool:
    usual = USUAL_NAMES.get(role, frozenset())
    return not asked or _own_name(asked) == served.name or asked in usual


def _own_name(asked: str) -> str:
    """Return a name without the owner that a hub puts before it."""
    return asked.rpartition("/")[2]
