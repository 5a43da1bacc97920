"""The decode stage: files of several chunks at the same time, on several threads.

Child processes and a model decode; they release the interpreter. Videos that are decoded at the
same time fill the detector's batches together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from core.errors import StorageError
from core.work import Stage, Tracked
from indexing.work.stages.decoding import Decoder, Digest
from indexing.work.stages.stage import Stop, Worked, with_made

THREADS_A_FILE = 3  # while one file is decoded, others are read, hashed and written
_TOGETHER = 8  # files whose results are made durable together
_TOGETHER_S = 0.5  # the longest wait of a file for that


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
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

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
