"""The decode stage: files of several chunks at the same time, on several threads.

Child processes and a model decode; they release the interpreter. Videos that are decoded at the
same time fill the detector's batches together.

Each step is remembered in the ledger by the file's digest, and one thread at a time works on the
same bytes, wherever their copies are. The shot finder is loaded for the first video, because photos
need none.

A picture is one step. A video has three: facts, shots and stills. One reading of it gives shots and
stills. If a person has listed the shots, or a still of one is missing, the needed frames are sought
in the file. Stills go into the media store before the ledger names them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from core.errors import LimitError, MediaError, StorageError
from core.items import Shot
from core.media import FrameBatch, Gap, MediaFacts, MediaKind, ShotBounds, Still, is_url
from core.ports.media import MediaReader, MediaStore
from core.threads import Threads
from core.work import FoundAsset, Stage, Tracked
from indexing.media.assets import Enrichment
from indexing.media.shots.listed import shots_to_see
from indexing.media.shots.stills import moments_of
from indexing.work import remembered
from indexing.work.remembered import Remembered, result_key
from indexing.work.sources.listing import is_picture
from indexing.work.sources.stores import Fetched, Spool
from indexing.work.stages.stage import Stop, Worked, with_made

THUMBNAIL_EDGE = 320  # pixels
PREVIEW_EDGE = 1024
SHOT_EDGE = 640
_STEP = 4  # raise it when a step's result changes its meaning


def digest_key(location: str, stamp: str) -> str:
    """Return the key of digest and size of the file there, as long as its stamp is the same."""
    return result_key(location, "digest", "", {"stamp": stamp})


def picture_key(digest: str) -> str:
    """Return the key of a photo's facts, stills and hash."""
    sizes = [THUMBNAIL_EDGE, PREVIEW_EDGE]
    return result_key(digest, "picture", "", {"step": _STEP, "edges": sizes})


def facts_key(digest: str) -> str:
    """Return the key of the facts of a file that is not a photo."""
    return result_key(digest, "facts", "", {"step": _STEP})


def shots_key(digest: str, finder: str) -> str:
    """Return the key of the shots and gaps by the finder of this digest."""
    return result_key(digest, "shots", finder, {"step": _STEP})


def stills_key(digest: str, shots: Sequence[Sequence[Any]]) -> str:
    """Return the key of the stills of these shots, which decide the stills' times."""
    times = [[shot[0], shot[1]] for shot in shots]
    return result_key(digest, "stills", "", {"step": _STEP, "edge": SHOT_EDGE, "shots": times})


def listed_tree(shots: Sequence[Shot]) -> dict[str, Any]:
    """Return the shots of a shot list in the form of the shots step."""
    trees = [
        [shot.start_s, shot.end_s, shot.start_frame, shot.end_frame, shot.transition]
        for shot in shots
    ]
    return {"shots": trees, "gaps": [], "notes": []}


def of_picture(tree: Mapping[str, Any]) -> Enrichment:
    """Return the enrichment of a photo."""
    return Enrichment(
        remembered.facts_of(tree["facts"]),
        captions=(None,),
        thumbnail=tree["thumbnail"],
        preview=tree["preview"],
        similarity=tree["similarity"],
    )


def of_video(
    facts: MediaFacts, shots: Mapping[str, Any], stills: Sequence[Sequence[Any]]
) -> Enrichment:
    """Return the enrichment of a video; its first still that is not black represents it."""
    bounds = [remembered.bounds_of(tree) for tree in shots["shots"]]
    made = tuple(_shot(*pair) for pair in zip(bounds, stills, strict=True))
    cover = next((still for still in stills if still[2]), stills[0] if stills else None)
    gaps = (f"no frames from {a:.2f} s to {b:.2f} s: {why}" for a, b, why in shots["gaps"])
    return Enrichment(
        facts,
        shots=made,
        captions=(None,) * len(made),
        thumbnail="" if cover is None else cover[1],
        preview="" if cover is None else cover[1],
        similarity="" if cover is None else cover[2],
        notes=(*shots["notes"], *gaps),
    )


def _shot(bounds: ShotBounds, still: Sequence[Any]) -> Shot:
    second, name, similarity = still
    return Shot(
        bounds.start_s,
        bounds.end_s,
        bounds.start_frame,
        bounds.end_frame,
        str(bounds.transition),
        keyframe_s=second,
        thumbnail=name,
        similarity=similarity,
    )


