"""Tells a live source in the archive: collects what is known of it, and writes a version of its
item as soon as there is something new, at most one a second. Words wait longer where a version
takes long to index; a shot does not.

    shots, stills ──┐
    words ──────────┼──> Telling: the part's content ── its thread ──> LiveItems ──> record
    breaks, notes ──┘                                      │
                                                           └──> how long each took to be findable

If a version can't be written, the next one is: each version has everything that is known by then.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from time import monotonic

from core.errors import DatelineError
from core.items import Shot
from core.media import ShotBounds
from core.media_words import Utterance, later
from core.writes import Written
from indexing.live.items import LiveContent, LiveItems, Standing
from indexing.live.recording import LiveState

EVERY_S = 1.0  # the least between two versions
_MOST_EVERY_S = 2.5
# While a version's words are indexed, no words find the item: for this share of the time at most,
# as long as `_MOST_EVERY_S` allows it.
_UNINDEXED = 0.1
_STILL_S = 1.5  # a shot waits so long for its still, and is told without it then
_AGAIN_S = 15.0  # the longest pause after a version that could not be written
_SEEN_S = 5.0  # a source whose picture has not come by then has none
_ARRIVALS = 20_000  # moments of arrival that are kept: a quarter of an hour of batches


@dataclass(frozen=True, slots=True)
class Stages:
    """Where a shot's lag went, in seconds: from its end until the model knew it, until its still
    came, until its version was begun, until that was recorded, and until its words were indexed.
    """

    known_s: float
    still_s: float
    waited_s: float
    recorded_s: float
    indexed_s: float


@dataclass(frozen=True, slots=True)
class Findable:
    """A shot or an utterance that searches find now. `lag_s` is the time since its end was here;
    None if that is not known. `number` is the shot's, from 1; `text` what was said. `stages` says
    where a shot's lag went.
    """

    uri: str
    start_s: float
    end_s: float
    lag_s: float | None
    number: int = 0
    text: str = ""
    stages: Stages | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what becomes findable, each acknowledged version, and what goes wrong."""

    findable: Callable[[Findable], None]
    written: Callable[[Written], None]
    trouble: Callable[[str], None]


@dataclass(slots=True)
class Arrivals:
    """When the seconds of a source were here, by the monotonic clock. Thread-safe enough: one
    thread adds.
    """

    _seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_ARRIVALS))
    _moments: deque[float] = field(default_factory=lambda: deque(maxlen=_ARRIVALS))

    def add(self, second: float) -> None:
        """Note that the source has come up to a second."""
        if not self._seconds or second > self._seconds[-1]:
            self._seconds.append(second)
            self._moments.append(monotonic())

    def of(self, second: float) -> float | None:
        """Return the moment at which a second was here; None if that is not known."""
        seconds, moments = list(self._seconds), list(self._moments)
        place = bisect_left(seconds, second)
        return moments[min(place, len(moments) - 1)] if moments and place >= 0 else None


@dataclass(slots=True)
class _Pending:
    """A shot that was known at a moment and waits for its still, until another."""

    shot: Shot
    until: float
    known: float = field(default_factory=monotonic)


