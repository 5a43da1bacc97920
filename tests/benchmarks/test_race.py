"""The race's own arithmetic, and a small race of Dateline alone."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from benchmarks.race import __main__ as command
from benchmarks.race.entrant import Document, FloatMatrix, Queries, ask
from benchmarks.race.fusion import min_max, reciprocal_ranks
from benchmarks.race.http_json import JsonServer
from benchmarks.race.sums import Asked, Lap, agreement, quality, row_of
from benchmarks.race.systems import OURS, SYSTEMS, System
from eval.sets.datasets import read_judged_set
from eval.sets.judged import JudgedSet

DEMO = Path(__file__).parents[2] / "datasets/demo"


@pytest.fixture
def judged() -> JudgedSet:
    """Two judged queries of the demo corpus's set, with grades of our own."""
    known = read_judged_set(f"{DEMO}")
    grades = {"q1": {"a": 2, "b": 1}, "q2": {"c": 1}}
    return replace(known, name="made", queries={"q1": "one", "q2": "two"}, qrels=grades)


def test_quality_counts_a_query_without_hits_as_0(judged: JudgedSet) -> None:
    ideal = 2 + 1 / math.log2(3)
    assert quality(judged, {"q1": ["b", "x", "a"], "q2": []}) == pytest.approx(
        (1 + 2 / 2) / ideal / 2
    )


def test_agreement_is_the_share_of_the_others_hits() -> None:
    other = {"q1": ["a", "b", "c", "d"], "q2": ["a"], "q3": []}
    assert agreement({"q1": ["d", "a"], "q2": ["a"], "q3": ["x"]}, other) == 0.75
    assert agreement({}, other) == 0


def test_a_row_is_of_all_queries_and_documents(judged: JudgedSet) -> None:
    def lap(documents: int, times: Sequence[float], seconds: float, memory: int) -> Lap:
        asked = {1: Asked(), 8: Asked()}
        asked[1].add(times, seconds, seconds / 2)
        asked[8].add(times, seconds / 4, seconds)
        found = {"q1": ["a", "b"], "q2": ["c"]}
        return Lap(documents, 2.0, found, asked, memory, 2 * memory, documents * 3000)

    other = replace(judged, name="other")
    laps = {
        "made": lap(100, [0.1] * 99 + [1.1], 12.0, 5_000_000),
        "other": lap(300, [0.3] * 100, 28.0, 7_000_000),
    }
    row = row_of(laps, laps, [judged, other])
    assert row.quality == {"made": 1.0, "other": 1.0}
    assert row.agreement == 1
    assert row.per_second == {1: 5.0, 8: 20.0}
    assert row.p50_ms[1] == pytest.approx(300)
    assert row.p99_ms[1] == pytest.approx(
        float(np.percentile([100] * 99 + [1100] + [300] * 100, 99))
    )
    assert row.processor_ms == pytest.approx(100)
    assert row.documents_per_s == 100
    assert (row.own_mb, row.server_mb, row.disk_kb) == (7, 14, 3)


def test_fusions() -> None:
    lists = [{1: 9.0, 2: 5.0, 3: 1.0}, {2: 0.9, 4: 0.5}]
    assert min_max(lists) == pytest.approx({1: 0.5, 2: 0.75, 3: 0.0, 4: 0.0})
    assert reciprocal_ranks(lists)[2] == pytest.approx(1 / 62 + 1 / 61)
    assert min_max([{}, {7: 2.0}]) == {7: 0.0}


@dataclass
class Echo:
    """An entrant that finds the query's text twelve times."""

    versions: Mapping[str, str] = field(default_factory=dict)
    servers: Sequence[int] = ()

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        raise AssertionError

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        assert vector.tolist() == [[float(text)]]
        return [text] * 12

    def disk(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing runs."""


@pytest.mark.parametrize("clients", [1, 8])
def test_answers_come_in_the_order_of_the_queries(clients: int) -> None:
    numbers = [3, 1, 2, 0] * 10
    texts = ("0", "1", "2", "3")
    vectors = np.arange(4, dtype=np.float32)[:, None]
    answer = ask(Echo(), Queries(texts, vectors), numbers, clients)
    assert list(answer["found"]) == [[f"{n}"] * 10 for n in numbers]
    assert len(answer["times"]) == 40
    assert max(answer["times"]) <= answer["seconds"]


def test_a_connection_that_the_server_closed_is_made_anew() -> None:
    """Servers close idle connections without a word, and a system is idle while others run."""

    def answer_once_each(listener: socket.socket) -> None:
        for more in (b"", b"connection: close\r\n"):
            taken, _ = listener.accept()
            with taken:
                taken.recv(65536)
                taken.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + more + b"\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_once_each, args=(listener,))
        thread.start()
        server = JsonServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert [server.ask("GET", "/"), server.ask("GET", "/")] == [{}, {}]
        thread.join()


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.race.systems.ROOT", tmp_path)
    reasons = {system.name: system.missing("no Java") for system in SYSTEMS}
    assert {name for name, why in reasons.items() if not why} == {OURS, "Dateline over HTTP"}


def test_without_judged_sets_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "shared_sets", lambda: None)
    monkeypatch.setattr("sys.argv", ["race"])
    command.main()
    assert capsys.readouterr().out.count("skipped: ") == 4


@pytest.mark.service
def test_a_race_goes_on_without_a_system_that_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ours = next(system for system in SYSTEMS if system.name == OURS)
    broken = System("Broken", "no_such_module", (), "nothing", "nobody")
    monkeypatch.setattr(command, "SYSTEMS", (ours, broken))
    monkeypatch.setattr(command, "node_for_a_race", lambda: nullcontext(((), "not for one row")))
    place = _small_set(tmp_path / "small")
    monkeypatch.setattr("sys.argv", ["race", f"{place}", "--short", "--data", f"{tmp_path}"])
    command.main()
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith(f"| {OURS}")]
    assert float(rows[0].split("|")[2]) == 1
    assert [line[:13] for line in lines if "Broken" in line] == ["- **Broken**:"]


def _small_set(folder: Path) -> Path:
    """A judged set in BEIR's format: each query's one relevant document is the one about it."""
    texts = {
        "ferry": "The ferry ran aground off the northern quay.",
        "drought": "Farmers lost their maize after months without rain.",
        "strike": "Nurses walked out of the hospitals over pay.",
    }
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": name, "title": "", "text": text} for name, text in texts.items()]
    queries = [{"_id": f"q-{name}", "text": text[:24]} for name, text in texts.items()]
    for name, lines in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(x) + b"\n" for x in lines))
    judged = "".join(f"q-{name}\t{name}\t1\n" for name in texts)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder
