"""How soon does a search over HTTP find a shot and a word of a live source?

    python -m benchmarks.media.live_items [--clip FILE] [--times N] [--pulled FOLDER]

A clip is broadcast over HTTP on loopback at its own pace, again and again. `dateline live`
follows them into an archive that `dateline serve` serves. A search is asked over HTTP, again and
again; what counts is the time from the moment at which the end of a shot, or of an utterance, was
sent, to the answer that has it. Words need the extra [speech] and a pulled model, whose folder is
--pulled; a service that the environment names (DATELINE_TRANSCRIBE_URL) does as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.media.broadcast import Broadcast, Looped
from dateline.measuring.served import started

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "datasets/demo/media/reserve-thanks.mp4"
COMMAND = [sys.executable, "-c", "from dateline.cli import main; main()"]
URI, HEADLINE = "urn:dateline:live:benchmark", "Weirbrook live"
_LOOK_S = 0.1


@dataclass(slots=True)
class Lags:
    """Seconds from the end of each shot and utterance to the answer that has it, and the item in
    the last answer.
    """

    shots: dict[float, float] = field(default_factory=dict)
    words: dict[float, float] = field(default_factory=dict)
    most_hits: int = 0
    item: Mapping[str, Any] = field(default_factory=dict)

    def note(self, hits: list[dict[str, Any]], broadcast: Broadcast) -> None:
        """Note what an answer has for the first time."""
        self.most_hits = max(self.most_hits, len(hits))
        for hit in hits:
            self.item = hit["item"]
            if "live" not in hit["meta"]:
                continue  # the archived video: its shots are found anew
            for shot in hit["item"].get("shots", ()):
                self.shots.setdefault(shot["end_s"], broadcast.lag_s(shot["end_s"]))
            for line in hit["item"].get("speech", {}).get("lines", ()):
                self.words.setdefault(line["end_s"], broadcast.lag_s(line["end_s"]))


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--times", type=int, default=2, help="how often the clip is played")
    parser.add_argument("--pulled", type=Path, default=None, help="folder of pulled models")
    chosen = parser.parse_args()
    more = {} if chosen.pulled is None else {"DATELINE_PULLED_MODELS": str(chosen.pulled)}
    with TemporaryDirectory() as folder:
        lags = measured(Path(folder), Looped(chosen.clip, chosen.times), more)
    rows = {
        name: {
            "count": len(found),
            "p50_s": percentile([*found.values()], 50) / 1000,
            "longest_s": max(found.values()),
        }
        for name, found in (("shots", lags.shots), ("words", lags.words))
        if found
    }
    show("from its end to the answer of a search", rows, this_machine(), as_json=chosen.json)


def measured(folder: Path, clips: Any, more: Mapping[str, str]) -> Lags:
    """Return the lags of a broadcast over an archive in a folder; `more` are variables."""
    settings = {**more, "DATELINE_TAGGER": "", "DATELINE_RERANKER": ""}
    lags = Lags()
    opened = started(folder / "data", ["demo"], settings)
    with Broadcast(clips) as broadcast, opened as (_, client):
        live = [*COMMAND, "live", broadcast.url, "--uri", URI, "--headline", HEADLINE]
        named = ["--products", "demo", "--data", str(folder / "data"), "--json"]
        with (folder / "live.jsonl").open("wb") as output:
            process = subprocess.Popen(
                [*live, *named], cwd=ROOT, env={**os.environ, **settings}, stdout=output
            )
        try:
            while process.poll() is None:
                if broadcast.began:
                    lags.note(found(client), broadcast)
                time.sleep(_LOOK_S)
            if process.returncode:
                raise SystemExit(f"dateline live ended with {process.returncode}")
            lags.item = found(client)[0]["item"]
        finally:
            process.kill()
            process.wait()
    return lags


def found(client: httpx.Client) -> list[dict[str, Any]]:
    """Return the hits of a search for the headline."""
    asked = {"q": HEADLINE, "include": "*"}
    answer = client.get("/content/search", params=asked)
    answer.raise_for_status()
    items: list[dict[str, Any]] = json.loads(answer.content)["data"]["items"]
    return items


if __name__ == "__main__":
    main()
