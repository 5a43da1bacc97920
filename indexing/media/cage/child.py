"""The child process inside the walls; only parent.py starts it.

It loads its libraries, builds the walls, and only then takes its first file. It never opens
anything by name: the parent opens files and passes handles.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from indexing.media.cage.limits import CageLimits, Refusal
from indexing.media.cage.walls import build_walls, leave_the_network, raise_loopback
from indexing.media.cage.wire import HungUpError, Message, Work, receive, send


def main(told: Mapping[str, Any]) -> None:
    """Run until the parent hangs up."""
    with socket.socket(fileno=told["handle"]) as line:
        limits = CageLimits(**told["limits"])
        network = told["mode"] == "network"
        left = leave_the_network()
        try:
            listener = _listen(left) if network else None
            works = _load(line)
            walls = build_walls(limits.memory_bytes, left, network=network)
        except (ImportError, OSError) as error:
            send(line, Message(_refused(str(error), over=True)))
            return
        handle = listener.fileno() if listener else None
        send(line, Message({"say": "ready", **asdict(walls)}, handle=handle))
        while _serve(line, works, limits):
            pass


def _load(line: socket.socket) -> Mapping[str, Work]:
    """Return the functions for all requests: nothing can be loaded later."""
    from indexing.media.cage import streaming as cage_streaming
    from indexing.media.inside import shots as reading_shots
    from indexing.media.inside import stills_decoding, warming
    from indexing.media.inside import video as reading_video
    from indexing.media.inside.pictures import picture
    from indexing.media.inside.probe import probe
    from indexing.media.inside.sound import sound

    warming.warm_up()
    return {
        "probe": probe,
        "picture": picture,
        "frames": reading_video.frames,
        "stills": stills_decoding.stills,
        "sound": sound,
        "shots": reading_shots.over(line),
        "live": cage_streaming.over(line),
    }


def _listen(left: str) -> socket.socket:
    """Return a listener on the child's own 127.0.0.1; the parent connects it with the one host."""
    if left:
        raise OSError(f"a live source is read in a network of its own only: {left}")
    raise_loopback()
    door = socket.create_server(("127.0.0.1", 0))
    door.set_inheritable(False)
    return door


def _serve(line: socket.socket, works: Mapping[str, Work], limits: CageLimits) -> bool:
    """Return one request; False when the parent has hung up or this process should end."""
    try:
        message = receive(line, handles=1)
    except HungUpError:
        return False
    try:
        for answer in _answers(message, works, limits):
            send(line, answer)
            if answer.head.get("over"):
                return False
    except HungUpError:
        return False
    finally:
        if message.handle is not None:
            os.close(message.handle)
    return True


def _answers(message: Message, works: Mapping[str, Work], limits: CageLimits) -> Iterator[Message]:
    """Yield the answers of the work, or a refusal."""
    try:
        work = works[message.head["do"]]
        yield from work(-1 if message.handle is None else message.handle, message.head, limits)
    except HungUpError:
        raise
    except Refusal as refusal:
        yield Message(_refused(refusal.what, limit=refusal.limit, over=refusal.doubtful))
    except MemoryError:
        what = f"decoding it takes more than {limits.memory_bytes // 2**20} MiB"
        yield Message(_refused(what, limit=True, over=True))
    except Exception as error:  # noqa: BLE001 - whatever a library makes of a damaged file
        yield Message(_refused(f"{type(error).__name__}: {error}", over=True))


def _refused(what: str, *, limit: bool = False, over: bool = False) -> dict[str, object]:
    what = json.loads(json.dumps(what[:400], ensure_ascii=True))
    return {"say": "refused", "what": what, "limit": limit, "over": over}
