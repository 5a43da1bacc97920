"""What a profile adds up within BM25, tried out from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.retrieval import FIELD_WEIGHTS, LexicalWeights
from dateline.measuring.profile_changes import changed_profile, profile_settings
from eval.runs.results import read_result
from search.profiles import Profile, standard_profiles
from tests.dateline.conftest import Cli, write_lines

LEXICAL = Profile("lexical", 1.0)


def test_what_ships_is_what_the_engine_does_when_nothing_is_said() -> None:
    for profile in standard_profiles(("text",)).values():
        assert profile.lexical == LexicalWeights()


def test_every_weight_of_bm25_can_be_set() -> None:
    changes = {
        "field_weights.headline": "0",
        "field_weights.names": ".2",
        "phrase_boost": "0.4",
        "proximity_boost": "0.1",
        "proximity_slop": "3",
    }
    changed = changed_profile(LEXICAL, changes).lexical
    assert changed == LexicalWeights(
        {**FIELD_WEIGHTS, "headline": 0.0, "names": 0.2}, phrase=0.4, proximity=0.1, slop=3
    )
    assert LEXICAL.lexical == LexicalWeights(), "the profile that was changed stays as it was"
    told = profile_settings(LEXICAL)
    assert told["profile.field_weights.headline"] == FIELD_WEIGHTS["headline"]
    assert told["profile.phrase_boost"] == LEXICAL.phrase_boost


@pytest.mark.parametrize(
    ("change", "reciprocal"),
    [("", 0.5), ("phrase_boost=0.5", 1.0), ("field_weights.body=2", 0.5)],
)
def test_a_run_ranks_by_them(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, reciprocal: float
) -> None:
    """Two documents of the same words, of which only the second has them side by side."""
    monkeypatch.setenv("DATELINE_TAGGER", "")
    tiny = tmp_path / "tiny"
    (tiny / "qrels").mkdir(parents=True)
    texts = ("Cross words at the red house.", "Help of the Red Cross at sea.")
    lines = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(texts)]
    write_lines(tiny / "corpus.jsonl", *lines)
    write_lines(tiny / "queries.jsonl", {"_id": "q1", "text": "red cross"})
    (tiny / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    changes = ("--set", f"profile.{change}") if change else ()
    arguments = ("--profile", "lexical", *changes, "--output", tmp_path / "out", "--json")
    cli("eval", "run", tiny, *arguments)
    assert read_result(tmp_path / "out" / "tiny-test").mean("RR@10") == reciprocal
