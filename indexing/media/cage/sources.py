"""Live sources, and their frames as a caged child reads them."""

from __future__ import annotations

import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from core.errors import InputError, MediaError
from core.media import SOUND_RATE, AskedStill, LastFrame, LiveItem, SoundBatch
from indexing.media.cage.answers import (
    AllRead,
    Answer,
    Done,
    FetchAnswer,
    FramesAnswer,
    GapAnswer,
    NoStill,
    RecordedAnswer,
    SoundAnswer,
    StillAnswer,
    at_most,
    live_samples,
)
from indexing.media.cage.answers import still as checked_still
from indexing.media.cage.door import Door
from indexing.media.cage.fetching import Fetches, RefusedFetchError
from indexing.media.cage.hearing import FrameEar
from indexing.media.cage.limits import CageLimits
from indexing.media.cage.parent import Cage, CagedChild, UnreadError
from indexing.media.cage.wire import WireError

_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
SCHEMES = ("http", "https", *_PORTS)
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class LiveSource:
    """The place of frames that are still being made: exactly one of `url`, `path` and `handle`.

    `url` has one of SCHEMES; an address that ends in .m3u8 is HLS. `path` is a named pipe, or a
    growing file, which ends if it has not grown for `grown_s`. `handle` is an open file descriptor,
    such as that of standard input; the caller keeps it. A source without a frame for `silent_s` is
    broken (0: wait forever). `hosts` are those that a playlist may name besides its own.
    """

    url: str = ""
    path: Path | None = None
    handle: int | None = None
    silent_s: float = 20.0
    grown_s: float = 10.0
    hosts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name for others to read: an address without its user and password."""
        if self.url:
            parts = urlsplit(self.url)
            return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))
        return str(self.path) if self.path is not None else f"file descriptor {self.handle}"


class Beside:
    """What is wanted of a live source beside its frames: sound, stills of at most `edge` pixels,
    and its packets as MPEG-TS, which `record` gets, in times from `at_s` on. For one connection.
    Thread-safe.
    """

    def __init__(
        self,
        edge: int,
        *,
        sound: bool = True,
        record: Callable[[bytes, bool], None] | None = None,
        at_s: float = 0.0,
    ) -> None:
        self.edge, self.sound, self.record, self.at_s = edge, sound, record, at_s
        self._asked: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._keys: deque[int] = deque()

    def request(self) -> dict[str, Any]:
        """Return what a child is told of it."""
        record = self.record is not None
        return {"edge": self.edge, "sound": self.sound, "record": record, "at_s": self.at_s}

    def still(self, key: int, first: int, last: int) -> None:
        """Ask for the still of the shot from frame `first` to `last` of the connection; it comes as
        an AskedStill with this key, or never, if the connection breaks.
        """
        self._keys.append(key)
        self._asked.put({"do": "still", "first": first, "last": last})

    def cut(self) -> None:
        """Let the packets begin a new file at the next key frame."""
        self._asked.put({"do": "cut"})

    def enough(self) -> None:
        """Say that no more will be asked for."""
        self._asked.put({"do": "enough"})

    def pass_on(self, child: CagedChild) -> None:
        """Send what was asked for. Raises UnreadError."""
        while not self._asked.empty():
            child.tell(self._asked.get())

    def answered(self) -> int:
        """Return the key of the still that has come. Raises WireError if none was asked for."""
        if not self._keys:
            raise WireError("a still that nobody asked for")
        return self._keys.popleft()


def live_frames(
    cage: Cage,
    limits: CageLimits,
    source: LiveSource,
    notes: list[str],
    stopped: threading.Event,
    beside: Beside | None = None,
) -> Iterator[LiveItem]:
    """Yield frames of one connection, counted from 0 and timed from its first, a batch within a
    tenth of a second of its frames, and what is wanted `beside` them. Ends with the source.

    Raises MediaError if the source can't be reached, breaks off or falls silent, and soon after
    another thread has set `stopped`; InputError if it is not a source.
    """
    way, patience = _Way(), _Patience(source, stopped)
    ear = _Ear(limits, patience, notes, beside)
    with ExitStack() as held:
        try:
            if source.url:
                yield from _of_address(held, cage, limits, ear, way)
            else:
                yield from _of_handle(held, cage, ear)
        except UnreadError as error:
            error.what += f" ({way.trouble})" if way.trouble else ""
            raise error.error(source.name) from None


@dataclass(slots=True)
class _Way:
    """The carrier of an address's bytes to the child; it may know why none came."""

    carrier: Fetches | Door | None = None

    @property
    def trouble(self) -> str:
        return at_most(self.carrier.trouble) if self.carrier else ""


def _of_handle(held: ExitStack, cage: Cage, ear: _Ear) -> Iterator[LiveItem]:
    patience = ear.patience
    source = patience.source
    handle = source.handle
    if handle is None:
        handle = _opened(held, source.path)
        _await_writer(handle, patience)
    growing = stat.S_ISREG(os.fstat(handle).st_mode)
    child = held.enter_context(cage.child())
    way = "growing" if growing else "pipe"
    request = {"do": "live", "way": way, "grown_s": source.grown_s, **ear.request()}
    child.ask(request, handle, endless=True)
    yield from ear.heard(child)


def _opened(held: ExitStack, path: Path | None) -> int:
    if path is None:
        raise InputError("a live source has an address, a path or a handle")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise MediaError(f"can't be opened: {error.strerror}", where=str(path)) from error
    held.callback(os.close, handle)
    return handle


def _await_writer(handle: int, patience: _Patience) -> None:
    """Wait until a process writes to a named pipe, which looks ended before; it then blocks."""
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    while not waiting.poll(_LOOK_S * 1000):
        patience.check()
    os.set_blocking(handle, True)


