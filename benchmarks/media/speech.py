"""Speech that is written down: wrong words, invented words, speed and memory.

    python -m benchmarks.media.speech AUDIO [--model NAME] [--threads N] [--only PART] [--json]

PART is recorded, generated or wordless.

AUDIO is a folder with `transcripts.tsv` (columns file and transcript) and the files that it names.
Needs the extras media and speech, the pulled model, and for generated speech `espeakng-loader`.

- `wer_…`: word error rate, by words in lower case without punctuation, "mr" read as "mister":
  substituted, missing and invented words over the words that were said.
- `words in …`: words that were invented in a minute of silence, of noise and of music.
- `audio_seconds_a_second`: sound over the time of all spoken files; `by_thread` over threads, and
  `by_cpu` over the processor time of this process.
- `resident_mib`: memory of this process after the first call, less that before the model.
- `names_gone_…`: share of the words that the rule for names takes out of a transcript beside which
  the agency says nothing.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rapidfuzz.distance import Levenshtein

from benchmarks.machine import arguments, show, this_machine
from benchmarks.media.spoken import Spoken, generated, recorded, wordless
from core.items import Item, ItemType
from core.made_up_names import without_misheard_names
from core.media_words import Utterance
from dateline.build.models.runtimes import model_store
from dateline.settings import configure
from indexing.media.reading import CagedReader
from indexing.speech.pieces import is_silent
from inference.transcriber import WhisperTranscriber

_MOST_S = 600.0
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("audio", type=Path, help="folder with transcripts.tsv")
    parser.add_argument("--model", default="whisper-base", help="a model to transcribe")
    parts = ("recorded", "generated", "wordless")
    parser.add_argument("--only", choices=parts, action="append", help="a part; all without it")
    parser.add_argument("--threads", type=int, default=1, help="threads of a call")
    chosen = parser.parse_args()
    machine = this_machine()
    folder = model_store(configure().settings).find(chosen.model)
    own = psutil.Process()
    before = own.memory_info().rss
    one = WhisperTranscriber.of(folder, threads=chosen.threads)
    figures: dict[str, Any] = {"model": one.name, "threads": chosen.threads}
    with tempfile.TemporaryDirectory() as place, CagedReader() as reader:
        clips = recorded(chosen.audio)
        one.transcribe(reader.sound(clips[0].path, 0.0, _MOST_S))  # loads it
        figures["resident_mib"] = round((own.memory_info().rss - before) / 2**20)
        only = chosen.only or parts
        spoken = {"recorded": clips} if "recorded" in only else {}
        if "generated" in only:
            made = list(generated(Path(place)))
            spoken |= {f"generated_{each.language}": [each] for each in made}
        if spoken:
            figures |= _spoken(one, reader, spoken, chosen.threads)
        for name, path in wordless(Path(place)).items():
            sound = reader.sound(path, 0.0, _MOST_S)
            if "wordless" in only:
                words = 0 if is_silent(sound) else _count(one.transcribe(sound))
                figures[f"words in {name}"] = words
    show("speech", figures, machine, as_json=chosen.json)


def _spoken(
    one: WhisperTranscriber,
    reader: CagedReader,
    spoken: dict[str, list[Spoken]],
    threads: int,
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    heard_s = took_s = cpu_s = 0.0
    for name, files in spoken.items():
        wrong = said = hidden = words = 0
        for file in files:
            sound = reader.sound(file.path, 0.0, _MOST_S)
            start, used = time.perf_counter(), time.process_time()
            found = one.transcribe(sound)
            took_s += time.perf_counter() - start
            cpu_s += time.process_time() - used
            heard_s += sound.seconds
            expected = normal(file.words)
            got = normal(" ".join(each.text for each in found))
            wrong += Levenshtein.distance(expected, got)
            said += len(expected)
            kept = _without_names(found, file.language)
            words += len(got)
            hidden += len(got) - len(normal(kept))
            figures.setdefault(f"heard_{name}", []).append(" ".join(each.text for each in found))
        figures[f"words_{name}"] = said
        figures[f"wer_{name}"] = round(wrong / said, 3)
        figures[f"names_gone_{name}"] = round(hidden / max(1, words), 3)
    figures["audio_seconds"] = round(heard_s, 1)
    figures["audio_seconds_a_second"] = round(heard_s / took_s, 2)
    figures["by_thread"] = round(heard_s / took_s / threads, 2)
    figures["by_cpu"] = round(heard_s / cpu_s, 2)
    return figures


def normal(text: str) -> list[str]:
    """Return the words to compare."""
    words = re.findall(r"[\w']+", text.casefold().replace("’", "'"))
    return ["mister" if word == "mr" else word.strip("'") for word in words]


def _without_names(found: Sequence[Utterance], language: str) -> str:
    item = Item("urn:a", 1, ItemType.AUDIO, _NOW, _NOW, "urn:a", language=language)
    return without_misheard_names(replace(item, speech=tuple(found), speech_by="m")).speech_text


def _count(found: Sequence[Utterance]) -> int:
    return sum(len(normal(each.text)) for each in found)


if __name__ == "__main__":
    main()
