"""What each call or service loads anew, and a process of tests only once: the sessions of the
models that ship with their tokenizers, the subjects, the commands, the handlers of routes, and what
clients trust. Subprocesses load all of it, as users do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from ssl import SSLContext
from typing import Any

import pytest
import typer.testing
from fastapi.routing import APIRoute, _EffectiveRouteContext
from httpx._transports import default

from dateline import lazy_group
from dateline.build import engine as build_engine
from dateline.build import service as build_service
from dateline.build.models import runtimes as build_runtimes
from dateline.lazy_group import Entry
from indexing.passages import PassageSplitter
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.runtimes.choice import RuntimeChoice, RuntimeKind, open_choice
from inference.texts.tokens import TextTokens
from storage.words.topics import MEDIA_TOPICS, Topics, read_topics

SHIPPED = Path(__file__).parent.parent / "models"


@pytest.fixture(scope="session", autouse=True)
def loaded_once() -> Iterator[None]:
    """In the process of the tests."""
    with loading_once():
        yield


@contextmanager
def loading_once() -> Iterator[None]:
    """Models of other folders, which tests damage, are loaded each time."""
    opened: dict[tuple[RuntimeChoice, Path, int], Runtime] = {}

    def open_once(
        choice: RuntimeChoice,
        kinds: Mapping[str, RuntimeKind],
        folder: ModelFolder,
        *,
        threads: int,
    ) -> Runtime:
        if folder.path.parent != SHIPPED:
            return open_choice(choice, kinds, folder, threads=threads)
        key = (choice, folder.path, threads)
        if key not in opened:
            opened[key] = open_choice(choice, kinds, folder, threads=threads)
        return copy(opened[key])  # whoever closes it closes a copy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_runtimes, "open_choice", open_once)
        patch.setattr(typer.testing, "_get_command", cache(typer.testing._get_command))
        patch.setattr(lazy_group, "_imported", _command_once())
        patch.setattr(TextTokens, "open", _tokens_once())
        patch.setattr(build_service, "PassageSplitter", _splitter_once())
        patch.setattr(build_engine, "read_topics", _topics_once())
        patch.setattr(_EffectiveRouteContext, "from_api_route", _route_once())
        patch.setattr(default, "create_ssl_context", _trusting_once())
        yield


def _command_once() -> Callable[[str, Entry], Any]:
    """Makes a command of a function, or of a group, once."""
    imported = lazy_group._imported
    make = cache(lambda name, entry, _: imported(name, entry))
    return lambda name, entry: make(name, entry, resolve_name(entry.place))


def _tokens_once() -> Callable[[ModelFolder], TextTokens]:
    make = TextTokens.open
    made: dict[tuple[Path, str, int], TextTokens] = {}

    def make_once(folder: ModelFolder) -> TextTokens:
        key = (folder.path, folder.manifest.tokenizer, folder.manifest.max_tokens)
        if folder.path.parent != SHIPPED:
            return make(folder)
        if key not in made:
            made[key] = make(folder)
        return made[key]

    return make_once


def _splitter_once() -> Callable[..., PassageSplitter]:
    make = cache(PassageSplitter)

    def make_once(tokenizer_file: Path, **how: int) -> PassageSplitter:
        shipped = tokenizer_file.is_relative_to(SHIPPED)
        return make(tokenizer_file, **how) if shipped else PassageSplitter(tokenizer_file, **how)

    return make_once


def _topics_once() -> Callable[[Path], Topics]:
    read = cache(read_topics)
    return lambda path: read(path) if path == MEDIA_TOPICS else read_topics(path)


def _route_once() -> Callable[..., Any]:
    """Makes the handler of a route once: the applications of all tests have the same routers."""
    made: dict[Any, Any] = {}
    make = _EffectiveRouteContext.from_api_route

    def make_once(*, original_route: APIRoute, include_context: Any) -> Any:
        needs = tuple(each.dependency for each in include_context.dependencies)
        key = (id(original_route), include_context.prefix, needs)
        if key not in made:  # what is made keeps the route, and so its id
            made[key] = make(original_route=original_route, include_context=include_context)
        return made[key]

    return make_once


def _trusting_once() -> Callable[..., SSLContext]:
    """Reads the certificates that clients trust once: 25 ms for each client, also of one call."""
    named = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    create = default.create_ssl_context
    make = cache(lambda given, _: create(**dict(given)))
    return lambda **given: make(tuple(given.items()), tuple(map(os.environ.get, named)))
