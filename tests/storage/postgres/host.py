"""Another host: an engine over the record at HOST_RECORD, with its projections in a folder.

`python host.py FOLDER` answers each line of its standard input, a JSON list, with a line.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path
from typing import NoReturn

import orjson

from core.items import PubStatus
from core.query_tree import EVERYTHING
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine
from storage.postgres.record import PostgresRecord
from tests.storage.world import (
    WIRE,
    SetClock,
    ask,
    change,
    lexical,
    make_item,
    open_embedded,
    records_by,
    unit,
    vectors,
    write,
)


def keep_writing(engine: EmbeddedEngine, name: str) -> NoReturn:
    """Pairs of items; says each number once it is acknowledged, in one system call."""
    for number in count(1):
        items = [make_item(f"{name}:{number}:{half}") for half in "ab"]
        engine.put([PutItem(item, (vectors(unit(1)),)) for item in items])
        os.write(1, b"%d\n" % number)
    raise AssertionError


def main(folder: Path) -> None:
    """Answers until the input ends."""
    with records_by(lambda _, *rest: PostgresRecord(os.environ["HOST_RECORD"], *rest)):
        engine = open_embedded(folder, SetClock())
    answer: object
    for line in sys.stdin:
        match orjson.loads(line):
            case ["put", uri, version]:
                answer = write(engine, make_item(uri, version))
            case ["status", uri, status]:
                answer = change(engine, uri, pubstatus=PubStatus(status))
            case ["find"]:
                answer = [uri for uri, _ in ask(engine, lexical(EVERYTHING))]
            case ["write without end", name]:
                keep_writing(engine, name)
            case ["item", uri]:
                item = engine.item(uri, WIRE)
                answer = None if item is None else [item.uri, item.version]
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.flush()
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
