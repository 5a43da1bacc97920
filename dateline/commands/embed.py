"""`dateline embed`: vectors for what was recorded without them."""

from __future__ import annotations

import orjson
from rich.progress import Progress, TaskID

from dateline.build.service import build_service
from dateline.commands.ingest import progress_bar
from dateline.commands.options import (
    AsJson,
    Data,
    Models,
    archive_settings,
    console,
    encoder_only,
    reported,
)
from indexing.embedding import Embedding


class Bars:
    """A bar for each vector field that lacks vectors, on the error stream."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def advance(self, so_far: Embedding) -> None:
        """See `indexing.embedding.Told`."""
        if so_far.field not in self._tasks:
            self._tasks[so_far.field] = self._progress.add_task(f"embed {so_far.field}", rate="")
        rate = so_far.done / max(so_far.seconds, 1e-9)
        self._progress.update(
            self._tasks[so_far.field],
            completed=so_far.done,
            total=so_far.total,
            rate=f"{so_far.done:,} of {so_far.total:,} items, {rate:,.0f}/s",
        )


def embed(as_json: AsJson = False, data: Data = None, models: Models = None) -> None:
    """Embed what is recorded without the vectors of an encoder in use.

    Needed after the setting second_encoder was turned on, or encoder changed. The service may run
    meanwhile. Can be interrupted: it goes on from there.
    """
    with reported():
        service = build_service(encoder_only(archive_settings(data=data, models=models)))
        try:
            with progress_bar(hidden=as_json) as progress:
                added = service.embed_lacking(Bars(progress).advance)
        finally:
            service.close()
    if as_json:
        console.print_json(orjson.dumps(added).decode())
        return
    for field, count in added.items():
        console.print(f"{field}: {count:,} items embedded" if count else f"{field}: lacks nothing")
