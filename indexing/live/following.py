"""Follows a live source: its frames become shots, its sound words, and all of it a recording.

    LiveFrames ── frames ──> ShotFinder ──> Telling <── stills, from the cage
        │          sound ──> LiveWords ───────┘
        └──────── packets ──> Recorder

A long source has parts, each an item of its own: the cost of a version grows with what is in it. A
part ends with the first shot (or the first sound of a source without a picture) after `part_s`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.errors import MediaError
from core.items import ItemType
from core.media import (
    AskedStill,
    FrameBatch,
    Gap,
    LastFrame,
    LiveItem,
    ShotBounds,
    SoundBatch,
    Still,
)
from core.media_words import Utterance
from core.ports.media import Transcriber
from indexing.live.hearing import LiveWords
from indexing.live.items import LiveContent, LiveItems, Standing, document_of
from indexing.live.recording import LiveFolder, LiveState, Recorder
from indexing.live.telling import Listener, Telling
from indexing.media.cage.sources import Beside
from indexing.media.shots.finding import ShotFinder
from indexing.media.shots.live import LiveFrames, LiveSettings

_ENOUGH = 10  # frames that tell their rate
_DRAIN_S = 30.0  # for the last words of a part that has ended


class Connection(Protocol):
    """What comes of one connection to a source."""

    def __iter__(self) -> Iterator[LiveItem]: ...

    def __next__(self) -> LiveItem: ...

    def stop(self) -> None:
        """Make it raise soon, whatever it waits for."""
        ...


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What follows a source: the cage's `connect`, the finder of shots at a rate of frames a
    second (0: unknown), where stills are kept (`keep` returns a name and a hash), who transcribes,
    items, files, whether packets are recorded, the largest edge of a still and the length of a
    part. `archive` gets the state of a part that has ended while the source goes on.
    """

    connect: Callable[[Beside], Connection]
    finder: Callable[[float], ShotFinder]
    keep: Callable[[Still], tuple[str, str]]
    transcriber: Transcriber | None
    items: LiveItems
    cover: Callable[[], str]
    folder: LiveFolder
    recorder: Recorder
    records: bool
    listener: Listener
    edge: int
    part_s: float
    archive: Callable[[LiveState], None]


