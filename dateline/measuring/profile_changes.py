"""Sets fields of a ranking profile for an evaluation: `profile.lexical_weight=0.4`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields

from pydantic import TypeAdapter, ValidationError

from core.errors import SettingsError
from dateline.settings import first_fault
from search.profiles import Profile

PREFIX = "profile."
_PROFILE = TypeAdapter(Profile)
_NAMES = tuple(field.name for field in fields(Profile) if field.name != "name")
_VECTORS = "vector_weights"
_STARTS = "vector_starts"
_MAPS = (_VECTORS, _STARTS, "field_weights", "media_weights")  # by the name of a field of the index
_WEIGHTS = ("weight", "boost", "share")  # endings of the names of such fields
_MOST = {
    "lexical_depth": 10_000,
    "vector_depth": 10_000,
    "rerank_depth": 10_000,
    "rerank_tokens": 10_000,
    "proximity_slop": 100,
}


def changed_profile(profile: Profile, changes: Mapping[str, str]) -> Profile:
    """Return the profile with other fields, by name without the prefix; a vector field's weight is
    `vector_weights.FIELD`, where its scale begins `vector_starts.FIELD`, a text field's weight
    `field_weights.FIELD`. Raises SettingsError for an unknown field, and for a value that does not
    fit.
    """
    tree = {**asdict(profile), **{name: dict(getattr(profile, name)) for name in _MAPS}}
    for name, value in changes.items():
        top, _, inner = name.partition(".")
        if top in _MAPS and inner in tree[top]:
            tree[top][inner] = value
        elif name in _NAMES and name not in _MAPS:
            tree[name] = value
        else:
            raise _unknown(profile, name)
    try:
        changed = _PROFILE.validate_python(tree)
    except ValidationError as error:
        where, says, _ = first_fault(error)
        raise _misfit(where, says) from error
    _check(changed)
    return changed


def profile_settings(profile: Profile) -> dict[str, str | int | float | bool]:
    """Return every field by its name with the prefix, as `changed_profile` takes it."""
    found: dict[str, str | int | float | bool] = {}
    for name in _NAMES:
        value = getattr(profile, name)
        if name in _MAPS:
            found |= {f"{PREFIX}{name}.{field}": weight for field, weight in value.items()}
        else:
            found[f"{PREFIX}{name}"] = str(value) if isinstance(value, str) else value
    return found


def _check(profile: Profile) -> None:
    """Raise SettingsError for values that make no sense."""
    weights = {name: getattr(profile, name) for name in _NAMES if name.endswith(_WEIGHTS)}
    for name in _MAPS:
        inner = getattr(profile, name).items()
        weights |= {f"{name}.{field}": weight for field, weight in inner}
    for name, weight in weights.items():
        # Shares are of 1, weights are relative to each other.
        shares = name == "rerank_weight" or name.endswith("share") or name.startswith(_STARTS)
        largest = 1.0 if shares else 1000.0
        if not 0 <= weight <= largest:
            raise _misfit(name, f"{weight} is not between 0 and {largest:g}")
    if profile.lexical_weight + sum(profile.vector_weights.values()) <= 0:
        raise _misfit("lexical_weight", "it and the vectors' weights are 0: nothing would rank")
    for name, most in _MOST.items():
        if not 0 <= getattr(profile, name) <= most:
            raise _misfit(name, f"{getattr(profile, name)} is not between 0 and {most:,}")
    if not 0 <= profile.recency_half_life_days < float("inf"):
        raise _misfit("recency_half_life_days", f"{profile.recency_half_life_days} is no time")
    if not 0 <= profile.recency_floor <= 1:
        raise _misfit("recency_floor", f"{profile.recency_floor} is not between 0 and 1")
    if not 0 < profile.deadline_ms < float("inf"):
        raise _misfit("deadline_ms", f"{profile.deadline_ms} is no time")


def _unknown(profile: Profile, name: str) -> SettingsError:
    inner = [f"{each}.{field}" for each in _MAPS for field in getattr(profile, each)]
    known = ", ".join(f"{PREFIX}{each}" for each in (*_NAMES, *inner) if each not in _MAPS)
    what = f"the profile {profile.name} has no field {name!r}"
    return SettingsError(what, where=f"{PREFIX}{name}", mend=f"fields are {known}")


def _misfit(name: str, what: str) -> SettingsError:
    return SettingsError(
        what, where=f"{PREFIX}{name}", mend="see search/profiles.py for each field"
    )
