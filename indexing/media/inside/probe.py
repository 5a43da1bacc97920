"""Reads the facts of a file, from its header and metadata. Runs in the child."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from indexing.media.cage.limits import CageLimits, Refusal
from indexing.media.cage.wire import Message
from indexing.media.inside.open import open_file, video_of
from indexing.media.inside.pictures import facts_of_picture, open_picture
from indexing.media.inside.tags import container_tags, packed
from indexing.media.inside.times import duration_of

_ROTATION = re.compile(r"(?i)display ?matrix: rotation of (-?\d+(?:\.\d+)?) degrees")
_MIMETYPES = {
    "mov": "video/mp4",
    "matroska": "video/x-matroska",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "mpegvideo": "video/mpeg",
    "avi": "video/x-msvideo",
    "flv": "video/x-flv",
    "ogg": "video/ogg",
    "asf": "video/x-ms-asf",
    "mxf": "application/mxf",
    "wav": "audio/x-wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "aac": "audio/aac",
}
_OF_THE_WEB = {"vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d", "opus", "vorbis"}
_RAW = {"h264", "hevc", "m4v", "mpegvideo", "vc1", "obu"}


def probe(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
    """Yield the facts of a picture, a video or a sound."""
    image = open_picture(handle, limits)
    if image is not None:
        with image:
            yield facts_of_picture(image, limits)
        return
    container = open_file(handle, limits)
    with container:
        yield _facts(container, limits)


def _facts(container: InputContainer, limits: CageLimits) -> Message:
    video = video_of(container)
    if video is None and not container.streams.audio:
        raise Refusal("no picture, video or sound is in it that can be decoded")
    notes = _notes(container, video)
    streams = [stream.metadata for stream in (video, *container.streams.audio) if stream]
    tags = packed(container_tags(container.metadata, streams), limits.tag_bytes, notes)
    told = _of_video(container, video) if video is not None else _of_sound(container)
    return Message({"say": "facts", **told, "notes": notes[:50]}, tags)


def _of_video(container: InputContainer, video: VideoStream) -> dict[str, object]:
    rotation = rotation_of(container)
    width, height = shown_size(video)
    if rotation % 180:
        width, height = height, width
    rate = video.average_rate or video.guessed_rate
    return {
        "kind": "video",
        "mimetype": _mimetype(container, video.codec_context.name),
        "codec": video.codec_context.codec.canonical_name,
        "width": width,
        "height": height,
        "rotation": rotation,
        "duration_s": duration_of(container, video),
        "frame_rate": float(rate) if rate and 0 < rate < 1e5 else 0.0,
    }


def _of_sound(container: InputContainer) -> dict[str, object]:
    sound = container.streams.audio[0]
    mimetype = _mimetype(container, sound.codec_context.name if sound.codec_context else "")
    return {
        "kind": "audio",
        "mimetype": mimetype.replace("video/", "audio/"),
        "codec": sound.codec_context.codec.canonical_name if sound.codec_context else "",
        "width": 0,
        "height": 0,
        "rotation": 0,
        "duration_s": max(0.0, (container.duration or 0) / 1e6),
        "frame_rate": 0.0,
    }


def shown_size(video: VideoStream) -> tuple[int, int]:
    """Return width and height before rotation, pixels made square."""
    width, height = video.codec_context.width, video.codec_context.height
    aspect = video.sample_aspect_ratio
    if aspect and 0.1 < aspect < 10:
        width = round(width * float(aspect))
    return width, height


def rotation_of(container: InputContainer) -> int:
    """Return degrees clockwise that make the video upright, in quarter turns.

    The library gives a stream's display matrix only in its description of the file and with the
    first decoded frame, which is too late here.
    """
    av.logging.set_level(av.logging.INFO)
    try:
        about = container.dumps_format()  # type: ignore[attr-defined] # not in the stubs
    finally:
        av.logging.set_level(None)
    found = _ROTATION.search(about)
    return -round(float(found[1]) / 90) * 90 % 360 if found else 0


def _mimetype(container: InputContainer, codec: str) -> str:
    names = container.format.name.split(",")
    if names[0] == "mov" and container.metadata.get("major_brand", "").startswith("qt"):
        return "video/quicktime"
    if "webm" in names and codec in _OF_THE_WEB:
        return "video/webm"
    return next((_MIMETYPES[name] for name in names if name in _MIMETYPES), f"video/{names[0]}")


def _notes(container: InputContainer, video: VideoStream | None) -> list[str]:
    if video is None:
        return ["there is no video in it"]
    notes = []
    if container.format.name in _RAW:
        notes.append("a bare stream without timestamps: they are counted")
    others = len(container.streams.video) - 1
    if others:
        notes.append(f"{others} more video streams or covers, which are not looked at")
    return notes