class Following:
    """One run over a source, from `state` on; in a new one, `began` is 0."""

    def __init__(self, parts: LiveParts, state: LiveState, settings: LiveSettings) -> None:
        self._parts = parts
        self._connections: list[tuple[int, Beside]] = []  # with the number of their first frames
        self._given = 0  # frames that the connections of this run gave
        self._end_s = 0.0
        self._standing = Standing.ENDED  # of the last part, when this run is over
        self._ended: list[threading.Thread] = []
        self._ending: tuple[Telling, float] | None = None
        # What this run counts from, in seconds and frames of the whole.
        self._offset_s, self._first = 0.0, 0
        self._began = time.monotonic()
        self._state = state
        self._telling: Telling | None = None
        parts.recorder.then(parts.folder.file_of(state))
        self._words: LiveWords | None = None
        if state.began:
            self._begin(self._resumed(state))
        waits = bool(state.began)
        self._live = LiveFrames(self._connect, replace(settings, waits_for_first=waits))

    def stop(self, *, ended: bool) -> None:
        """End this run soon; from a signal's handler. Unless the source has `ended`, another run
        goes on with it.
        """
        self._standing = Standing.ENDED if ended else Standing.BROKEN
        threading.Thread(target=self._live.stop, name="live stop", daemon=True).start()

    @property
    def goes_on(self) -> bool:
        """Whether another run goes on with the source."""
        return self._standing is not Standing.ENDED

    def run(self) -> LiveState:
        """Follow the source to its end; return its state then, of its last part. Raises MediaError
        if it was never there. A source that stays away has ended.
        """
        found = _Found(self._parts.finder)
        try:
            for item in self._live:
                if self._telling is None:
                    self._begin(LiveContent(self._new(), Standing.RUNNING))
                arrived = self._placed(item)
                match arrived:
                    case FrameBatch() | Gap():
                        self._look(arrived)
                        self._shots(found.push(arrived))
                    case SoundBatch():
                        self._hear(arrived)
                    case AskedStill(key, still):
                        self._keep(key, still)
                    case LastFrame():
                        end = Gap(self._end_s, self._end_s, "")
                        self._shots(found.push(end))
                        self._connections[-1][1].enough()
                self._settle()
            self._shots(found.push(None))
        except MediaError as error:
            if self._telling is None:
                raise
            self._note(f"it stayed away: {error.what}")
        finally:
            self._live.close()
            self._close()
        return self._state

    def _new(self) -> LiveState:
        """Return the state of a source that begins now."""
        state = replace(self._state, began=time.time())
        self._began = time.monotonic()
        self._begun_on_disk(state)
        return state

    def _begun_on_disk(self, state: LiveState) -> None:
        """Keep what a killed process goes on with. Raises StorageError."""
        self._parts.folder.keep(state)
        self._parts.folder.describe(state, document_of(state, Standing.ARCHIVED))
        self._state = state

    def _resumed(self, state: LiveState) -> LiveContent:
        """Return what was told before this process, and go on from there."""
        content = told_before(self._parts.items, state)
        self._first = content.shots[-1].end_frame + 1 if content.shots else 0
        self._offset_s = max(time.time() - state.began, state.part_s + content.end_s)
        return content

    def _begin(self, content: LiveContent) -> None:
        parts = self._parts
        self._telling = Telling(parts.items, content, parts.cover, parts.listener)
        if self._words is None and parts.transcriber is not None:
            self._words = LiveWords(parts.transcriber, self._said, self._note, self._may_leave)

    def _connect(self) -> Iterator[LiveItem]:
        """Connect once more; in the thread of the source."""
        parts, state = self._parts, self._state
        at_s = self._offset_s - state.part_s
        if self._given:
            at_s += time.monotonic() - self._began
        parts.recorder.connected()
        record = parts.recorder if parts.records else None
        beside = Beside(parts.edge, record=record, at_s=max(0.0, at_s))
        self._connections.append((self._given, beside))
        return _Counted(self, parts.connect(beside))

    def count(self, frames: int) -> None:
        """Add to the number of frames that came. The thread of the source calls this."""
        self._given += frames

    def _placed(self, item: LiveItem) -> LiveItem:
        """Return what came, in seconds and frames of the whole."""
        by_s = self._offset_s
        match item:
            case FrameBatch(pixels, seconds, first):
                return FrameBatch(pixels, seconds + by_s, self._first + first)
            case Gap(start_s, end_s, reason):
                return Gap(start_s + by_s, end_s + by_s, reason)
            case SoundBatch(samples, start_s):
                return SoundBatch(samples, start_s + by_s)
            case AskedStill(key, Still() as still):
                return AskedStill(key, replace(still, second=still.second + by_s))
        return item

    def _look(self, arrived: FrameBatch | Gap) -> None:
        telling = self._present
        if isinstance(arrived, FrameBatch):
            self._end_s = float(arrived.seconds[-1])
            telling.came(self._end_s, picture=True)
            telling.stands(Standing.RUNNING)
            return
        self._end_s = max(self._end_s, arrived.end_s)
        if self._words is not None:
            self._words.rest()
        if arrived.end_s > arrived.start_s:
            within = (
                f"{arrived.start_s - telling.starts_s:.1f} to {self._end_s - telling.starts_s:.1f}"
            )
            self._note(f"no picture from {within} s: {arrived.reason}")
        else:
            telling.stands(Standing.BROKEN)
            self._parts.listener.trouble(arrived.reason)

    def _hear(self, sound: SoundBatch) -> None:
        telling = self._present
        telling.came(sound.end_s, picture=False)
        telling.stands(Standing.RUNNING)
        if self._words is not None:
            self._words.push(sound)
        if not self._given and sound.end_s - telling.starts_s >= self._parts.part_s:
            self._next_part(sound.end_s)

    def _shots(self, shots: Sequence[ShotBounds]) -> None:
        for shot in shots:
            telling = self._present
            telling.shot(shot)
            self._ask_for_still(shot)
            if shot.end_s - telling.starts_s >= self._parts.part_s:
                self._next_part(shot.end_s)

    def _ask_for_still(self, shot: ShotBounds) -> None:
        first = shot.start_frame - self._first
        base, beside = next(one for one in reversed(self._connections) if one[0] <= first)
        beside.still(shot.start_frame, first - base, shot.end_frame - self._first - base)

    def _keep(self, key: int, still: Still | None) -> None:
        """Keep a still, for the part that has its shot."""
        found = (0.0, "", "") if still is None else (still.second, *self._parts.keep(still))
        for telling in self._open_parts():
            telling.still(key, *found)

    def _said(self, said: Sequence[Utterance]) -> None:
        """Take words, for the part in which they were said; in the thread of the words."""
        assert self._parts.transcriber is not None
        name, until = self._parts.transcriber.name, float("inf")
        for telling in reversed(self._open_parts()):
            own = [one for one in said if telling.starts_s <= _middle(one) < until]
            telling.words(own, name)
            until = telling.starts_s

    def _note(self, why: str) -> None:
        """Say what went wrong, in the item too."""
        if self._telling is not None:
            self._telling.note(why)
        self._parts.listener.trouble(why)

    def _may_leave(self) -> bool:
        return self._parts.items.may_leave(self._present.state)

    @property
    def _present(self) -> Telling:
        assert self._telling is not None
        return self._telling

    def _open_parts(self) -> list[Telling]:
        ending = [] if self._ending is None else [self._ending[0]]
        return [*ending, *([] if self._telling is None else [self._telling])]

    def _next_part(self, second: float) -> None:
        """Begin the next part at a second of the whole. The present one ends as soon as its words
        and its recording have come.
        """
        if self._ending is not None:
            return  # the one before has not ended yet
        old = self._present
        state = replace(old.state, part=old.state.part + 1, part_s=second, notes=())
        self._parts.recorder.then(self._parts.folder.file_of(state))
        for _, beside in self._connections[-1:]:
            beside.cut()
        self._begun_on_disk(state)
        self._ending = (old, time.monotonic() + _DRAIN_S)
        self._begin(LiveContent(state, Standing.RUNNING))

    def _settle(self) -> None:
        """Close the part that has ended, once nothing more of it comes."""
        if self._ending is None:
            return
        old, until = self._ending
        has_words = self._words is None or self._words.done_s >= self._present.starts_s
        is_late = time.monotonic() > until
        if is_late or (has_words and not self._parts.recorder.waits):
            self._ending = None
            thread = threading.Thread(target=self._archive, args=(old,), daemon=True)
            thread.start()
            self._ended.append(thread)

    def _archive(self, old: Telling) -> None:
        old.close()
        self._parts.archive(old.state)

    def _close(self) -> None:
        """Wait for the last words, and write the last versions."""
        self._parts.recorder.close()
        if self._words is not None:
            self._words.close()
        if self._ending is not None:
            self._ending[0].close()
        if self._telling is not None:
            self._telling.close(self._standing)
        for thread in self._ended:
            thread.join()
        if self._telling is not None:
            self._begun_on_disk(self._telling.state)


