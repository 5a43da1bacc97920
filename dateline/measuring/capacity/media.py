"""Work for one photo, one second of video and one second of sound, on one thread.

What is not installed or not pulled is left out, with the reason: a plan then has dated constants
for decoding, and nothing for the rest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

from capacity.measurements import Calls
from core.errors import DatelineError
from core.media import FrameBatch
from dateline.build.media.shots import ShotFinding, opened_finding
from dateline.build.media.speech import PROVIDER, speech_of
from dateline.build.media.text_reader import eyes_of
from dateline.build.models.runtimes import LOOKING_SERVICE, open_pictures
from dateline.default_folders import demo_folder
from dateline.measuring.capacity.calls import measured
from dateline.measuring.capacity.made_media import PHOTO, RATE, write_clip, write_photo
from dateline.settings import Settings
from indexing.work.stages.decode import PREVIEW_EDGE
from inference.measuring.sample_windows import sample_windows

_EDGES = (320, PREVIEW_EDGE)
_CLIP, _CLIP_S = (1280, 720), 8
_PHOTOS = 3
_SPOKEN = "inaugural-1961.mp4"  # of the demo corpus; an installation does not have it

Report = Callable[[str], None]


def media_calls(settings: Settings, report: Report) -> tuple[Calls, ...]:
    """Measure what the installed packages and models allow; the rest is reported."""
    one = settings.model_copy(update={"threads": 1})
    found: list[Calls] = []
    with tempfile.TemporaryDirectory(prefix="dateline-media-") as name:
        folder = Path(name)
        try:
            with opened_finding(one) as finding:
                found += _decoded(finding, folder)
                found += _heard(one, finding, report)
                preview = _preview(finding, folder)
        except DatelineError as error:
            report(f"photos and videos are not measured: {error}")
            return tuple(found)
        found += _read(one, preview, report)
        found += _looked(one, preview, report)
    return tuple(found)


def _decoded(finding: ShotFinding, folder: Path) -> Iterator[Calls]:
    """Yield photos, seconds of video and the shots in them."""
    photos = cycle([write_photo(folder / f"{n}.jpg", n) for n in range(_PHOTOS)])
    yield measured("photo", lambda: finding.reader.picture(next(photos), _EDGES), peak="python")
    clip = write_clip(folder / "clip.mp4", _CLIP, _CLIP_S * RATE)

    def frames() -> int:
        read = finding.reader.frames(clip)
        return sum(len(part.seconds) for part in read if isinstance(part, FrameBatch))

    yield measured("video second", frames, batch=_CLIP_S, peak="python")
    layout = finding.finder.settings.layout
    windows = sample_windows(1, frames=layout.window)
    counted = round(layout.stride / RATE)  # seconds: the other frames of a window are its context
    yield measured("shots", lambda: finding.finder.detector.transitions(windows), batch=counted)


def _heard(settings: Settings, finding: ShotFinding, report: Report) -> Iterator[Calls]:
    """Yield a second of speech, if the model and a recording are here."""
    path = demo_folder() / "media" / _SPOKEN
    transcriber = None if settings.transcriber == PROVIDER else speech_of(settings).model
    if transcriber is None or not path.is_file():
        report("speech is not measured: no model or no recording is here")
        return
    seconds = int(finding.reader.probe(path).duration_s)
    sound = finding.reader.sound(path, 0.0, float(seconds))
    yield measured("speech", lambda: transcriber.transcribe(sound), batch=max(1, seconds))
    transcriber.close()


def _preview(finding: ShotFinding, folder: Path) -> bytes:
    """Return a photo as models see it, with text in it."""
    path = write_photo(folder / "words.jpg", 99, words=f"Ferry leaves at {PHOTO[0]}")
    _, (still,) = finding.reader.picture(path, (PREVIEW_EDGE,))
    return still.jpeg


def _read(settings: Settings, preview: bytes, report: Report) -> Iterator[Calls]:
    """Yield text in a picture, if the models are here."""
    reader = eyes_of(settings).model
    if reader is None:
        report("text in pictures is not measured: its models are not here")
        return
    yield measured("text in pictures", lambda: reader.read([preview]))
    reader.close()


def _looked(settings: Settings, preview: bytes, report: Report) -> Iterator[Calls]:
    """Yield a look at a picture, if the model is here and not at another service."""
    if settings.looks in ("", LOOKING_SERVICE):
        return
    try:
        model = open_pictures(settings, settings.looks)
    except DatelineError as error:
        report(f"looks are not measured: {error}")
        return
    yield measured("looks", lambda: model.look([preview]))
    model.close()
