"""The table of systems, what each needs, and why one is not there."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEAVIATE = Path("build") / "race" / "weaviate-server"  # below ROOT


@dataclass(frozen=True, slots=True)
class System:
    """A row of the race. `environment` is the name of its virtual environment, "" for Dateline's
    own; `node` says that it needs the node of OpenSearch, `program` is the program that it starts.
    `fuses` and `chosen` are for the reader: what becomes one score, and who chose the weights.
    """

    name: str
    module: str
    options: tuple[str, ...]
    fuses: str
    chosen: str
    environment: str = ""
    node: bool = False
    program: Path | None = None

    @property
    def python(self) -> Path:
        """The interpreter that it runs in."""
        if not self.environment:
            return Path(sys.executable)
        return ROOT / f".venv-race-{self.environment}" / "bin" / "python"

    def command(self, handed: Path, place: Path, node: Sequence[str]) -> list[str]:
        """Return the command that starts it; `node` is the address and process of OpenSearch."""
        module = f"benchmarks.race.entrants.{self.module}"
        options = [*self.options, *(node if self.node else ())]
        if self.program is not None:
            options.append(str(ROOT / self.program))
        return [str(self.python), "-P", "-m", module, str(handed), str(place), *options]

    def missing(self, no_node: str) -> str:
        """Return why it can't take part, "" if it can; `no_node` says why there is no node."""
        if self.node and no_node:
            return no_node
        if not self.python.is_file():
            return f"there is no {self.python.relative_to(ROOT)}, which `make race` installs"
        if self.program is not None and not (ROOT / self.program).is_file():
            return f"there is no {self.program}, which `make race` builds where Go is installed"
        return ""


OURS = "Dateline, embedded"
_OWN_DEFAULT = "our default; these sets were among those that it was measured on"
_OWN_FUSION = "BM25 from 0 to its best, cosines from the query's mean to their best; .5 and .5"
_MIN_MAX = "each list from its worst to its best, .5 and .5"
SYSTEMS = (
    System(OURS, "ours", ("embedded",), _OWN_FUSION, _OWN_DEFAULT),
    System("Dateline over HTTP", "ours_served", (), _OWN_FUSION, _OWN_DEFAULT),
    System("Dateline on OpenSearch", "ours", ("opensearch",), _OWN_FUSION, _OWN_DEFAULT, node=True),
    System(
        "OpenSearch's `hybrid`",
        "opensearch_hybrid",
        ("0",),
        f"10 of BM25 (`english`) and 10 of HNSW, its depth by default; {_MIN_MAX}",
        "its default",
        node=True,
    ),
    System(
        "OpenSearch's `hybrid`, 100 deep",
        "opensearch_hybrid",
        ("100",),
        f"100 of each; {_MIN_MAX}",
        "its default; the depth is ours",
        node=True,
    ),
    System(
        "Weaviate",
        "weaviate_server",
        (),
        "BM25 and HNSW by `relativeScoreFusion` (min-max); .25 and .75",
        "its default",
        program=WEAVIATE,
    ),
    System(
        "bm25s + faiss, min-max",
        "bm25s_faiss",
        ("minmax",),
        f"100 of BM25 (English stemmer) and 100 of HNSW; {_MIN_MAX}",
        "equal weights",
        "bm25s",
    ),
    System(
        "bm25s + faiss, RRF",
        "bm25s_faiss",
        ("rrf",),
        "100 of each, by 1 / (60 + rank)",
        "without weights",
        "bm25s",
    ),
    System(
        "txtai",
        "txtai_library",
        (),
        "100 of BM25 and 100 of faiss: its normalized scores, .5 and .5",
        "its default",
        "txtai",
    ),
    System(
        "Haystack",
        "haystack_library",
        (),
        "100 of BM25L and 100 of an exact scan, by `reciprocal_rank_fusion`",
        "its default",
        "haystack",
    ),
)
# What could not be had from package registries, and what was tried.
NOT_HERE: Mapping[str, str] = {
    "Vespa": "its content node is a C++ program that comes as a container image and as RPMs only; "
    "Maven has the Java parts without it, PyPI the command line (`vespacli`) and a client that "
    "starts the image (`pyvespa`); npm has an empty client, crates.io and Debian have nothing",
    "Qdrant": "crates.io has an empty placeholder (`qdrant` 0.0.0), npm and PyPI have clients "
    "without the server, Debian has no package; `qdrant-client`'s local mode is no server, and "
    "`qdrant-edge-py` is an engine for devices in the caller's process",
}
