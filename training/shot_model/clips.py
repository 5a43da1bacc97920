"""Frames of video clips in the size that the shot model reads. The clips are our own and trusted;
files from users are decoded elsewhere, in a limited process.
"""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames
from indexing.media.shots.windows import FrameWindows, WindowLayout

SUFFIXES = (".mp4", ".webm")


def clips_in(folder: Path) -> list[Path]:
    """Return the clips in a folder, by name. Raises ValueError if there is none."""
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if not found:
        raise ValueError(f"{folder} has no clips ({', '.join(SUFFIXES)})")
    return found


def read_clip(path: Path) -> Frames:
    """Return every frame, uint8 [n, 27, 48, 3] RGB."""
    with av.open(str(path)) as container:
        frames = [
            frame.reformat(FRAME_WIDTH, FRAME_HEIGHT, "rgb24", interpolation="AREA").to_ndarray()
            for frame in container.decode(video=0)
        ]
    return np.stack(frames)


def windows_of(frames: Frames, layout: WindowLayout) -> Iterator[Frames]:
    """Yield every window [t, 27, 48, 3] that the model gets from a clip's frames [n, 27, 48, 3]."""
    windows = FrameWindows(layout)
    for window, _ in (*windows.push(frames), *windows.close()):
        yield window