class Flights:
    """Digests that threads work on. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: set[str] = set()

    @contextmanager
    def alone(self, digest: str) -> Iterator[None]:
        """Wait until no other thread has this digest, and keep others out of the block."""
        with self._changed:
            self._changed.wait_for(lambda: digest not in self._under_way)
            self._under_way.add(digest)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.discard(digest)
                self._changed.notify_all()


class LateFinder:
    """A `ShotFinder` that calls `load` for its first video. Thread-safe. If loading fails, the
    video fails with the reason, and the next one tries again.
    """

    def __init__(self, load: Callable[[], ShotFinder]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: ShotFinder | None = None

    @property
    def digest(self) -> str:
        """Return the digest of the loaded finder."""
        return self._finder().digest

    def shots(self, source: Iterator[FrameBatch | Gap]) -> Iterator[ShotBounds]:
        """Find shots with the loaded finder."""
        return self._finder().shots(source)

    def _finder(self) -> ShotFinder:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded


Digest = tuple[str, int]  # sha256 in hex, and the number of bytes

_SHOTS_AT_ONCE = 200  # in one question for stills
_JPEG = ".jpg"


class ShotFinder(Protocol):
    """Finds the shots of a video in its frames."""

    @property
    def digest(self) -> str:
        """Return the digest of the model and of all else that decides the result."""
        ...

    def shots(self, source: Iterator[FrameBatch | Gap]) -> Iterator[ShotBounds]:
        """Yield the shots of a source's frames, in order, each as soon as it is known."""
        ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result for a file: the digest of its bytes and its enrichment, None for a video whose
    shots have to be found elsewhere. `decoded` and `shots` count what was computed just now: files
    opened by a decoder, shots found.
    """

    digest: str
    size: int
    enrichment: Enrichment | None
    decoded: int = 0
    shots: int = 0


class Decoder:
    """Decodes files, for any number of threads, `at_once` of them at the same time: the other
    threads read, hash, and wait for disks.
    """

    def __init__(
        self,
        reader: MediaReader,
        finder: ShotFinder | None,
        store: MediaStore,
        known: Remembered,
        spool: Spool,
        at_once: int = 2,
    ) -> None:
        self._reader = reader
        self._finder = finder
        self._store = store
        self._known = known
        self._spool = spool
        self._decoding = threading.Semaphore(at_once)
        self._flights = Flights()

    def decode(
        self, found: FoundAsset, digest: Digest | None = None, *, shots: bool = True
    ) -> Decoded:
        """Return everything about the file, durable after `keep`; remembered results are not
        computed again. `digest` is the result of `digests` for it. Without `shots` no model is
        asked for them. Raises MediaError.
        """
        if digest is not None:
            recalled = self.recall(digest[0], found.sidecar)
            if recalled is not None:
                return Decoded(*digest, recalled)
        with self._spool.fetched(found.location) as file, self._flights.alone(file.digest):
            recalled = self.recall(
                file.digest, found.sidecar
            )  # the same bytes may lie in another place
            results: dict[str, Any] = {}
            if recalled is None:
                made = self._fresh(found, file, results, shots=shots)
            else:
                made = Decoded(file.digest, file.size, recalled)
            self._check_unchanged(found, file)
            if file.stamp:
                results[digest_key(found.location, file.stamp)] = [file.digest, file.size]
            self._known.hold(results)
            return made

    def _check_unchanged(self, found: FoundAsset, file: Fetched) -> None:
        if self._spool.stamp(found.location) != file.stamp:
            raise MediaError(
                "changed while it was read", where=found.location, mend="it is tried again"
            )

    def _remember(self, found: FoundAsset, file: Fetched, results: Mapping[str, Any]) -> None:
        """Make results durable at once. Results of a local file belong to its digest only if nobody
        has replaced the file meanwhile; a copy from a store is read as it was digested.
        """
        if not is_url(found.location):
            self._check_unchanged(found, file)
        self._known.put(results, fixed=True)

    def keep(self) -> None:
        """Make the results of files durable, all at once."""
        self._known.flush()

    def digests(self, found: Sequence[FoundAsset]) -> tuple[Digest | None, ...]:
        """Return sha256 and size of each file whose bytes were read before and that has not
        changed: a local file since then, a store's file since it was listed.
        """
        keys = [self._digest_key(one) for one in found]
        known = dict(zip(keys, self._known.get(keys), strict=True)) if any(keys) else {}
        trees = (known.get(key) if key else None for key in keys)
        return tuple(None if tree is None else (str(tree[0]), int(tree[1])) for tree in trees)

    def _digest_key(self, found: FoundAsset) -> str:
        """Return the key of the remembered digest; "" if it is unknown."""
        stamp = found.stamp if is_url(found.location) else ""
        try:
            stamp = stamp or self._spool.stamp(found.location)
        except MediaError:
            return ""  # decoding it says why
        return digest_key(found.location, stamp) if stamp else ""

    def recall(self, digest: str, sidecar: Mapping[str, Any] | None = None) -> Enrichment | None:
        """Return what all steps remember of a file; None if one of them has to be done. Without a
        shot finder, a shot list in `sidecar` names the shots.
        """
        known = self._known.one_of([picture_key(digest), facts_key(digest)])
        if known is None:
            return None
        is_video, tree = known
        if not is_video:
            return of_picture(tree)
        read = remembered.facts_of(tree)
        if read.kind is not MediaKind.VIDEO:
            return Enrichment(read)
        if self._finder is not None:
            (shots,) = self._known.get([shots_key(digest, self._finder.digest)])
        else:
            shots = _listed(sidecar, read)
        if shots is None:
            return None if self._finder is not None else Enrichment(read)
        (stills,) = self._known.get([stills_key(digest, shots["shots"])])
        return None if stills is None else of_video(read, shots, stills)

    def _fresh(
        self, found: FoundAsset, file: Fetched, results: dict[str, Any], *, shots: bool
    ) -> Decoded:
        """Decode a file; `results` gets what still has to be remembered."""
        if is_picture(found.location):
            try:
                return self._picture(file, results)
            except LimitError:
                raise
            except MediaError as refused:
                facts = self._facts_of_other(found, file, refused)
        else:
            facts = self._facts(found, file)
        if facts.kind is MediaKind.PICTURE:
            return self._picture(file, results)
        tree, fresh = None, 0
        if facts.kind is MediaKind.VIDEO and self._finder is not None:
            if not shots:
                return Decoded(file.digest, file.size, None)
            tree, fresh = self._shots(found, file, self._finder)
        elif facts.kind is MediaKind.VIDEO:
            tree = _listed(found.sidecar, facts)
        if tree is None:
            return Decoded(file.digest, file.size, Enrichment(facts), decoded=1)
        video = of_video(facts, tree, self._stills(found, file, tree["shots"]))
        return Decoded(file.digest, file.size, video, decoded=1, shots=fresh)

    def _picture(self, file: Fetched, results: dict[str, Any]) -> Decoded:
        with self._decoding:
            edges = (THUMBNAIL_EDGE, PREVIEW_EDGE)
            facts, (thumbnail, preview) = self._reader.picture(file.path, edges)
        tree = {
            "facts": remembered.facts_tree(facts),
            "thumbnail": self._store.put(thumbnail.jpeg, _JPEG),
            "preview": self._store.put(preview.jpeg, _JPEG),
            "similarity": "" if preview.black else preview.similarity,
        }
        results[picture_key(file.digest)] = tree
        return Decoded(file.digest, file.size, of_picture(tree), decoded=1)

    def _facts(self, found: FoundAsset, file: Fetched) -> MediaFacts:
        key = facts_key(file.digest)
        (known,) = self._known.get([key])
        if known is not None:
            return remembered.facts_of(known)
        with self._decoding:
            facts = self._reader.probe(file.path)
        if facts.kind is not MediaKind.PICTURE:
            self._remember(found, file, {key: remembered.facts_tree(facts)})
        return facts

    def _facts_of_other(self, found: FoundAsset, file: Fetched, refused: MediaError) -> MediaFacts:
        """Return the facts of a file with a picture's name that is none; else raise `refused`."""
        try:
            facts = self._facts(found, file)
        except MediaError:
            raise refused from None
        if facts.kind is MediaKind.PICTURE:
            raise refused
        return facts

    def _shots(
        self, found: FoundAsset, file: Fetched, finder: ShotFinder
    ) -> tuple[dict[str, Any], int]:
        key = shots_key(file.digest, finder.digest)
        (known,) = self._known.get([key])
        if known is not None:
            return known, 0
        with self._decoding:
            read = self._reader.shots(file.path, SHOT_EDGE, finder.shots, self._kept)
        tree: dict[str, Any] = {
            "shots": [remembered.bounds_tree(shot) for shot in read.shots],
            "gaps": [[gap.start_s, gap.end_s, gap.reason] for gap in read.gaps],
            "notes": list(read.notes),
        }
        stills = self._completed(file, tree["shots"], read.stills)
        results = {key: tree, stills_key(file.digest, tree["shots"]): stills}
        self._remember(found, file, results)
        return tree, len(read.shots)

    def _stills(
        self, found: FoundAsset, file: Fetched, shots: Sequence[Sequence[Any]]
    ) -> list[list[Any]]:
        """Return the stills of shots that were found earlier, or by a person."""
        key = stills_key(file.digest, shots)
        (known,) = self._known.get([key])
        if known is None:
            known = self._completed(file, shots, [None] * len(shots))
            self._remember(found, file, {key: known})
        return list(known)

    def _completed(
        self, file: Fetched, shots: Sequence[Sequence[Any]], stills: Sequence[list[Any] | None]
    ) -> list[list[Any]]:
        """Return the stills; missing ones are taken from the file."""
        made = dict(enumerate(stills))
        missing = [number for number, still in made.items() if still is None]
        for start in range(0, len(missing), _SHOTS_AT_ONCE):
            some = missing[start : start + _SHOTS_AT_ONCE]
            moments = [moments_of(remembered.bounds_of(shots[number])) for number in some]
            with self._decoding:
                taken = self._reader.stills(file.path, moments, SHOT_EDGE)
            made |= zip(some, map(self._kept, taken), strict=True)
        return [still for still in made.values() if still is not None]

    def _kept(self, still: Still) -> list[Any]:
        """Store a still; a black one gets no hash, because all of them would look alike."""
        similarity = "" if still.black else still.similarity
        return [still.second, self._store.put(still.jpeg, _JPEG), similarity]


