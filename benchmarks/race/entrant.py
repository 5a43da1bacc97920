"""What a system is in the race, and the loop that each one runs in its own process.

The interpreter is the system's own and lacks Dateline's packages: this module imports the standard
library and numpy only. It is started as

    PYTHON -P -m benchmarks.race.entrants.NAME FOLDER PLACE [OPTIONS]

FOLDER has what the system is given, PLACE is where it may write. It prints its versions in a JSON
line, then answers each line that it reads.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]
HITS = 10
DEPTH = 100  # of each list that is fused, where a system lets it be said
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a judged set."""

    id: str
    title: str
    body: str

    @property
    def text(self) -> str:
        """Title and body as one text, for systems that search one."""
        return f"{self.title}\n{self.body}".strip()


class Entrant(Protocol):
    """One system. `servers` are the processes beside this one that answer for it."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of what answers, by name."""
        ...

    @property
    def servers(self) -> Sequence[int]:
        """Ids of the processes beside this one that answer."""
        ...

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Take the documents and their vectors, float32 [n, d]; then all of them can be found."""
        ...

    def search(self, text: str, vector: FloatMatrix) -> Sequence[str]:
        """Return the ids of the ten best documents; `vector` is float32 [1, d]."""
        ...

    def disk(self) -> int:
        """Return how many bytes it keeps on disk; 0 for one that keeps nothing there."""
        ...

    def close(self) -> None:
        """End what it started."""
        ...


@dataclass(frozen=True, slots=True)
class Queries:
    """Texts of queries and their vectors, float32 [n, d]."""

    texts: tuple[str, ...]
    vectors: FloatMatrix


def run(make: Callable[[Path, Sequence[str]], Entrant]) -> None:
    """Answer the race until it ends the input. `make` gets PLACE and the OPTIONS."""
    folder, place, *options = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what it started is ended
    entrant = make(Path(place), options)
    try:
        _say(dict(entrant.versions))
        queries = read_queries(Path(folder))
        for line in sys.stdin:
            _say(_answer(entrant, Path(folder), queries, json.loads(line)))
    finally:
        entrant.close()


def read_queries(folder: Path) -> Queries:
    """Return the queries that every system is asked."""
    texts = json.loads((folder / "queries.json").read_text("utf-8"))
    return Queries(tuple(texts), np.load(folder / "query_vectors.npy"))


def read_documents(folder: Path) -> tuple[list[Document], FloatMatrix]:
    """Return the documents that every system is given, and a vector of each."""
    with (folder / "documents.jsonl").open(encoding="utf-8") as lines:
        documents = [Document(**json.loads(line)) for line in lines]
    return documents, np.load(folder / "vectors.npy")


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _answer(
    entrant: Entrant, folder: Path, queries: Queries, asked: Mapping[str, Any]
) -> dict[str, Any]:
    if asked["do"] == "ingest":
        return _ingested(entrant, folder)
    if asked["do"] == "ask":
        return ask(entrant, queries, asked["queries"], asked["clients"])
    return {
        "own_bytes": resident(os.getpid()),
        "server_bytes": sum(resident(pid) for pid in entrant.servers),
        "disk_bytes": entrant.disk(),
    }


def _ingested(entrant: Entrant, folder: Path) -> dict[str, Any]:
    documents, vectors = read_documents(folder)
    started, worked = perf_counter(), _worked(entrant)
    entrant.ingest(documents, vectors)
    answer = {"seconds": perf_counter() - started, "processor_s": _worked(entrant) - worked}
    del documents, vectors
    gc.collect()
    return answer


def ask(entrant: Entrant, queries: Queries, numbers: Sequence[int], clients: int) -> dict[str, Any]:
    """Ask the queries of these numbers, `clients` at a time. Returns the seconds of each and of
    all, the ids found, and the seconds of processors that all processes of the system took.
    """

    def one(number: int) -> tuple[float, list[str]]:
        vector = queries.vectors[number : number + 1]
        started = perf_counter()
        found = entrant.search(queries.texts[number], vector)
        return perf_counter() - started, list(found)[:HITS]

    with ThreadPoolExecutor(clients) as pool:
        started, worked = perf_counter(), _worked(entrant)
        answers = [*(map(one, numbers) if clients == 1 else pool.map(one, numbers))]
        seconds, worked = perf_counter() - started, _worked(entrant) - worked
    times, found = zip(*answers, strict=True)
    return {"seconds": seconds, "processor_s": worked, "times": times, "found": found}


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes, 0 for one that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _worked(entrant: Entrant) -> float:
    return process_time() + sum(_processor_s(pid) for pid in entrant.servers)


def _processor_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S
