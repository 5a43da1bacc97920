"""The rule of a gate as a file says it, for `dateline eval gate` and for evaluations by order."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import InputError
from dateline.settings import first_fault
from eval.compare.gate import Rule


class GateFile(BaseModel):
    """The members of the file of `--config`; `Rule` has the defaults."""

    model_config = ConfigDict(extra="forbid", strict=True)

    measures: list[str] | None = None
    least_effect: float | None = None
    alpha: float | None = None
    each_collection: bool | None = None
    floors: dict[str, float] | None = None


def changed(rule: Rule, said: GateFile) -> Rule:
    """Return the rule with what `said` sets."""
    return replace(
        rule,
        measures=rule.measures if said.measures is None else tuple(said.measures),
        least_effect=rule.least_effect if said.least_effect is None else said.least_effect,
        alpha=rule.alpha if said.alpha is None else said.alpha,
        each_collection=(
            rule.each_collection if said.each_collection is None else said.each_collection
        ),
        floors=rule.floors if said.floors is None else said.floors,
    )


def read_rule(path: Path) -> Rule:
    """Return the rule of a file. Raises InputError."""
    try:
        tree: Mapping[str, object] = tomllib.loads(path.read_text("utf-8"))
        return changed(Rule(), GateFile.model_validate(tree))
    except ValidationError as error:
        place, says, _ = first_fault(error)
        known = ", ".join(GateFile.model_fields)
        raise InputError(
            f"{place}: {says}", where=str(path), mend=f"it may have {known}"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"can't be read: {error}", where=str(path)) from error
