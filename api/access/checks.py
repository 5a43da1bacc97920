"""Checks a request before its handler runs: the raw query string, and pydantic's errors in
words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.access.bodies import media_type, parse_object, read_body
from api.problems import ParameterError, Problem, UnknownParameterError
from api.search.parameters import SearchParameters

Model = TypeVar("Model", bound=BaseModel)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_WARNED = 10  # unknown members that an answer may name
_REPEATABLE = frozenset(
    name
    for name, field in SearchParameters.model_fields.items()
    if str(field.annotation).startswith("list")
)


async def check_query_string(request: Request) -> None:
    """Refuse bytes that are not UTF-8, control characters other than white space in a parameter or
    the path, and single parameters that are given twice with different values.

    Without these checks, each would silently be read as something else.
    """
    raw = request.scope.get("query_string", b"")
    try:
        unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParameterError(
            "The query string is not UTF-8.", mend="Percent-encode its text as UTF-8."
        ) from error
    for name, value in request.path_params.items():
        _check_characters(name, str(value))
    seen: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        _check_characters(name, name)
        _check_characters(name, value)
        if seen.setdefault(name, value) != value and name not in _REPEATABLE:
            raise ParameterError(
                f"The parameter '{name[:40]}' is given more than once.",
                field=name[:40],
                mend="Give it once.",
            )


def _check_characters(name: str, text: str) -> None:
    if found := _CONTROL.search(text):
        raise ParameterError(
            f"{name[:40]!r} has the control character U+{ord(found[0]):04X}.",
            field=_CONTROL.sub("", name)[:40],
            mend="Leave it out; of control characters only white space is read.",
        )


def read_parameters(request: Request) -> SearchParameters:
    """Return the parameters of a search; `check_query_string` must run before. Raises the same
    errors as FastAPI's own reading. FastAPI reads every field of the model separately, which takes
    as long as everything else that HTTP adds to a search.
    """
    given = request.query_params
    values = {name: given.getlist(name) if name in _REPEATABLE else given[name] for name in given}
    try:
        parameters: SearchParameters = SearchParameters.model_validate(values)
        return parameters
    except ValidationError as error:
        found = [{**one, "loc": ("query", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(found) from error


async def no_parameters(request: Request) -> None:
    """Refuse every query parameter, for routes that take none."""
    for name in request.query_params:
        raise UnknownParameterError(
            f"Unknown parameter '{name[:40]}'.", field=name[:40], mend="This address takes none."
        )


async def read_model(request: Request, model: type[Model], limit: int, seconds: float) -> Model:
    """Return the JSON body, of at most `limit` bytes and `seconds`, as a model. Raises the errors
    of reading one, and ParameterError.
    """
    return model_of(await read_object(request, limit, seconds), model)


async def read_object(request: Request, limit: int, seconds: float) -> dict[str, Any]:
    """Return the body as one JSON object. Raises the errors of reading one, and ParameterError."""
    media_type(request, lines=False)
    return parse_object(await read_body(request, limit, seconds))


def model_of(sent: Mapping[str, Any], model: type[Model]) -> Model:
    """Return what a body says, as a model. Raises ParameterError."""
    try:
        return model.model_validate(with_few_unknown(sent, model))
    except ValidationError as error:
        said = validation_problem(error.errors(include_url=False), model)
        raise ParameterError(said.message, field=said.field, mend=said.mend) from error


def with_few_unknown(body: Mapping[str, Any], model: type[BaseModel]) -> Mapping[str, Any]:
    """Return `body` without most of its unknown members: each would be a separate error or warning,
    and a body can have a million of them.
    """
    most = _WARNED if model.model_config.get("extra") == "allow" else 1
    unknown = [name for name in body if name not in model.model_fields][:most]
    return {name: body[name] for name in (*model.model_fields, *unknown) if name in body}


def validation_problem(
    errors: Sequence[Mapping[str, Any]], model: type[BaseModel] = SearchParameters
) -> Problem:
    """Return one of pydantic's `errors` in words, an unknown name before all others, and how many
    more there are.
    """
    strange = (one for one in errors if one.get("type") == "extra_forbidden")
    first = next(strange, errors[0])  # a slip in a name explains why that name is missing
    path = [str(part) for part in first.get("loc", ())]
    if len(path) > 1 and path[0] in ("query", "path", "body"):  # FastAPI's word for the place
        path = path[1:]
    field = ".".join(path)[:80]
    unknown = first.get("type") == "extra_forbidden"
    if unknown:
        message, mend = f"Unknown parameter '{field}'.", _known(field, model)
    else:
        message, mend = f"{field} {_reason(first)}.", _description(path, model)
    if len(errors) > 1:
        message += f" ({len(errors) - 1} more in this request)"
    return Problem(400, "bad_parameter", message, mend, field, unknown=unknown)


def _reason(error: Mapping[str, Any]) -> str:
    """Return the message of pydantic, as the end of a sentence that begins with the parameter's
    name.
    """
    if error.get("type") == "missing":
        return "is missing"
    message = str(error.get("msg", "is wrong"))
    message = message.removeprefix("Value error, ")
    for theirs in ("Input should be ", "String should "):
        if message.startswith(theirs):
            return (
                "should " + ("be " if theirs.startswith("Input") else "") + message[len(theirs) :]
            )
    return message[:300]


def _known(field: str, model: type[BaseModel]) -> str:
    names = list(model.model_fields)
    if field in names:  # of the usual address of a search; this one takes less
        return "This address does not take it."
    alike = [name for name in names if name[:1] == field[:1]]  # "since" is no slip for "include"
    begun = [name for name in alike if name.startswith(field) or field.startswith(name)]
    close = difflib.get_close_matches(field, alike, n=1) or begun
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"{hint}The parameters are {', '.join(names)}."


def _description(path: Sequence[str], model: type[BaseModel]) -> str:
    field = model.model_fields.get(path[0]) if path else None
    return (field.description or "") if field else ""