def _of_address(
    held: ExitStack, cage: Cage, limits: CageLimits, ear: _Ear, way: _Way
) -> Iterator[LiveItem]:
    source = ear.patience.source
    parts = urlsplit(source.url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise InputError(f"no live source: {source.name}", mend=f"use {', '.join(SCHEMES)}")
    if parts.scheme in ("http", "https"):
        way.carrier = fetches = held.enter_context(closing(Fetches(source.url, source.hosts)))
        child = held.enter_context(cage.child())
        is_list = parts.path.lower().endswith((".m3u8", ".m3u"))
        request = {"do": "live", "way": "fetch", "url": source.url, "hls": is_list}
        child.ask({**request, **ear.request()}, endless=True)
        yield from ear.heard(child, fetches)
        if fetches.broken:
            raise MediaError(f"the source broke off: {fetches.broken}", where=source.name)
        return
    child = CagedChild(limits, "network")
    held.callback(child.kill)
    way.carrier = door = _door_of(held, child, source)
    child.ask({**_through(door, source), **ear.request()}, endless=True)
    yield from ear.heard(child)


def _door_of(held: ExitStack, child: CagedChild, source: LiveSource) -> Door:
    """Return the child's own door, with the source's host behind it."""
    parts = urlsplit(source.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    door = Door(child.hand_over(), host, port, secure=parts.scheme in ("rtsps", "rtmps"))
    held.callback(door.close)
    return door


def _through(door: Door, source: LiveSource) -> dict[str, Any]:
    """Return the request to read an address through that door."""
    parts = urlsplit(source.url)
    way = parts.scheme.removesuffix("s")
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    inside = parts._replace(scheme=way, netloc=f"{user}127.0.0.1:{door.port}")
    options = {}
    if way == "rtmp":  # the server must see its own name, not the door's
        application = parts.path.strip("/").partition("/")[0]
        options["rtmp_tcurl"] = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{application}"
    return {"do": "live", "way": way, "url": urlunsplit(inside), "options": options}


class _Ear:
    """Hears one connection, and passes on what is asked for beside its frames."""

    def __init__(
        self, limits: CageLimits, patience: _Patience, notes: list[str], beside: Beside | None
    ) -> None:
        self.patience = patience
        self._limits, self._notes, self._beside = limits, notes, beside
        self._samples = 0  # of sound, counted from the connection's second 0

    def request(self) -> dict[str, Any]:
        """Return what the child is told of what is wanted."""
        return {} if self._beside is None else self._beside.request()

    def heard(self, child: CagedChild, fetches: Fetches | None = None) -> Iterator[LiveItem]:
        """Yield what the child says, until it is done."""
        ear = FrameEar(child)
        while True:
            self._await(child)
            answer, body = child.hear()
            if isinstance(answer, FetchAnswer) and fetches is not None:
                _fetch(child, fetches, answer, self.patience)
            elif isinstance(answer, Done):
                self._notes.extend(ear.notes(answer))
                return
            elif isinstance(answer, (FramesAnswer, GapAnswer)) or self._beside is None:
                yield ear.frames(answer, body)
                self.patience.begin()
            else:
                yield from self._more(child, answer, body, self._beside)

    def _await(self, child: CagedChild) -> None:
        """Wait for an answer; send what others ask for meanwhile."""
        while True:
            if self._beside is not None:
                self._beside.pass_on(child)
            if child.is_heard(_LOOK_S):
                return
            self.patience.check()

    def _more(
        self, child: CagedChild, answer: Answer, body: bytes, beside: Beside
    ) -> Iterator[LiveItem]:
        """Yield what came beside the frames."""
        try:
            match answer:
                case SoundAnswer():
                    samples = live_samples(answer, body, self._samples)
                    self._samples = answer.first + answer.count
                    self.patience.begin()
                    yield SoundBatch(samples, answer.first / SOUND_RATE)
                case RecordedAnswer() if beside.record is not None:
                    beside.record(body, answer.cut)
                case StillAnswer():
                    still = checked_still(answer, body, beside.edge, self._limits)
                    yield AskedStill(beside.answered(), still)
                case NoStill():
                    yield AskedStill(beside.answered(), None)
                case AllRead():
                    yield LastFrame()
                case _:
                    raise WireError("an answer to something else")
        except WireError as error:
            raise child.disbelieve(error) from None


class _Patience:
    """How long a source may give no frame, and whether anybody still waits for one."""

    def __init__(self, source: LiveSource, stopped: threading.Event) -> None:
        self.source = source
        self._stopped = stopped
        self._last = monotonic()

    def begin(self) -> None:
        """Restarts the time after a frame."""
        self._last = monotonic()

    def check(self) -> None:
        """Raise MediaError if waiting should end."""
        if self._stopped.is_set():
            raise MediaError("nobody reads it any more", where=self.source.name)
        most = self.source.silent_s
        if most and monotonic() - self._last > most:
            raise MediaError(
                f"no frames for {most:g} s", where=self.source.name, mend="is it running?"
            )


def _fetch(child: CagedChild, fetches: Fetches, answer: FetchAnswer, patience: _Patience) -> None:
    """Give the child what it asks for, or the reason for a refusal. Raises MediaError if another
    try can't help.
    """
    if answer.url.startswith("crypto"):  # libavformat has the key and asks for encrypted bytes
        raise MediaError(
            "its segments are encrypted (AES-128), which are not read",
            where=patience.source.name,
            mend="name an address of it that is not encrypted",
        )
    try:
        handle = fetches.open(answer.url, answer.start, answer.end, patience.check)
    except RefusedFetchError as error:
        patience.check()
        child.tell({"what": str(error)})
        return
    try:
        child.tell({}, handle)
    finally:
        os.close(handle)
