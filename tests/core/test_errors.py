from __future__ import annotations

import inspect
import pickle

import pytest

from core import errors
from core.errors import (
    BusyError,
    ConflictError,
    CorruptError,
    DatelineError,
    DocumentError,
    ExpiredError,
    InputError,
    NotFoundError,
    QueryError,
    StorageError,
    StorageFullError,
)

EVERY = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, DatelineError)
]


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_says_what_where_and_how_to_mend(kind: type[DatelineError]) -> None:
    error = kind("the lamp is out", where="/lighthouse", mend="change the bulb")
    assert str(error) == "the lamp is out (/lighthouse) — change the bulb"
    assert (error.what, error.where, error.mend) == (
        "the lamp is out",
        "/lighthouse",
        "change the bulb",
    )


@pytest.mark.parametrize("kind", EVERY)
def test_what_is_not_known_is_left_out(kind: type[DatelineError]) -> None:
    assert str(kind("the lamp is out")) == "the lamp is out"
    assert str(kind("out", mend="wait")) == "out — wait"
    assert str(kind("out", where="here")) == "out (here)"


def test_a_document_error_names_its_field() -> None:
    error = DocumentError("is no date", where="a.json:3", field="versioncreated", mend="RFC 3339")
    assert str(error) == "versioncreated: is no date (a.json:3) — RFC 3339"


def test_codes_are_stable_and_tell_kinds_apart() -> None:
    assert {kind.__name__: kind.code for kind in EVERY} == {
        "AccessError": "forbidden",
        "BusyError": "busy",
        "ConflictError": "conflict",
        "CorruptError": "corrupt_file",
        "DatelineError": "error",
        "DocumentError": "bad_document",
        "ExpiredError": "cursor_expired",
        "InputError": "bad_request",
        "LimitError": "media_too_large",
        "MediaError": "bad_media",
        "ModelError": "bad_model",
        "NotFoundError": "not_found",
        "QueryError": "bad_query",
        "SettingsError": "bad_setting",
        "StorageError": "storage_error",
        "DiskError": "disk_error",
        "HiddenHereError": "hidden_here",
        "StorageFullError": "storage_full",
        "UnavailableError": "model_unavailable",
    }


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (DocumentError, InputError),
        (QueryError, InputError),
        (NotFoundError, InputError),
        (ConflictError, InputError),
        (ExpiredError, InputError),
        (StorageFullError, StorageError),
        (CorruptError, StorageError),
        (BusyError, StorageError),
    ],
)
def test_the_tree(kind: type[DatelineError], base: type[DatelineError]) -> None:
    assert kind.__base__ is base


def test_the_tree_at_the_top_of_the_module_is_whole() -> None:
    drawn = errors.__doc__ or ""
    assert [kind.__name__ for kind in EVERY if kind.__name__ not in drawn] == []


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_crosses_processes(kind: type[DatelineError]) -> None:
    error = pickle.loads(pickle.dumps(kind("out", where="here", mend="wait")))
    assert str(error) == "out (here) — wait"
