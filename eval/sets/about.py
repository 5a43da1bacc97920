"""The description of a judged set: `dataset.json`, or the licence line of `SOURCE.txt`.

    {"name": "Wire queries, spring", "licence": "CC0 1.0", "languages": ["en", "de"],
     "corpus_version": "<sha256 of the documents' file>", "grades": [0, 1, 2, 3],
     "products": ["wire"], "body_only": false, "query_language": true,
     "corpus": "reuters21578", "dated": true, "judged_by": "language models"}

Every member may be left out. `corpus_version` and `grades` are checked: documents of another digest
and a grade that is not listed are errors. `judged_by` says whether people gave the grades, language
models or a model of clicks, which runs then tell. `corpus` names the set that has the documents, if
the folder has none (`eval.sets.corpus_place`). `products`, `body_only`, `query_language` and
`dated` say how the set is to be scored (`eval.sets.judged.Conventions`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import DocumentError, InputError
from eval.sets.lines import Line

_FILE, _SOURCE = "dataset.json", "SOURCE.txt"
_LICENCE = "licence as stated:"


class About(BaseModel):
    """The members of `dataset.json`; an empty one or None was not stated."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    corpus_version: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    grades: tuple[int, ...] = ()
    products: tuple[str, ...] | None = None
    body_only: bool | None = None
    query_language: bool | None = None
    corpus: str = ""
    dated: bool | None = None
    judged_by: Literal["people", "language models", "clicks"] = "people"

    def check_grade(self, line: Line, grade: int, field: str) -> int:
        """Return the grade. Raises DocumentError if `grades` are listed and it is not among
        them.
        """
        if self.grades and grade not in self.grades:
            allowed = ", ".join(str(each) for each in sorted(self.grades))
            mend = f"one of {allowed}, or list it under grades in {_FILE}"
            raise line.mistake(f"grade {grade} is not allowed here", field=field, mend=mend)
        return grade


def read_about(folder: Path) -> About:
    """Return what the folder states; nothing without such a file. Raises DocumentError for a member
    that is unknown or of another type, InputError for an unreadable file.
    """
    path = folder / _FILE
    try:
        about = About.model_validate_json(path.read_bytes()) if path.is_file() else About()
        licence = about.licence or _stated_licence(folder / _SOURCE)
    except ValidationError as error:
        raise _mistake(path, error) from error
    except OSError as error:
        raise InputError(f"file not readable: {error}", where=str(folder)) from error
    return about.model_copy(update={"licence": licence})


def _stated_licence(path: Path) -> str:
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []
    stated = [line[len(_LICENCE) :].strip() for line in lines if line.startswith(_LICENCE)]
    return stated[0] if stated else ""


def _mistake(path: Path, error: ValidationError) -> DocumentError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    unknown = first["type"] == "extra_forbidden"
    what = "is not known here" if unknown else first["msg"]
    mend = f"known are {', '.join(About.model_fields)}" if unknown else "see eval/sets/about.py"
    return DocumentError(what, where=str(path), field=field, mend=mend)
