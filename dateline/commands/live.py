"""`dateline live`: a live source as an item of the archive, from its first frame on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from core.errors import InputError
from core.work import Priority
from dateline import media_ingest
from dateline.archive_folder import archive_folder
from dateline.build.service import Service, build_service
from dateline.commands.options import (
    EXIT_INTERRUPTED,
    AsJson,
    Away,
    Data,
    Grown,
    Hosts,
    Models,
    Stall,
    Stride,
    listed,
    reported,
    settings_for,
)
from dateline.settings import Settings
from dateline.shown.live_output import Shown
from dateline.shown.work_progress import handled
from indexing import json_tree, ninjs
from indexing.live.following import Following, told_before
from indexing.live.recording import LiveFolder, LiveState
from indexing.live.telling import Telling
from indexing.media.cage.sources import LiveSource
from indexing.media.shots.live import LiveSettings, Patience, chosen_source
from indexing.work.request import Request

_GB = 10**9


def live(
    source: Annotated[
        str,
        typer.Argument(
            help="A stream's rtsp, rtmp, http or https address, - for a pipe, a named pipe, or a "
            "file that grows."
        ),
    ],
    headline: Annotated[str, typer.Option(help="The headline of the item.")] = "",
    products: Annotated[
        str, typer.Option(help="Product codes, by commas, that the item belongs to.")
    ] = "",
    uri: Annotated[str, typer.Option(help="The uri of the item.", show_default="a new one")] = "",
    document: Annotated[
        Path | None, typer.Option(help="A file with more members of ninjs for the item.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where it is recorded.", show_default="live in the archive's folder"),
    ] = None,
    most: Annotated[
        float, typer.Option(help="Gigabytes that are recorded at most; 0 records nothing.")
    ] = 50.0,
    part: Annotated[
        float, typer.Option(help="Minutes after which the next part begins, an item of its own.")
    ] = 15.0,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="Archive what a killed process recorded; do not connect."),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the recording to `dateline worker`.")
    ] = False,
    as_json: AsJson = False,
    stride: Stride = None,
    stall: Stall = 5.0,
    away: Away = 600.0,
    grown: Grown = 10.0,
    host: Hosts = None,
    data: Data = None,
    models: Models = None,
) -> None:
    """Take a live source into the archive while it runs; its recording is the video afterwards.

    Ctrl-C ends the source. SIGTERM or a kill only breaks off: the same command then goes on with
    the same item.
    """
    with reported():
        settings = settings_for(data=data, models=models, shot_stride=stride)
        place = LiveFolder(folder or archive_folder(settings) / "live")
        patience = Patience(stall_s=stall, away_s=away, grown_s=grown)
        chosen = chosen_source(source, patience, tuple(host or ()))
        name = chosen[0].name
        state = place.running(name, uri)
        if state is None:
            state = _new_state(name, uri, _document(headline, products, document))
        if finish and not state.began:
            raise InputError("nothing of it is recorded", where=name, mend="leave out --finish")
        if part < 1:
            raise InputError("a part lasts a minute at least", where="--part")
        run = _Run(settings, place, Shown(as_json=as_json), detach=detach)
        if not finish:
            state = run.follow(chosen, state, most_bytes=round(most * _GB), part_s=60 * part)
        elif not place.files(state):
            run.end(chosen[0], state)
        raise typer.Exit(EXIT_INTERRUPTED if run.goes_on else run.archive(state))


def _new_state(name: str, uri: str, document: Mapping[str, Any]) -> LiveState:
    now = datetime.now(UTC)
    made = f"urn:dateline:live:{now:%Y%m%dT%H%M%SZ}-{os.urandom(3).hex()}"
    return LiveState(uri or made, name, document)


def _document(headline: str, products: str, path: Path | None) -> dict[str, Any]:
    """Return the members of the item. Raises DocumentError for those that no item can have."""
    tree: dict[str, Any] = {} if path is None else dict(json_tree.parse(_read(path)))
    if headline:
        tree["headline"] = headline
    if codes := listed(products):
        tree["products"] = codes
    for name in ("uri", "version"):
        if name in tree:
            raise InputError(f"a live item's document names no {name}", where=str(path))
    ninjs.read_tree({"uri": "urn:x", "type": "video", **tree}, lambda: datetime.now(UTC))
    return tree


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", where=str(path)) from error


@dataclass(slots=True)
class _Run:
    """One call of the command."""

    settings: Settings
    folder: LiveFolder
    shown: Shown
    detach: bool
    goes_on: bool = False

    def follow(
        self,
        chosen: tuple[LiveSource, LiveSettings],
        state: LiveState,
        *,
        most_bytes: int,
        part_s: float,
    ) -> LiveState:
        """Follow the source until it ends; return its state then."""
        from dateline.build.media.live import LiveTerms, opened_parts

        terms = LiveTerms(self.folder, most_bytes, part_s)
        source, live_settings = chosen
        if not (state.document.get("products") or self.settings.default_products):
            self.shown.trouble("it belongs to no product, so nobody finds it: name --products")
        service = build_service(self.settings)
        try:
            with opened_parts(
                self.settings, service, source, terms, self.shown.listener(), self._order
            ) as (parts, lacks):
                if lacks:
                    self.shown.trouble(lacks)
                following = Following(parts, state, live_settings)
                self.shown.begins(state)
                with _stopping(following):
                    ended = following.run()
                self.goes_on = following.goes_on
            service.engine.catch_up()
        finally:
            service.close()
        self.shown.ends(goes_on=self.goes_on)
        return ended

    def end(self, source: LiveSource, state: LiveState) -> None:
        """Say of an item without a recording that its source has ended."""
        from dateline.build.media.live import LiveTerms, opened_parts

        terms, listener = LiveTerms(self.folder, 0, 0.0), self.shown.listener()
        service = build_service(self.settings)
        try:
            with opened_parts(self.settings, service, source, terms, listener, self._order) as (
                parts,
                _,
            ):
                told = told_before(parts.items, state)
                Telling(parts.items, told, parts.cover, listener).close()
        finally:
            service.close()

    def archive(self, state: LiveState) -> int:
        """Make the recordings of all parts the items' files; return the exit code."""
        paths = self.folder.files(state)
        code = 0
        if paths and self.detach:
            for path in paths:
                self._order_file(path)
        elif paths:
            service = build_service(self.settings)
            try:
                for path in paths:
                    code = max(code, self._carried_out(service, path))
            finally:
                service.close()
        if code == 0:
            self.folder.forget(state)
        return code

    def _carried_out(self, service: Service, path: Path) -> int:
        request = Request((str(path),))
        done = media_ingest.carry_out(
            self.settings, service, request, Priority.WIRE, as_json=self.shown.as_json
        )
        self.shown.archived(path, done.tree)
        return done.code

    def _order(self, state: LiveState) -> None:
        """Order the archived video of a part that has ended, while the source goes on."""
        path = self.folder.file_of(state)
        if path.is_file() and path.stat().st_size:
            self._order_file(path)

    def _order_file(self, path: Path) -> None:
        media_ingest.order(self.settings, Request((str(path),)), Priority.WIRE)


@contextmanager
def _stopping(following: Following) -> Iterator[None]:
    """Make Ctrl-C end the source, and SIGTERM leave it to another run; a second signal ends the
    process at once.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        following.stop(ended=number == signal.SIGINT)

    with handled(stop):
        yield
