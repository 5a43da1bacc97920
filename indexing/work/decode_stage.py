"""The decode stage: files of several chunks at the same time, on as many threads as are wanted.

The decoding itself is done by child processes and a model, which let go of the interpreter. Videos
that are decoded at the same time fill the detector's batches together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from core.errors import StorageError
from core.work import Tracked
from indexing.work.decoding import Decoder
from indexing.work.stage import Stop, Worked, with_made

THREADS_A_FILE = 3  # while one file is decoded, others are read, hashed and written


class DecodeStage:
    """`indexing.work.stage.StageWork`. Thread-safe: chunks share `threads` threads."""

    def __init__(self, decoder: Decoder, threads: int) -> None:
        self._decoder = decoder
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """See `indexing.work.stage.StageWork`."""
        waiting: set[Future[Worked | None]] = {
            self._pool.submit(self._one, asset, stop) for asset in assets
        }
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    worked = future.result()
                    if worked is not None:
                        yield worked
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _one(self, asset: Tracked, stop: Stop) -> Worked | None:
        if stop():
            return None
        try:
            decoded = self._decoder.decode(asset.found)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a file does, it does to itself alone
            return Worked(asset, error)
        found = replace(asset.found, size=decoded.size)
        asset = replace(asset, found=found, digest=decoded.digest, cause="")
        return Worked(with_made(asset, decoded=decoded.decoded, shots=decoded.shots))
