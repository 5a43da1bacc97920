"""Dateline's service, asked over HTTP: what `ours` ingested, served by `dateline serve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.race.entrant import HITS, Document, FloatMatrix, bytes_below, run
from benchmarks.race.entrants import PREFIX, PRODUCTS
from benchmarks.race.http_json import JsonServer
from dateline.measuring.served import started

_SETTINGS = {"DATELINE_TAGGER": "", "DATELINE_SECOND_ENCODER": "", "DATELINE_PROFILE": "hybrid"}


class Served:
    """The service as it starts by default, by the profile `hybrid`, without names. It starts at the
    first query, which no round times.
    """

    def __init__(self, place: Path, _options: Sequence[str]) -> None:
        self._place = place
        self._stack = ExitStack()
        self._service = 0
        self._server: JsonServer | None = None

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name."""
        return {name: version(name) for name in ("dateline-search", "tantivy", "faiss-cpu")}

    @property
    def servers(self) -> Sequence[int]:
        """The service's processes."""
        return family_of(self._service) if self._service else ()

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Record everything in another process, so that this one stays a client. Its start and its
        models count.
        """
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(_ingest, self._place, documents, vectors).result()

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        """Return the ids of the ten hits. The service encodes what none of its caches has."""
        if self._server is None:
            self._server = self._started()
        asked = urlencode({"q": text, "page_size": HITS, "dates": "off"})
        answer = self._server.ask("GET", f"/content/search?{asked}")
        if answer["data"]["degraded"]:
            raise SystemExit(f"{text!r} was not answered in full")
        uris = [hit["item"]["uri"] for hit in answer["data"]["items"]]
        return [uri.removeprefix(PREFIX) for uri in uris]

    def _started(self) -> JsonServer:
        pid, client = self._stack.enter_context(started(self._place, PRODUCTS, _SETTINGS))
        self._service = pid
        return JsonServer(str(client.base_url), {"x-api-key": client.headers["x-api-key"]})

    def disk(self) -> int:
        """Return the bytes of its folder."""
        return bytes_below(self._place)

    def close(self) -> None:
        """End the service."""
        self._stack.close()


def _ingest(place: Path, documents: Sequence[Document], vectors: FloatMatrix) -> None:
    from benchmarks.race.entrants.ours import Ours  # which loads models

    writer = Ours(place, ("embedded",))
    writer.ingest(documents, vectors)
    writer.close()


def family_of(pid: int) -> list[int]:
    """Return a process and its descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    family = [pid]
    for one in family:
        family += [child for child, parent in parents.items() if parent == one]
    return family


if __name__ == "__main__":
    run(Served)
