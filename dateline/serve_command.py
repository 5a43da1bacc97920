"""`dateline serve`: the HTTP service and the page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from dateline.build import DEMO_READ_KEY, build_app, build_service, key_ring, read_examples
from dateline.options import Data, Models, Profile, console, reported, settings_for
from dateline.settings import ROOT, Settings

_EXAMPLES = ROOT / "datasets" / "demo" / "examples.json"


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to serve on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to serve on.", show_default="8000")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show the demo's examples and its Kill button.")
    ] = False,
    profile: Profile = None,
    data: Data = None,
    models: Models = None,
) -> None:
    """Serve searches and the page until Ctrl-C.

    Off loopback the service refuses to start without configured keys.
    """
    with reported():
        settings = settings_for(
            host=host, port=port, profile=profile, data=data, models=models, demo=demo or None
        )
        key_ring(settings)  # refuses before anything is loaded
        service = build_service(settings)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        app = build_app(service, read_examples(_EXAMPLES) if settings.demo else ())
        server = _server(settings, app)
        _greet(settings)
        try:
            server.run()
        finally:
            service.close()


def _server(settings: Settings, app: object) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )


def _greet(settings: Settings) -> None:
    address = f"http://{settings.host}:{settings.port}"
    console.print(f"[bold]Dateline[/] serves {_shown(settings.data)} on {address}/")
    key = "$DATELINE_KEY" if settings.keys else DEMO_READ_KEY
    console.print("try:", style="dim")
    typer.echo(f"  curl -H 'x-api-key: {key}' '{address}/content/search?q=ferry+accident'")
    console.print("Ctrl-C ends it.", style="dim")


def _shown(path: Path) -> str:
    return str(path)
