"""`dateline` by the clock of a test: `python -m tests.guard.process CLOCK serve …`.

`shell` in place of a command reads commands, a JSON list a line, and answers each with its output
as a JSON string: a command line that need not be started anew for each.
"""

from __future__ import annotations

import json
import mmap
import signal
import struct
import sys
from datetime import UTC, datetime
from pathlib import Path

import dateline.build as build

_TIME = struct.Struct("d")


class SharedClock:
    """The time in a file, which one process turns and every other one reads."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_TIME.pack(0))
        with path.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), _TIME.size)

    held_s = 0.0  # its steps are what a history is about

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(_TIME.unpack(self._file)[0], UTC)

    def turn(self, now: datetime) -> None:
        self._file[:] = _TIME.pack(now.timestamp())


def _shell() -> None:
    from typer.testing import CliRunner

    from dateline.cli import app

    for line in sys.stdin:
        result = CliRunner().invoke(app, json.loads(line))
        print(json.dumps(result.output), flush=True)


def main() -> None:
    """Sets the clock before the modules that name it are loaded, then runs the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    clock = SharedClock(Path(sys.argv.pop(1)))
    build.archive_clock = lambda settings: clock
    if sys.argv[1:] == ["shell"]:
        _shell()
    else:
        from dateline.cli import main as command_line

        command_line()


if __name__ == "__main__":
    main()
