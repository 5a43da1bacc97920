"""Packages that are not installed by default: each comes with an extra of the distribution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec

from core.errors import DatelineError, InputError


def need_extra(
    extra: str,
    purpose: str,
    modules: Iterable[str],
    *,
    error: type[DatelineError] = InputError,
    where: str = "",
    otherwise: str = "",
) -> None:
    """Raise `error` if one of `modules`, which come with `extra`, can't be imported; `purpose` is
    what needs them, and `otherwise` another way to mend it. A mapping has the name of each module's
    package. Nothing is imported.
    """
    names = modules if isinstance(modules, Mapping) else {name: name for name in modules}
    missing = [package for name, package in names.items() if find_spec(name) is None]
    if missing:
        raise error(
            f"{', '.join(missing)} must be installed for {purpose}",
            where=where,
            mend=f"pip install 'dateline-search[{extra}]'{otherwise}",
        )
