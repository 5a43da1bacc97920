"""Is every model what it says, and does every remote one answer?"""

from dataclasses import dataclass

from core.errors import DatelineError
from dateline.build_models import ask_remote
from dateline.build_runtimes import model_store
from dateline.settings import Settings


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model and whether all of its files are as the manifest says."""

    name: str
    ok: bool
    says: str


def ask_remote_models(settings: Settings) -> list[CheckedModel]:
    """Every model that is used here and runs elsewhere, asked one question."""
    used = dict.fromkeys(
        (settings.encoder, settings.second_encoder, settings.tagger, settings.reranker)
    )
    asked: list[CheckedModel] = []
    for name in used:
        try:
            if url := ask_remote(settings, name):
                asked.append(CheckedModel(name, True, f"answers at {url}"))
        except DatelineError as error:
            asked.append(CheckedModel(name, False, str(error)))
    return asked


def verify_models(settings: Settings) -> list[CheckedModel]:
    """Every model, bundled or pulled, checked by checksum."""
    problems: dict[str, list[str]] = {}
    for row in model_store(settings).verify():
        problems.setdefault(row.model, [])
        if row.problem:
            problems[row.model].append(f"{row.path}: {row.problem}")
    return [
        CheckedModel(name, not found, "; ".join(found) or "every checksum matches")
        for name, found in problems.items()
    ]
