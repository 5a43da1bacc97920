"""The process that reads requests, and serves the models and the page."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Thread

import typer
from fastapi import FastAPI

from api.access.forwarding import Proxies
from api.operations_routes import metrics_of
from dateline.build.app import build_app
from dateline.build.customers.accounts import has_account_keys
from dateline.build.models.container import build_container_service
from dateline.build.models.served import Models
from dateline.build.models.service import ModelService, build_model_app, build_model_service
from dateline.build.service import Service, build_service
from dateline.commands.options import console, escape, note_missing_models, note_new_archive
from dateline.default_folders import demo_folder
from dateline.serving.collector import collect_seldom
from dateline.serving.demo import DEMO_READ_KEY, read_examples
from dateline.serving.http_server import HttpServer
from dateline.serving.keys import key_ring, with_media_secret
from dateline.serving.listener import Limits, Listener, listen, places
from dateline.serving.log_lines import write_log
from dateline.serving.searchers import Start, build_searchers, in_processes, started_anew
from dateline.serving.shared_state import kept_apart
from dateline.serving.telemetry import Telemetry, telemetry
from dateline.serving.tls import Certificate, certificate_of
from dateline.settings import Settings
from dateline.shown.ingest_output import counts

# How long a thread keeps the interpreter while others wait for it. Python's 5 ms are what each of
# the dozens of small steps of a kill would wait for beside busy searches.
_SWITCH_S = 0.0005


def _do_nothing() -> None:
    """Tell nobody."""


def serve_alone(settings: Settings, *, models_only: bool) -> None:
    """Serve in this process until it is told to end: searches and the page, or the models alone.
    Raises SettingsError before anything is loaded.
    """
    check(settings, models_only=models_only)
    certificate = certificate_of(settings)
    listening = listen(settings.host, settings.port)
    with _running(settings) as told:
        if models_only:
            models = build_model_service(settings)
            app = build_model_app(models)
            _serve_models(models, settings, listening, app, told, certificate)
        else:
            _serve_searches(settings, listening, certificate, told)


def serve_container(settings: Settings) -> None:
    """Serve the models as SageMaker asks them, until told to end. A model that is missing is named
    now, and by `/ping`.
    """
    listening = listen(settings.host, settings.port)
    with _running(settings) as told:
        service = build_container_service(settings)
        app = build_model_app(service, sagemaker=True)
        _serve_models(service, settings, listening, app, told)


def serve_with(
    settings: Settings,
    listening: socket.socket,
    models: Models | None,
    start: Start,
    ready: Callable[[], object],
) -> None:
    """Serve searches and the page until told to end, with models that are loaded and processes that
    `start` starts. `ready` is called when requests are read and every process can be asked.
    """
    certificate = certificate_of(settings)
    with _running(settings) as told:
        _serve_searches(settings, listening, certificate, told, models, start, ready)


def check(settings: Settings, *, models_only: bool = False) -> None:
    """Raise SettingsError for settings that can't serve, before anything is loaded."""
    key_ring(settings, has_more=not models_only and has_account_keys(settings))
    in_processes(settings)


@contextmanager
def _running(settings: Settings) -> Iterator[Telemetry]:
    write_log(logging.INFO)
    sys.setswitchinterval(_SWITCH_S)
    with telemetry(settings) as told:
        yield told


def _serve_searches(
    settings: Settings,
    listening: socket.socket,
    certificate: Certificate | None,
    told: Telemetry,
    models: Models | None = None,
    start: Start = started_anew,
    ready: Callable[[], object] = _do_nothing,
) -> None:
    is_new = not settings.has_archive
    note_new_archive(settings)
    service = build_service(with_media_secret(settings), models=models, share_cursors=True)
    note_missing_models(service.models.missing)
    if settings.demo and is_new:
        _load_demo(service)
    searchers = build_searchers(service, start)
    app = build_app(
        service,
        read_examples(demo_folder() / "examples.json") if settings.demo else (),
        searchers,
    )
    _greet(settings, listening.getsockname()[1])
    for field, count in service.lacking().items():
        what = f"vector field {field} lacks {count:,} visible items; run `dateline embed`"
        console.print(f"[yellow]note:[/] {escape(what)}")
    for what in kept_apart(settings):
        console.print(f"[yellow]note:[/] {escape(what)}: for one host only")

    def tell() -> None:
        if searchers is not None and searchers.wait_until_ready():
            ready()

    try:
        _run(app, settings, listening, certificate, told, Thread(target=tell, daemon=True).start)
    finally:
        if searchers is not None:
            searchers.close()
        service.close()
        listening.close()


def _load_demo(service: Service) -> None:
    """Ingest the demo corpus: a demo of an empty archive shows nothing."""
    corpus = demo_folder() / "stories.jsonl"
    if corpus.is_file():
        report = service.ingest.run([corpus])
        service.engine.catch_up()
        console.print(f"the demo corpus was loaded: {counts(report.as_dict())}")


def _serve_models(
    service: ModelService,
    settings: Settings,
    listening: socket.socket,
    app: FastAPI,
    told: Telemetry,
    certificate: Certificate | None = None,
) -> None:
    note_missing_models(service.models.missing.values())
    address = _address(settings, listening.getsockname()[1])
    running = ", ".join(service.status()["models"]["running"]) or "(none)"
    console.print(f"[bold]Dateline[/] serves the models {escape(running)} on {address}")
    console.print("Ctrl-C ends it.", style="dim")
    try:
        _run(app, settings, listening, certificate, told)
    finally:
        listening.close()


def _run(
    app: FastAPI,
    settings: Settings,
    listening: socket.socket,
    certificate: Certificate | None,
    told: Telemetry,
    started: Callable[[], object] = _do_nothing,
) -> None:
    connections = places(settings.connections)
    if connections < settings.connections:
        console.print(
            f"[yellow]note:[/] at most {connections} connections, of {settings.connections:,} that "
            "are set: this process may open no more files (ulimit -n)"
        )
    proxies = Proxies.of(settings.trusted_proxies)
    limits = Limits(connections, settings.connections_per_address, proxies.__contains__)
    listener = Listener(listening, limits)
    readers = app.state.surface.services.readers
    told.tell_metrics(partial(metrics_of, app.state.surface))
    collect_seldom()

    def ending() -> None:
        told.last_metrics()
        if readers is not None:
            readers.close()

    server = HttpServer(app, listener, certificate, app.state.admission, ending, started)
    if settings.workers:
        signal.signal(signal.SIGHUP, server.leave)  # for processes with newer settings
    server.serve_until_told()


def _greet(settings: Settings, port: int) -> None:
    address = _address(settings, port)
    console.print(f"[bold]Dateline[/] serves {settings.data} on {address}/")
    key = "$DATELINE_KEY" if settings.keys else DEMO_READ_KEY
    console.print("try:", style="dim")
    typer.echo(f"  curl -H 'x-api-key: {key}' '{address}/content/search?q=ferry+accident'")
    console.print("Ctrl-C ends it.", style="dim")


def _address(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{host}:{port}{settings.root_path}"
