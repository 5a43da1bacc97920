"""An application on a free port of this machine, in a thread of the test's process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI


@contextmanager
def on_a_port(app: FastAPI, **config: Any) -> Iterator[str]:
    """The address of `app`, which is served until the block ends."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, access_log=False, **config)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
