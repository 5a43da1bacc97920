"""The setting second_encoder and the profile `best`, with the bundled models."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from api.problems import ParameterError
from api.search.parameters import SearchParameters, search_request
from core.errors import ModelError, SettingsError
from dateline.build.models import second_encoder as fitting
from dateline.build.models.served import Models, load_models
from dateline.build.service import own_passages, passage_embedder, profiles
from dateline.diagnosis import second_encoder
from dateline.measuring.evaluate import cached_index
from dateline.settings import Settings
from eval.sets.datasets import read_judged_set
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines
from tests.demo_service import ROOT
from tests.search.room import HashingEncoder, story

BGE = "bge-small-en-v1.5"
ONE = Settings(second_encoder="")
FLAG = "vectors: field second lacks"


def encoder_of(languages: tuple[str, ...]) -> Any:
    """An encoder with BGE's tokenizer, which says that it reads `languages`."""
    manifest = SimpleNamespace(
        languages=languages, max_tokens=512, tokenizer="t", files={"t": "same for all"}
    )
    return SimpleNamespace(
        model=SimpleNamespace(manifest=manifest),
        tokenizer_path=ROOT / "models" / BGE / "tokenizer.json",
        digest="-".join(languages),
        dimension=2,
        encode_passages=lambda texts: np.ones((len(texts), 2), np.float32),
    )


@pytest.mark.parametrize(("languages", "shared"), [(("en",), True), (("mul",), False)])
def test_an_encoder_for_many_languages_has_passages_of_its_own(
    languages: tuple[str, ...], shared: bool
) -> None:
    models = Models(encoder_of(("en",)), None, None, (), second=encoder_of(languages))
    item = story("u", body="The market said that the bank rose and ships fell. " * 60)
    ((first, second),) = passage_embedder(models).embed([item])
    assert (first.field, second.field) == ("text", "second")
    assert (first.passages == second.passages) is shared
    assert len(second.passages) <= len(first.passages)
    assert second.passages[-1].end == first.passages[-1].end  # nothing is lost
    assert own_passages(models) == (() if shared else ("second",))


@pytest.fixture
def turned_on(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DATELINE_SECOND_ENCODER", BGE)
    monkeypatch.setenv("DATELINE_RERANKER", "")
    return monkeypatch


def asked(cli: Cli, profile: str = "best") -> Any:
    return cli.json("search", "ship stranded", "--profile", profile, "--explain")["data"]


def shares(found: Any) -> list[list[str]]:
    return [
        [share["field"] for share in hit["meta"]["explanation"]["vectors"]]
        for hit in found["items"]
    ]


def ranked(found: Any) -> list[tuple[str, float]]:
    return [(hit["item"]["uri"], hit["meta"]["score"]) for hit in found["items"]]


def test_best_without_the_setting_names_it(reading: Cli) -> None:
    said = reading("search", "ferry", "--profile", "best", code=3).stderr
    assert "there is no profile 'best' without a second vector field" in said
    assert "second_encoder" in said
    assert "best" not in profiles(Settings(second_encoder=""))
    assert "best" in profiles(Settings())


def test_a_service_without_it_says_what_it_needs() -> None:
    with pytest.raises(ParameterError) as caught:
        search_request(SearchParameters(profile="best"), tuple(profiles(ONE)))
    assert "second_encoder" in str(caught.value)
    served = tuple(profiles(Settings()))
    assert search_request(SearchParameters(profile="best"), served).profile == "best"


def test_two_encoders_are_the_default_and_give_way_to_what_is_named() -> None:
    assert (Settings().second_encoder, Settings().profile) == (BGE, "best")
    assert (ONE.second_encoder, ONE.profile) == ("", "hybrid")
    assert Settings(second_encoder="", profile="lexical").profile == "lexical"
    elsewhere = {"runtimes": {BGE: "remote:http://127.0.0.1:1"}}
    for other in ({"encoder": BGE}, {"next_encoder": BGE}, {"encoder": "another"}, elsewhere):
        found = Settings(**other)  # type: ignore[arg-type]
        assert (found.second_encoder, found.profile) == ("", "hybrid")
    assert Settings(encoder="another", second_encoder=BGE).profile == "best"
    assert Settings().with_one_encoder() == ONE
    assert Settings(profile="vector").with_one_encoder().profile == "vector"


def test_a_slow_machine_has_one_encoder_and_says_so(
    writing: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "MOST_MS", 0.001)
    monkeypatch.delenv("DATELINE_SECOND_ENCODER")
    found = writing.json("search", "ship stranded")["data"]
    assert (found["profile"], found["degraded"]) == ("hybrid", [])
    assert "query_ms" in (writing.data / "encoders.json").read_text("utf-8")
    (missing,) = writing.json("status")["models"]["missing"]
    assert missing.startswith(f"second_encoder {BGE}: ")
    (finding,) = second_encoder(Settings(data=writing.data))
    assert finding.ok
    assert "there is one encoder" in finding.says
    monkeypatch.setenv("DATELINE_SECOND_ENCODER", BGE)  # named: however long it takes
    found = writing.json("search", "ship stranded")["data"]
    assert found["profile"] == "best"
    assert found["degraded"][0].startswith(FLAG)


def test_what_was_measured_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path)
    opened: list[str] = []

    def encoder() -> HashingEncoder:
        opened.append("once")
        return HashingEncoder()

    monkeypatch.setattr(fitting, "MOST_MS", 1e6)
    found, why = fitting.second_that_fits(settings, encoder)
    assert (found is not None, why, len(opened)) == (True, "", 1)
    assert fitting.kept_ms(settings) is not None
    monkeypatch.setattr(fitting, "MOST_MS", -1.0)
    found, why = fitting.second_that_fits(settings, encoder)
    assert (found, bool(why), len(opened)) == (None, True, 1)
    (tmp_path / "encoders.json").write_text("no JSON", "utf-8")
    assert fitting.kept_ms(settings) is None


