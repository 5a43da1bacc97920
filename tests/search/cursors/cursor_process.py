"""A process of its own over an archive: answers one search per line of its input, in JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core.errors import ExpiredError
from search.kept_candidates import SharedCandidateStore
from storage.embedded.record.candidate_lists import CandidateLists
from tests.search.room import Room, uris


def main(folder: Path) -> None:
    """Ends with its input; is killed in some tests."""
    room = Room(folder)
    lists = CandidateLists(folder / "projections", room.engine.record)
    pipeline = room.build(candidates=SharedCandidateStore(lists))
    room.engine.catch_up()
    for line in sys.stdin:
        try:
            answer = room.ask(pipeline=pipeline, **json.loads(line))
            scores = [hit.score for hit in answer.hits]
            said: dict[str, object] = {
                "uris": uris(answer),
                "scores": scores,
                "total": answer.total.value,
                "cursor": answer.cursor,
            }
        except ExpiredError as error:
            said = {"expired": error.what}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
