"""`dateline embed`: makes vectors for items that were recorded without them."""

from __future__ import annotations

import orjson

from dateline.build.service import build_service
from dateline.commands.options import (
    AsJson,
    Data,
    Models,
    archive_settings,
    console,
    encoder_only,
    reported,
)
from dateline.shown.progress import EmbedBars, progress_bar


def embed(as_json: AsJson = False, data: Data = None, models: Models = None) -> None:
    """Embed the items that have no vectors of an encoder in use.

    Run it after you set second_encoder or change encoder. The service may run meanwhile. You can
    interrupt it: the next run goes on from there.
    """
    with reported():
        service = build_service(encoder_only(archive_settings(data=data, models=models)))
        try:
            with progress_bar(hidden=as_json) as progress:
                added = service.embed_lacking(EmbedBars(progress).advance)
        finally:
            service.close()
    if as_json:
        console.print_json(orjson.dumps(added).decode())
        return
    for field, count in added.items():
        console.print(f"{field}: {count:,} items embedded" if count else f"{field}: lacks nothing")
