"""`dateline transcript`: what is said in an item, as subtitles."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, cast

import orjson
import typer

from core.callers import Caller
from core.errors import NotFoundError
from core.items import Item
from dateline.build.service import build_service
from dateline.commands.options import Data, archive_settings, encoder_only, reported
from dateline.settings import Settings
from indexing.speech.subtitles import Form, written


class TranscriptForm(StrEnum):
    """The forms of a transcript."""

    VTT = "vtt"
    SRT = "srt"
    TEXT = "text"
    JSON = "json"


def transcript(
    uri: Annotated[str, typer.Argument(help="The uri of a video or sound in the archive.")],
    form: Annotated[
        TranscriptForm, typer.Option("--format", help="json has the times of words, too.")
    ] = TranscriptForm.VTT,
    data: Data = None,
) -> None:
    """Print what is said in a video or sound, as subtitles or text.

    WebVTT says in a note if a machine wrote it down. Beside the file, it is read as such again.
    """
    with reported():
        item = _found(archive_settings(data=data), uri)
        if form is TranscriptForm.JSON:
            tree = {"uri": item.uri, "version": item.version, "made_by": item.speech_by}
            lines = [asdict(one) for one in item.speech]
            typer.echo(orjson.dumps({**tree, "lines": lines}, option=orjson.OPT_INDENT_2))
        else:
            typer.echo(written(item, cast("Form", form.value)), nl=False)


def _found(settings: Settings, uri: str) -> Item:
    """Return the item, if the guard shows it to a caller with every product. Raises NotFoundError
    if it does not, and for one without speech.
    """
    service = build_service(encoder_only(settings), background=False)
    try:
        item = service.engine.item(uri, Caller("command line", service.engine.products()))
    finally:
        service.close()
    if item is None:
        what = "there is no such item, or it may not be shown now"
        raise NotFoundError(what, where=uri, mend="check the uri")
    if not item.speech:
        what = "nobody has written down what is said in it"
        mend = "`dateline doctor` says whether speech is transcribed; then ingest the file again"
        raise NotFoundError(what, where=uri, mend=mend)
    return item