def test_a_second_encoder_that_is_not_here_is_an_error_only_if_it_was_named(tmp_path: Path) -> None:
    def encoder() -> HashingEncoder:
        raise ModelError("there is no model", where=BGE)

    here = Settings(models=tmp_path, pulled_models=tmp_path, data=tmp_path)
    found, why = fitting.second_that_fits(here, encoder)
    assert (found, why.partition(":")[0]) == (None, f"second_encoder {BGE}")
    with pytest.raises(ModelError):
        fitting.second_that_fits(here.model_copy(update={"second_encoder": BGE}), encoder)


def test_an_archive_from_before_gets_its_second_field(
    writing: Cli, turned_on: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = asked(writing, "hybrid")
    half = asked(writing)
    assert half["degraded"][0].startswith(f"{FLAG} 3 of 3 items")
    assert ranked(half) != []  # words and the first field answer
    assert "`dateline embed`" in writing("status").stdout
    doctor = writing("doctor", code=1).stdout
    assert "field second lacks 3 visible items" in doctor

    assert writing.json("embed") == {"text": 0, "second": 3}
    assert writing.json("embed") == {"text": 0, "second": 0}
    whole = asked(writing)
    assert whole["degraded"] == []
    assert shares(whole) == [["text", "second"]] * 3
    assert ranked(asked(writing, "hybrid")) == ranked(before)
    assert writing.json("status")["passages"] == 3

    turned_on.setenv("DATELINE_SECOND_ENCODER", "")  # off: nothing is lost, new items lack it
    late = {**DOCUMENTS[2], "uri": "urn:late", "headline": "Bank lowers rates"}
    writing("ingest", write_lines(tmp_path / "late.jsonl", late), "--products", "demo")
    turned_on.setenv("DATELINE_SECOND_ENCODER", BGE)
    assert asked(writing)["degraded"][0].startswith(f"{FLAG} 1 of 4 items")
    assert writing.json("embed") == {"text": 0, "second": 1}


def test_what_is_ingested_with_it_lacks_nothing(
    cli: Cli, turned_on: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cli("ingest", write_lines(tmp_path / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    assert asked(cli)["degraded"] == []
    assert "lacks nothing" in cli("embed").stdout


def test_an_evaluation_keeps_an_index_of_its_own_for_two_fields(cli: Cli, tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    (tiny / "qrels").mkdir(parents=True)
    write_lines(tiny / "corpus.jsonl", {"_id": "d1", "title": "Ferry", "text": "It sails."})
    write_lines(tiny / "queries.jsonl", {"_id": "q1", "text": "ferry"})
    (tiny / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    chosen = ("--set", f"second_encoder={BGE}", "--set", "profile.vector_weights.second=0.5")
    (found,) = cli.json("eval", "run", tiny, "--profile", "best", *chosen)["sets"]
    system = found["system"]
    assert system["models"]["second encoder"].startswith(f"{BGE} ")
    assert system["settings"]["profile.vector_weights.second"] == 0.5
    assert "second_encoder" not in system["settings"]  # the default
    cli("eval", "run", tiny, "--profile", "best", code=3)
    judged = read_judged_set(str(tiny))
    keys = [
        cached_index(settings, judged, load_models(settings)).key.as_dict()["settings"]
        for settings in (Settings(reranker="", second_encoder=""), Settings(reranker=""))
    ]
    assert keys[0] == {"hnsw_m": 32, "hnsw_ef_construction": 200}  # as it was without the setting
    assert keys[1].keys() - keys[0].keys() == {"second_encoder"}


def test_what_can_not_be_a_second_encoder() -> None:
    with pytest.raises(SettingsError, match="is the encoder already") as caught:
        load_models(Settings(second_encoder="all-MiniLM-L6-v2", tagger="", reranker=""))
    assert caught.value.where == "second_encoder"


def test_a_reranker_and_a_second_encoder_of_one_name_share_a_graph() -> None:
    models = load_models(Settings(second_encoder=BGE, tagger=""))
    assert models.second is not None
    assert models.scorer.runtime is models.second.runtime  # type: ignore[union-attr]
    assert models.own_meters == (None, None)  # both read the same tokens
