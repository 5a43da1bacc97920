"""The output of `dateline live`: a line for each shot and utterance when searches find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import typer

from core.writes import Written
from dateline.commands.options import console, errors, escape
from indexing.live.recording import LiveState
from indexing.live.telling import Findable, Listener, Stages
from indexing.media.shots.timecodes import timecode


@dataclass(slots=True)
class Shown:
    """What a run has shown. With `as_json` each line is an object, with a member `kind`."""

    as_json: bool
    _held: str = ""
    _troubles: set[str] = field(default_factory=set)
    _shot_s: list[float] = field(default_factory=list)
    _word_s: list[float] = field(default_factory=list)

    def listener(self) -> Listener:
        """Return what the item's writer tells."""
        return Listener(self._findable, self._written, self.trouble)

    def begins(self, state: LiveState) -> None:
        """Say which item it is."""
        goes_on = bool(state.began)
        if self.as_json:
            _line("item", uri=state.part_uri, source=state.source, goes_on=goes_on)
        else:
            again = ", which goes on" if goes_on else ""
            console.print(f"{escape(state.source)} is {escape(state.part_uri)}{again}")

    def trouble(self, why: str) -> None:
        """Say what went wrong; the same once."""
        if why in self._troubles:
            return
        self._troubles.add(why)
        if self.as_json:
            _line("note", text=why)
        else:
            errors.print(f"  [yellow]note:[/] {escape(why)}")

    def ends(self, *, goes_on: bool) -> None:
        """Say how soon everything was findable."""
        for name, seconds in (("shots", self._shot_s), ("words", self._word_s)):
            if not seconds:
                continue
            half, most = median(seconds), max(seconds)
            if self.as_json:
                _line(
                    "lag",
                    of=name,
                    count=len(seconds),
                    median_s=round(half, 3),
                    most_s=round(most, 3),
                )
            else:
                told = f"median {half:.1f} s, at most {most:.1f} s after their end"
                console.print(f"{len(seconds)} {name} were findable: {told}")
        if goes_on and not self.as_json:
            console.print("the same command goes on with it; --finish archives what is recorded")

    def archived(self, path: Path, tree: Mapping[str, Any]) -> None:
        """Say what became of a recording."""
        if self.as_json:
            _line("archived", file=str(path), media=dict(tree))

    def _findable(self, found: Findable) -> None:
        lag_s = found.lag_s
        if lag_s is not None:
            (self._shot_s if found.number else self._word_s).append(lag_s)
        if self.as_json:
            kind, what = _told_of(found)
            times = {"start_s": round(found.start_s, 3), "end_s": round(found.end_s, 3)}
            lag = None if lag_s is None else round(lag_s, 3)
            more: dict[str, Any] = {} if found.stages is None else {"stages": _stages(found.stages)}
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            _line(kind, uri=found.uri, **what, **times, lag_s=lag, at=at, **more)
            return
        text = f"shot {found.number}" if found.number else f"“{escape(found.text)}”"
        within = f"{timecode(found.start_s)}–{timecode(found.end_s)}"
        late = "" if lag_s is None else f", findable after {lag_s:.1f} s"
        console.print(f"{within}  {text}{late}")

    def _written(self, written: Written) -> None:
        if written.held != self._held:
            self._held = written.held
            told = f"it is {written.held}: nobody is shown what is told now" if written.held else ""
            self.trouble(told or "it is shown again")


def _told_of(found: Findable) -> tuple[str, dict[str, Any]]:
    """Return the kind of what is findable, and what it is."""
    if found.number:
        return "shot", {"shot": found.number}
    return "words", {"text": found.text}


def _stages(stages: Stages) -> dict[str, float]:
    return {name: round(seconds, 3) for name, seconds in asdict(stages).items()}


def _line(kind: str, **members: Any) -> None:
    typer.echo(orjson.dumps({"kind": kind, **members}).decode())