class Telling:
    """The content of one part, and the thread that writes it. Seconds are those of the whole
    source. Thread-safe. `cover` makes recorded items findable by words.
    """

    def __init__(
        self,
        items: LiveItems,
        content: LiveContent,
        cover: Callable[[], str],
        listener: Listener,
        every_s: float = EVERY_S,
    ) -> None:
        self.frames, self.sounds = Arrivals(), Arrivals()
        self._items, self._cover, self._listener = items, cover, listener
        self._least_s = self._every_s = every_s
        self._content = content
        self._has_picture = bool(content.shots)  # one has come
        self._pending: dict[int, _Pending] = {}  # by the number of the shot's first frame
        self._told = (len(content.shots), len(content.speech))
        # When each shot that no version has was known and was complete, by its first frame.
        self._ripened: dict[int, tuple[float, float]] = {}
        self._is_new = True
        self._has_shot = False  # that no version has
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="live item", daemon=True)
        self._thread.start()

    @property
    def state(self) -> LiveState:
        """The state of the part."""
        return self._content.state

    @property
    def starts_s(self) -> float:
        """The second of the whole at which the part begins."""
        return self._content.state.part_s

    def shot(self, bounds: ShotBounds) -> None:
        """Take a shot; its still comes later."""
        base = self.starts_s
        shot = Shot(
            max(0.0, bounds.start_s - base),
            bounds.end_s - base,
            bounds.start_frame,
            bounds.end_frame,
            str(bounds.transition),
            keyframe_s=max(0.0, (bounds.start_s + bounds.end_s) / 2 - base),
        )
        with self._changed:
            self._pending[bounds.start_frame] = _Pending(shot, monotonic() + _STILL_S)
            self._changed.notify()

    def still(self, key: int, second: float, name: str, similarity: str) -> None:
        """Take the still of the shot that begins with frame `key`: its name in the media store, ""
        for none. It is left out if the shot does not have that second.
        """
        at = second - self.starts_s
        with self._changed:
            pending = self._pending.get(key)
            if pending is not None:
                pending.until = 0.0
                pending.shot = _with_still(pending.shot, at, name, similarity)
            else:
                shots = tuple(
                    _with_still(s, at, name, similarity) if s.start_frame == key else s
                    for s in self._content.shots
                )
                if shots != self._content.shots:
                    self._set(shots=shots)
            self._changed.notify()

    def words(self, said: Sequence[Utterance], by: str) -> None:
        """Take what was said."""
        if not said:
            return
        moved = [_from_zero(later(one, -self.starts_s)) for one in said]
        with self._changed:
            speech = sorted((*self._content.speech, *moved), key=lambda one: one.start_s)
            self._set(speech=tuple(speech), speech_by=by)

    def came(self, second: float, *, picture: bool) -> None:
        """Note up to which second of the whole the source has come. This makes no version."""
        (self.frames if picture else self.sounds).add(second)
        with self._changed:
            content = self._content
            end_s = max(content.end_s, second - self.starts_s)
            self._has_picture |= picture
            has_picture = self._has_picture or end_s < _SEEN_S
            self._content = replace(content, end_s=end_s, has_picture=has_picture)

    def stands(self, standing: Standing, note: str = "") -> None:
        """Say how the source stands, with a note on what went wrong."""
        with self._changed:
            state = self._content.state
            notes = tuple(dict.fromkeys((*state.notes, note))) if note else state.notes
            if standing is not self._content.standing or notes != state.notes:
                self._set(standing=standing, state=replace(state, notes=notes))

    def note(self, note: str) -> None:
        """Say what went wrong."""
        self.stands(self._content.standing, note)

    def close(self, standing: Standing = Standing.ENDED) -> None:
        """Write the last version, and end."""
        self.stands(standing)
        with self._changed:
            if not self._has_picture:
                self._set(has_picture=False)
            for pending in self._pending.values():
                pending.until = 0.0
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _set(self, **changes: object) -> None:
        self._content = replace(self._content, **changes)  # type: ignore[arg-type]
        self._is_new = True
        self._changed.notify()

    def _ripen(self) -> float | None:
        """Add the shots that have their still or waited for it; return when the next one has waited
        long enough.
        """
        now = monotonic()
        ready = {key: one for key, one in self._pending.items() if one.until <= now}
        if ready:
            for key, one in ready.items():
                del self._pending[key]
                self._ripened[key] = (one.known, now)
            added = (*self._content.shots, *(one.shot for one in ready.values()))
            self._set(shots=tuple(sorted(added, key=lambda shot: shot.start_s)))
            self._has_shot = True
        return min((one.until - now for one in self._pending.values()), default=None)

    def _write(self) -> None:
        """The thread."""
        pause_s, last = 0.0, 0.0
        while True:
            with self._changed:
                wait_s = self._ripen()
                if not self._is_new and self._closed and not self._pending:
                    return
                rest_s = last + max(pause_s, self._rest_s()) - monotonic()
                if not self._is_new or (rest_s > 0 and not self._closed):
                    waits = [one for one in (wait_s, rest_s if self._is_new else None) if one]
                    self._changed.wait(min(waits, default=None))
                    continue
                content, self._is_new, self._has_shot = self._content, False, False
            last = monotonic()
            try:
                self._tell(content)
                pause_s = 0.0
            except DatelineError as error:
                self._listener.trouble(f"not written: {error}")
                pause_s = min(_AGAIN_S, 2 * max(1.0, pause_s))
                with self._changed:
                    if self._closed:
                        return
                    self._is_new = True

    def _rest_s(self) -> float:
        """Return the seconds between the last version and the next."""
        if self._closed:
            return 0.0
        return self._least_s if self._has_shot else self._every_s

    def _tell(self, content: LiveContent) -> None:
        begun = monotonic()
        written = self._items.write(content)
        recorded = monotonic()
        lacks = self._cover()
        now = monotonic()
        self._every_s = min(_MOST_EVERY_S, max(self._least_s, (now - recorded) / _UNINDEXED))
        self._listener.written(written)
        if lacks:
            self._listener.trouble(lacks)
        shots, speech = self._told
        base, uri = content.state.part_s, written.uri
        self._told = (len(content.shots), len(content.speech))
        for number, shot in enumerate(content.shots[shots:], shots + 1):
            here = self.frames.of(shot.end_s + base)
            known = self._ripened.pop(shot.start_frame, None)
            stages = (
                None
                if here is None or known is None
                else _stages(here, *known, begun, recorded, now)
            )
            lag_s = _since(here, now)
            self._listener.findable(
                Findable(uri, shot.start_s, shot.end_s, lag_s, number, stages=stages)
            )
        for one in content.speech[speech:]:
            lag_s = _since(self.sounds.of(one.end_s + base), now)
            self._listener.findable(Findable(uri, one.start_s, one.end_s, lag_s, text=one.text))


def _since(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(0.0, now - moment)


def _stages(*moments: float) -> Stages:
    """Return the seconds between the moments of a shot, from its end to when it is findable."""
    return Stages(*(max(0.0, later - one) for one, later in pairwise(moments)))


def _from_zero(one: Utterance) -> Utterance:
    """Return what was said, without what lies before the part."""
    words = tuple((max(0.0, start), max(0.0, end), word) for start, end, word in one.words)
    return replace(one, start_s=max(0.0, one.start_s), words=words)


def _with_still(shot: Shot, second: float, name: str, similarity: str) -> Shot:
    if not name or not shot.start_s <= second <= shot.end_s:
        return shot
    return replace(shot, keyframe_s=second, thumbnail=name, similarity=similarity)
