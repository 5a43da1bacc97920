"""How soon does a search over HTTP find a shot and a word of a live source?

    python -m benchmarks.media.live_items [--clip FILE] [--times N] [--pulled FOLDER]

A clip is broadcast over HTTP on loopback at its own pace, again and again. `dateline live`
follows them into an archive that `dateline serve` serves. A search is asked over HTTP, again and
again; what counts is the time from the moment at which the end of a shot, or of an utterance, was
sent, to the answer that has it. A second table says where that time went for shots. Words need the
extra [speech] and a pulled model, whose folder is --pulled; a service that the environment names
(DATELINE_TRANSCRIBE_URL) does as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.machine import arguments, percentile, show, show_table, this_machine
from benchmarks.media.broadcast import Broadcast, Looped
from dateline.measuring.served import started

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "datasets/demo/media/reserve-thanks.mp4"
COMMAND = [sys.executable, "-c", "from dateline.cli import main; main()"]
URI, HEADLINE = "urn:dateline:live:benchmark", "Weirbrook live"
_LOOK_S = 0.1
STAGES = {
    "came_s": "sent, until its frames are here (demuxer, decoder, cage)",
    "known_s": "until the model has seen enough frames after it",
    "still_s": "until its still is here",
    "waited_s": "until its version is begun",
    "recorded_s": "until that is embedded and recorded",
    "indexed_s": "until its words are indexed",
    "answered_s": "until a search that was asked again answers",
}


@dataclass(slots=True)
class Lags:
    """Seconds from the end of each shot and utterance to the answer that has it, and the item in
    the last answer.
    """

    shots: dict[float, float] = field(default_factory=dict)
    words: dict[float, float] = field(default_factory=dict)
    told: dict[float, Mapping[str, Any]] = field(default_factory=dict)  # lines of shots, by ends
    began: float = 0.0  # the broadcast, in seconds of the epoch
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
    stages = {
        name: {"p50_s": percentile(seconds, 50) / 1000, "longest_s": max(seconds)}
        for name, seconds in by_stage(lags).items()
    }
    title = "from its end to the answer of a search"
    if chosen.json:
        show(title, {**rows, "stages": stages}, this_machine(), as_json=True)
        return
    print(title)
    show_table(("", "count", "p50 s", "longest s"), [_shown(*row) for row in rows.items()])
    print("where the time of a shot went")
    show_table(("stage", "p50 s", "longest s"), [_shown(*row) for row in stages.items()])
    print(this_machine())


def _shown(name: str, figures: Mapping[str, float]) -> tuple[str, ...]:
    shown = (f"{one}" if isinstance(one, int) else f"{one:.2f}" for one in figures.values())
    return (name, *shown)


def by_stage(lags: Lags) -> dict[str, list[float]]:
    """Return the seconds of each stage of the shots, by the name of the stage."""
    found: dict[str, list[float]] = {name: [] for name in STAGES.values()}
    for end_s, lag_s in lags.shots.items():
        line = lags.told.get(round(end_s, 3), {})
        if "stages" not in line:
            continue  # it had a lag without a known end
        findable_s = datetime.fromisoformat(line["at"]).timestamp() - lags.began - end_s
        seconds = {
            "came_s": findable_s - line["lag_s"],
            **line["stages"],
            "answered_s": lag_s - findable_s,
        }
        for name, told in STAGES.items():
            found[told].append(seconds[name])
    return {name: seconds for name, seconds in found.items() if seconds}


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
            lags.began = time.time() - broadcast.lag_s(0.0)
            lines = map(json.loads, (folder / "live.jsonl").read_text("utf-8").splitlines())
            lags.told = {line["end_s"]: line for line in lines if line["kind"] == "shot"}
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
