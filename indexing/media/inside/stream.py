"""The times and the position of a video's frames, by its header; inside the child."""

from __future__ import annotations

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream


def is_stamped(container: InputContainer, stream: VideoStream) -> bool:
    """Return whether a file says when its frames are shown. AVI says when they are decoded, which
    is another order if frames depend on later ones; but their rate is constant.
    """
    return container.format.name != "avi" or not stream.codec_context.has_b_frames


def stamp_of(frame: VideoFrame) -> float | None:
    """When the source says that a frame is shown, in seconds of its clock."""
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)


def step_of(stream: VideoStream) -> float:
    """Seconds for which a frame is shown, as far as the header knows."""
    rate = stream.average_rate or stream.guessed_rate or 25
    return 1 / float(rate) if 1 <= rate <= 1000 else 0.04


def turns_of(frame: VideoFrame) -> int:
    """Quarter turns counterclockwise that make a frame upright."""
    return round(frame.rotation / 90) % 4


def duration_of(container: InputContainer, stream: VideoStream) -> float:
    """Seconds of a video by its header; 0 if it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return max(0.0, float(stream.duration * stream.time_base))
    if container.duration is not None:
        return max(0.0, container.duration / av.time_base)
    return 0.0
