"""`dateline serve`: the HTTP service and the page."""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import Annotated

import typer

from core.errors import SettingsError
from dateline.commands.options import Data, Models, Profile, reported, settings_for


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to serve on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to serve on.", show_default="8000")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that search, beside one that reads requests; SIGHUP reads the "
            "settings again.",
            show_default="0, which loads the models in each process",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Have the demo's examples, Kill button and keys.")
    ] = False,
    models_only: Annotated[
        bool, typer.Option("--models-only", help="Serve the models alone, without an archive.")
    ] = False,
    sagemaker: Annotated[
        bool,
        typer.Option(
            "--sagemaker",
            help="Serve the models of /opt/ml/model on 8080 as SageMaker asks them, without keys.",
        ),
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
        if sagemaker:
            from dateline.build.models.container import MODEL_FOLDER, container_settings
            from dateline.serving.front import serve_container

            serve_container(container_settings(models or MODEL_FOLDER, host=host, port=port))
            return
        read = partial(
            settings_for,
            host=host,
            port=port,
            workers=workers,
            profile=profile,
            data=data,
            models=models,
            demo=demo or None,
        )
        settings = read()
        if settings.workers and not models_only:
            from dateline.serving.supervisor import supervise  # loads neither models nor FastAPI

            sys.exit(supervise(read))
        if workers:
            raise SettingsError(
                "a service of models alone has no workers",
                where="workers",
                mend="leave --workers out, or --models-only",
            )
        # What is loaded now stays; to look through it meanwhile takes a seventh of the imports.
        gc.disable()
        try:
            from dateline.serving.front import serve_alone

            serve_alone(settings, models_only=models_only)  # which enables it before it serves
        finally:
            gc.enable()