def _listed(sidecar: Mapping[str, Any] | None, facts: MediaFacts) -> dict[str, Any] | None:
    """Return the shots in a list beside a video; None if it names none."""
    shots = shots_to_see(sidecar, facts)
    return listed_tree(shots) if shots else None


THREADS_A_FILE = 3  # while one file is decoded, others are read, hashed and written
_TOGETHER = 8  # files whose results are made durable together
_TOGETHER_S = 0.5  # the longest wait of a file for others


class DecodeStage:
    """`indexing.work.stages.stage.StageWork`. Thread-safe: chunks share `threads` threads. A
    decoded asset goes on to the stage `then`; with `shots_apart`, a video without known shots goes
    to the shots stage, which is this class without it.
    """

    def __init__(
        self,
        decoder: Decoder,
        threads: int,
        *,
        then: Stage = Stage.DESCRIBE,
        shots_apart: bool = False,
    ) -> None:
        self._decoder = decoder
        self._then = then
        self._shots_apart = shots_apart
        self._pool = Threads(threads, thread_name_prefix="decode")

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Decode each asset; yield it when its results are durable."""
        digests = self._decoder.digests([asset.found for asset in assets])
        waiting: set[Future[Worked | None]] = {
            self._pool.submit(self._one, asset, digest, stop)
            for asset, digest in zip(assets, digests, strict=True)
        }
        ready: list[Worked] = []
        try:
            while waiting:
                late = wait(waiting, _TOGETHER_S if ready else None, FIRST_COMPLETED)
                ready += [done for done in (future.result() for future in late.done) if done]
                waiting = late.not_done
                if len(ready) >= _TOGETHER or not late.done or not waiting:
                    yield from self._kept(ready)
                    ready = []
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)

    def _kept(self, ready: Sequence[Worked]) -> Iterator[Worked]:
        """Yield finished assets when they are durable: several at a time, as each waits for the
        disk.
        """
        self._decoder.keep()
        yield from ready

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _one(self, asset: Tracked, digest: Digest | None, stop: Stop) -> Worked | None:
        if stop():
            return None
        try:
            decoded = self._decoder.decode(asset.found, digest, shots=not self._shots_apart)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - a bad file harms only itself
            return Worked(asset, error)
        found = replace(asset.found, size=decoded.size)
        then = Stage.SHOTS if decoded.enrichment is None else self._then
        asset = replace(asset, found=found, digest=decoded.digest, cause="", stage=then)
        return Worked(with_made(asset, decoded=decoded.decoded, shots=decoded.shots))
