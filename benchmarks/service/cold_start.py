"""How long a function of Lambda takes to its first answer, by the real runtime interface emulator.

    python -m benchmarks.service.cold_start [--rounds N] [--image IMAGE] [--json]

Each round starts a copy of each function: the names in a text, the vector of a text, and the orders
for a file of which S3 tells. `init` is the time from the start of the entry point until it asks for
an event; `first` is the time from an event to its answer without a copy, so with `init` in it;
`next` is that of the second event. The emulator runs the entry point of this checkout, or that of
an image by podman, with a read-only root as on Lambda. It needs aws-lambda-rie on the PATH, and for
the orders Postgres; S3 is moto's server.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.machine import arguments, show, this_machine

ROOT = Path(__file__).parents[2]
TEXT = "Angela Merkel went to Paris."
OBJECT = {"bucket": {"name": "photos"}, "object": {"key": "a.jpg", "size": 7, "eTag": "abc"}}
EVENTS: Mapping[str, Any] = {
    "tag": {"texts": [TEXT]},
    "embed": {"input": [TEXT]},
    "s3-events": {"Records": [{"eventName": "ObjectCreated:Put", "s3": OBJECT}]},
}
_PASSED_ON = tuple(
    f"AWS_{name}"
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION", "ENDPOINT_URL")
)


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="copies of each function")
    parser.add_argument("--image", default="", help="an image that podman has")
    chosen = parser.parse_args()
    machine = this_machine()
    from tests.postgres_server import server
    from tests.s3_server import bucket, put

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # each request to moto
    times: dict[str, list[float]] = {}
    with server(Path(tempfile.gettempdir())) as database, bucket("photos"):
        put("photos", "a.jpg", b"1234567")
        for _ in range(chosen.rounds):
            for handler, event in EVENTS.items():
                for name, taken in _round(handler, event, chosen.image, database.url()).items():
                    times.setdefault(f"{handler}: {name} ms", []).append(taken)
    figures = {name: median(found) for name, found in times.items()}
    where = chosen.image or "this checkout"
    show(f"cold start, median of {chosen.rounds}, {where}", figures, machine, as_json=chosen.json)


def _round(handler: str, event: Any, image: str, work_url: str) -> dict[str, float]:
    from tests.lambda_emulator import emulated

    variables = {name: os.environ[name] for name in _PASSED_ON}
    variables |= {"DATELINE_WORK_URL": work_url, "DATELINE_DATA": "/tmp/data" if image else "data"}
    command = _in_image(image, handler, variables) if image else _here(handler)
    if not image:
        variables["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables["PYTHONPATH"] = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    with emulated(command, {**os.environ, **variables}) as function:
        taken = []
        for _ in range(2):
            began = perf_counter()
            answer = function.answer(event)
            taken.append((perf_counter() - began) * 1000)
            if "errorType" in answer:
                raise SystemExit(f"{handler} answers {json.dumps(answer)[:500]}")
        return {"init": function.init_ms(), "first": taken[0], "next": taken[1]}


def _here(handler: str) -> Sequence[str | Path]:
    from tests.lambda_emulator import by_emulator

    return [*by_emulator("aws-lambda-rie"), ROOT / "deploy" / "entrypoint", "lambda", handler]


def _in_image(image: str, handler: str, variables: Mapping[str, str]) -> Sequence[str | Path]:
    """The emulator inside the image: no rights, and nothing to write to but /tmp."""
    from tests.lambda_emulator import EMULATOR, by_emulator

    place = "/usr/local/bin/aws-lambda-rie"
    told = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    box = ["--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "all"]
    first, *rest = by_emulator(place)
    options = [*box, *told, "--volume", f"{EMULATOR}:{place}:ro"]
    started = ["podman", "run", *options, "--entrypoint", first, image, *rest]
    return [*started, "dateline-entrypoint", "lambda", handler]


if __name__ == "__main__":
    main()