def _middle(one: Utterance) -> float:
    return (one.start_s + one.end_s) / 2


def told_before(items: LiveItems, state: LiveState) -> LiveContent:
    """Return what is recorded of a part."""
    item = items.recorded(state.part_uri)
    if item is None:
        return LiveContent(state, Standing.BROKEN)
    ends = [*(shot.end_s for shot in item.shots), *(one.end_s for one in item.speech)]
    return LiveContent(
        state,
        Standing.BROKEN,
        item.shots,
        item.speech,
        item.speech_by,
        has_picture=item.type is ItemType.VIDEO,
        end_s=max(ends, default=0.0),
    )


class _Found:
    """The shots of a source. The first frames are held until their rate is known."""

    def __init__(self, finder: Callable[[float], ShotFinder]) -> None:
        self._finder_of = finder
        self._finder: ShotFinder | None = None
        self._held: list[FrameBatch | Gap | None] = []

    def push(self, arrived: FrameBatch | Gap | None) -> list[ShotBounds]:
        """Return the shots that are known now; None is the source's end."""
        self._held.append(arrived)
        if self._finder is None:
            rate = self._rate()
            if isinstance(arrived, FrameBatch) and not rate:
                return []
            self._finder = self._finder_of(rate)
            self._stream = self._finder.stream()
        held, self._held = self._held, []
        return [shot for each in held for shot in self._finder.push([self._stream], [each])[0]]

    def _rate(self) -> float:
        """Return the frames a second of what is held, 0 if that is too little."""
        batches = (each for each in self._held if isinstance(each, FrameBatch))
        seconds = [second for batch in batches for second in batch.seconds.tolist()]
        span_s = seconds[-1] - seconds[0] if seconds else 0.0
        return (len(seconds) - 1) / span_s if len(seconds) >= _ENOUGH and span_s > 0 else 0.0


class _Counted:
    """A connection whose frames are counted."""

    def __init__(self, following: Following, connection: Connection) -> None:
        self._following, self._connection = following, connection

    def __iter__(self) -> Iterator[LiveItem]:
        return self

    def __next__(self) -> LiveItem:
        item = next(self._connection)
        if isinstance(item, FrameBatch):
            self._following.count(len(item.seconds))
        return item

    def stop(self) -> None:
        """Make it end soon."""
        self._connection.stop()
