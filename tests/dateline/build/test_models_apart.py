"""Models in a process of their own, and a search service that uses them as one more runtime."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.callers import Caller
from core.errors import ModelError, SettingsError, UnavailableError
from dateline.build.models.service import build_model_service
from dateline.build.service import Service, build_service
from dateline.diagnosis import diagnose
from dateline.serving.demo import DEMO_INGEST_KEY
from dateline.settings import Settings, configure
from inference.serving.remote import RemoteEncoder, RemoteScorer, RemoteTagger
from search.answers import SearchRequest, SearchResponse
from tests.api.models.model_service import KEY, bundled_models, serving_models
from tests.dateline.conftest import DOCUMENTS
from tests.dateline.serving.test_serve import ROOT, served

pytestmark = pytest.mark.service

ENCODER, TAGGER = "all-MiniLM-L6-v2", "distilbert-ner-news"
RERANKER = "bge-small-en-v1.5"
READER = Caller("reader", frozenset({"demo"}))


def settings_with(url: str, folder: Path, **changed: Any) -> Settings:
    runtimes = dict.fromkeys((ENCODER, TAGGER, RERANKER), f"remote:{url}")
    given: dict[str, Any] = {"data": folder / "archive", "runtimes": runtimes, "remote_key": KEY}
    return Settings(**{**given, **changed})


@pytest.fixture
def models() -> Iterator[httpx.Client]:
    with serving_models(bundled_models(RERANKER)) as http:
        yield http


def search(service: Service, text: str, profile: str = "hybrid") -> SearchResponse:
    return service.pipeline.search(SearchRequest(q=text, profile=profile), READER)


def filled_service(settings: Settings) -> Service:
    service = build_service(settings, background=False)
    written = service.ingest.put_documents(DOCUMENTS, ["demo"])
    assert len(written) == len(DOCUMENTS)
    service.engine.catch_up()
    return service


def close(service: Service) -> None:
    service.close()
    models = service.models
    for port in (models.encoder, models.tagger, models.scorer):
        if isinstance(port, RemoteEncoder | RemoteTagger | RemoteScorer):
            port.close()


def test_a_search_answers_the_same_with_its_models_elsewhere(
    models: httpx.Client, folder: Path
) -> None:
    far = filled_service(settings_with(str(models.base_url), folder))
    near = filled_service(Settings(data=folder / "near"))
    try:
        for profile in ("hybrid", "vector", "hybrid-rerank"):
            for text in ("ship ran aground", "interest rates", "ferry in Kalymira"):
                ours, theirs = search(near, text, profile), search(far, text, profile)
                assert not [flag for flag in theirs.degraded if "time" not in flag]
                assert [hit.item.uri for hit in theirs.hits] == [hit.item.uri for hit in ours.hits]
                assert theirs.understood.entities == ours.understood.entities
        assert far.models.encoder.digest == near.models.encoder.digest  # one archive for both
    finally:
        close(far)
        close(near)


def test_a_search_without_its_models_is_flagged_not_broken(folder: Path) -> None:
    with serving_models(bundled_models(RERANKER)) as http:
        service = filled_service(settings_with(str(http.base_url), folder))
    try:
        found = search(service, "ferry", "hybrid-rerank")
        assert {hit.item.uri for hit in found.hits} == {"urn:ferry", "urn:photo"}  # by words
        assert any("vectors" in flag and "UnavailableError" in flag for flag in found.degraded)
        assert any("rerank" in flag for flag in found.degraded)
        assert "names were not looked for: UnavailableError" in found.understood.notes
        assert "names: skipped, UnavailableError" in found.degraded
        before = service.engine.status()["versions"]
        story = {"uri": "urn:new", "version": "1", "headline": "Lighthouse relit"}
        (answer,) = service.ingest.put_documents([story], ["demo"])
        assert isinstance(answer, UnavailableError)
        assert service.engine.status()["versions"] == before
    finally:
        close(service)


def test_a_search_service_starts_before_its_models_answer(folder: Path) -> None:
    service = build_service(settings_with("http://127.0.0.1:9", folder), background=False)
    try:
        assert service.ready() == (True, "")
        assert search(service, "ferry").hits == ()
    finally:
        close(service)


def test_one_model_may_be_elsewhere_and_the_others_here(models: httpx.Client, folder: Path) -> None:
    runtimes = {TAGGER: f"remote:{models.base_url}"}
    service = filled_service(settings_with(str(models.base_url), folder, runtimes=runtimes))
    try:
        found = search(service, "ferry in Kalymira")
        assert [entity.text for entity in found.understood.entities] == ["Kalymira"]
        assert not found.degraded
    finally:
        close(service)


def test_doctor_asks_the_models_that_are_elsewhere(models: httpx.Client, folder: Path) -> None:
    def found(url: str) -> dict[str, tuple[bool, str]]:
        findings = diagnose(settings_with(url, folder))
        return {one.what: (one.ok, one.says) for one in findings if "remote" in one.what}

    answered = found(str(models.base_url))
    assert answered.keys() == {f"remote model {name}" for name in (ENCODER, TAGGER, RERANKER)}
    assert all(ok and str(models.base_url) in says for ok, says in answered.values())
    away = found("http://127.0.0.1:9")
    assert not any(ok for ok, _ in away.values())
    assert all("ConnectError" in says for _, says in away.values())


def test_a_wrong_address_is_found_at_the_start(folder: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        build_service(settings_with("ftp://models", folder), background=False)
    assert caught.value.where == f"runtimes.{ENCODER}"


def test_the_key_comes_from_the_environment_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("DATELINE_REMOTE_KEY", "sk-very-secret")
    found = configure({}, folder).settings
    assert found.remote_key is not None
    assert found.remote_key.get_secret_value() == "sk-very-secret"
    assert "sk-very-secret" not in repr(found) + str(found)


def test_models_are_served_alone(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.delenv("DATELINE_TAGGER")
    with served(folder / "nothing", "--models-only") as (process, client):
        key = {"x-api-key": DEMO_INGEST_KEY}
        listed = client.get("/v1/models", headers=key).json()["data"]
        assert {entry["id"] for entry in listed} >= {ENCODER, TAGGER}
        assert client.get("/readyz").status_code == 200
        assert client.get("/content/search", headers=key).status_code == 404
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=key).status_code == 200
        tagged = client.post("/v1/tag", json={"texts": ["Berlin"]}, headers=key).json()
        assert tagged["results"][0][0]["label"] == "LOC"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=240)
    assert "serves the models" in output
    assert "Traceback" not in errors
    assert not (folder / "nothing").exists()  # no archive was made


def test_a_service_may_run_one_model_alone() -> None:
    service = build_model_service(Settings(encoder="", reranker=""))
    assert service.status()["models"]["running"] == [TAGGER]
    assert service.ready() == (True, "")
    with pytest.raises(ModelError, match="no model to serve"):
        build_model_service(Settings(encoder="", tagger="", reranker=""))


def test_a_model_that_can_t_be_loaded_is_said_and_the_others_run(folder: Path) -> None:
    root = folder / "models"
    for name in (ENCODER, RERANKER):
        shutil.copytree(ROOT / "models" / name, root / name)
    service = build_model_service(Settings(models=root, pulled_models=folder / "none"))
    assert service.status()["models"]["running"] == [ENCODER, RERANKER]
    ready, why = service.ready()
    assert not ready
    assert "tagger" in why
