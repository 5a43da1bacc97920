"""A second Python interpreter that works beside this one; they exchange one JSON line each way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson


class OtherInterpreter:
    """A running script. Its first line has its `versions`; then it answers each line with one
    line.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.versions: dict[str, str] = self._read()

    def ask(self, message: object) -> Any:
        """Return the script's answer to `message`."""
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(message) + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the other interpreter ended; its message is above")
        return orjson.loads(line)


@contextmanager
def other_interpreter(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[OtherInterpreter]:
    """Start `command`, with `environment` added to ours, and end it."""
    pipe = subprocess.PIPE
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=variables) as process:
        try:
            yield OtherInterpreter(process)
        finally:
            process.terminate()
