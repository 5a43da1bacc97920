"""`dateline serve`: the HTTP service and the page."""

from __future__ import annotations

import logging
import socket
import sys
from typing import Annotated

import typer
from fastapi import FastAPI

from api.access.forwarding import Proxies
from core.errors import SettingsError
from dateline.build.app import build_app
from dateline.build.customers.accounts import has_account_keys
from dateline.build.models.service import build_model_app, build_model_service
from dateline.build.service import Service, build_service
from dateline.commands.options import (
    Data,
    Models,
    Profile,
    console,
    escape,
    note_missing_models,
    note_new_archive,
    reported,
    settings_for,
)
from dateline.default_folders import demo_folder
from dateline.serving.demo import DEMO_READ_KEY, read_examples
from dateline.serving.http_server import HttpServer
from dateline.serving.keys import key_ring, with_media_secret
from dateline.serving.listener import Limits, Listener, places
from dateline.serving.log_lines import write_log
from dateline.serving.searchers import build_searchers, in_processes
from dateline.serving.shared_state import kept_apart
from dateline.serving.telemetry import traced
from dateline.serving.tls import Certificate, certificate_of
from dateline.settings import Settings
from dateline.shown.ingest_output import counts

# How long a thread keeps the interpreter while others wait for it. Python's 5 ms are what each of
# the dozens of small steps of a kill would wait for beside busy searches.
_SWITCH_S = 0.0005


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to serve on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to serve on.", show_default="8000")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Have the demo's examples, Kill button and keys.")
    ] = False,
    models_only: Annotated[
        bool, typer.Option("--models-only", help="Serve the models alone, without an archive.")
    ] = False,
    profile: Profile = None,
    data: Data = None,
    models: Models = None,
) -> None:
    """Serve searches, the models and the page until Ctrl-C.

    With --models-only other services can use the models here (setting `runtimes`), and no archive
    is opened. Without keys, and without those of --demo, it refuses to start.
    """
    with reported():
        settings = settings_for(
            host=host, port=port, profile=profile, data=data, models=models, demo=demo or None
        )
        key_ring(
            settings, has_more=not models_only and has_account_keys(settings)
        )  # this and the next one refuse before anything is loaded
        in_processes(settings)
        certificate = certificate_of(settings)
        listening = _listen(settings)
        write_log(logging.INFO)
        sys.setswitchinterval(_SWITCH_S)
        with traced(settings):
            if models_only:
                _serve_models(settings, listening, certificate)
            else:
                _serve_searches(settings, listening, certificate)


def _serve_searches(
    settings: Settings, listening: socket.socket, certificate: Certificate | None
) -> None:
    is_new = not settings.has_archive
    note_new_archive(settings)
    service = build_service(with_media_secret(settings), share_cursors=True)
    note_missing_models(service.models.missing)
    if settings.demo and is_new:
        _load_demo(service)
    searchers = build_searchers(service)
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
    try:
        _run(app, settings, listening, certificate)
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
    settings: Settings, listening: socket.socket, certificate: Certificate | None
) -> None:
    service = build_model_service(settings)
    note_missing_models(service.models.missing.values())
    address = _address(settings, listening.getsockname()[1])
    running = ", ".join(service.status()["models"]["running"])
    console.print(f"[bold]Dateline[/] serves the models {escape(running)} on {address}/v1")
    console.print("Ctrl-C ends it.", style="dim")
    try:
        _run(build_model_app(service), settings, listening, certificate)
    finally:
        listening.close()


def _listen(settings: Settings) -> socket.socket:
    """Return the bound socket. A wrong address fails here, before models are loaded."""
    try:
        listening = socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=2048,
        )
        # Connections inherit this; without it a kept-alive answer waits 40 ms for the client's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise SettingsError(
            f"can't listen on {settings.host} port {settings.port}: {error.strerror or error}",
            where="host and port",
            mend="choose another with --host and --port; port 0 takes a free one",
        ) from error


def _run(
    app: FastAPI, settings: Settings, listening: socket.socket, certificate: Certificate | None
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
    ending = readers.close if readers is not None else (lambda: None)
    HttpServer(app, listener, certificate, app.state.admission, ending).serve_until_told()


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
