"""The setting `looks`: pictures that nobody describes are found by a described scene, by one
another, and by a picture that comes with the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.callers import Caller
from core.errors import NotFoundError, QueryError, SettingsError
from core.items import Item, ItemType, MediaFile, Shot
from dateline.build.media.stills import media_store
from dateline.build.service import Service, build_service, profiles
from dateline.diagnosis import looks
from dateline.settings import Settings
from search.answers import SearchRequest, SearchResponse, SimilarBy
from tests.inference.picture_models import COLOURS, painted, write_classifier, write_joint
from tests.opensearch_node import new_name
from tests.search.room import story

RED, GREEN, BLUE = COLOURS.values()
READER = Caller("reader", frozenset({"wire"}), may_inspect=True)
PATIENT = ("opensearch_patience_s", "opensearch_timeout_s", "opensearch_search_timeout_s")
ONE_MODEL = {"second_encoder": "", "tagger": "", "reranker": "", "profile": "hybrid"}


def settings_of(folder: Path, looks: str, **more: object) -> Settings:
    own = {"data": folder / "archive", "pulled_models": folder / "models", "looks": looks}
    return Settings(**{**own, **ONE_MODEL, **more})  # type: ignore[arg-type]


def picture(service: Service, uri: str, *colours: tuple[int, int, int], **members: object) -> Item:
    """A picture without words; it shows stripes of these colours."""
    name = media_store(service.settings).put(painted(*colours), ".jpg")
    media = MediaFile("/x.jpg", uri, "image/jpeg", 1, preview=name, similarity="00" * 32)
    item = replace(
        story(uri, headline="", body=""), type=ItemType.PICTURE, media=media, products=("wire",)
    )
    return replace(item, **members)  # type: ignore[arg-type]


def clip(service: Service, uri: str, *colours: tuple[int, int, int]) -> Item:
    """A video without words, of shots of one colour each."""
    item = picture(service, uri, GREEN)
    store = media_store(service.settings)
    shots = tuple(
        Shot(n * 5.0, n * 5.0 + 5, n, n, thumbnail=store.put(painted(c), ".jpg"), similarity="00")
        for n, c in enumerate(colours)
    )
    return replace(item, type=ItemType.VIDEO, shots=shots)


def put(service: Service, *items: Item) -> None:
    service.ingest.put(service.ingest.embed(items))
    service.engine.catch_up()


@pytest.fixture(params=["embedded", pytest.param("opensearch", marks=pytest.mark.cluster)])
def opened(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service whose model has pictures and texts in one space, with an archive of colours, on
    each engine.
    """
    write_joint(tmp_path / "models")
    engine: dict[str, object] = {}
    if request.param == "opensearch":
        url, index = request.getfixturevalue("opensearch"), new_name()
        engine = {"engine": "opensearch", "opensearch_url": url, "opensearch_index": index}
        engine |= dict.fromkeys(PATIENT, 60)
    service = build_service(settings_of(tmp_path, "joint", **engine), background=False)
    put(
        service,
        picture(service, "urn:red", RED),
        picture(service, "urn:green", GREEN),
        picture(service, "urn:both", RED, GREEN, headline="A striped flag"),
        clip(service, "urn:clip", GREEN, BLUE),
        replace(story("urn:text", body="The bank raises its rates"), products=("wire",)),
    )
    yield service
    service.close()


def ask(service: Service, q: str = "", **members: object) -> SearchResponse:
    request = replace(SearchRequest(q, explain=True), **members)  # type: ignore[arg-type]
    return service.pipeline.search(request, READER)


def uris(answer: SearchResponse) -> list[str]:
    return [hit.item.uri for hit in answer.hits]


def test_a_described_scene_finds_a_picture_that_nobody_describes(opened: Service) -> None:
    answer = ask(opened, "red", profile="pictures")
    assert answer.degraded == ()
    found = uris(answer)
    assert found.index("urn:red") < found.index("urn:clip")
    assert "urn:red" not in uris(ask(opened, "red", profile="hybrid"))
    (clip_hit,) = [
        hit for hit in ask(opened, "blue", profile="pictures").hits if hit.item.uri == "urn:clip"
    ]
    assert clip_hit.shot == 2  # it opens at the shot that is blue
    assert "pictures" in profiles(opened.settings)


def test_pictures_find_what_looks_like_them_and_the_answer_says_what_was_compared(
    opened: Service,
) -> None:
    answer = ask(opened, similar_to="urn:red")
    assert uris(answer)[0] == "urn:both"
    assert "compared: looks" in answer.understood.notes
    assert answer.degraded == ()
    both = ask(opened, similar_to="urn:both")
    assert "compared: words and looks" in both.understood.notes
    words = ask(opened, similar_to="urn:both", similar_by=SimilarBy.WORDS)
    assert "compared: words" in words.understood.notes
    assert {one.field for hit in words.hits for one in hit.explanation.vectors} <= {"text"}  # type: ignore[union-attr]
    with pytest.raises(QueryError, match="no model has looked"):
        ask(opened, similar_to="urn:text", similar_by=SimilarBy.LOOKS)
    with pytest.raises(NotFoundError):
        ask(opened, similar_to="urn:nobody", similar_by=SimilarBy.LOOKS)


def test_a_shot_alone_is_compared_by_what_it_shows(opened: Service) -> None:
    put(opened, picture(opened, "urn:blue", BLUE))
    assert uris(ask(opened, similar_to="urn:clip#t=6"))[0] == "urn:blue"
    assert uris(ask(opened, similar_to="urn:clip#t=1"))[0] == "urn:green"


@pytest.mark.service
def test_a_picture_that_comes_with_the_request_is_decoded_in_the_cage(opened: Service) -> None:
    pytest.importorskip("av", reason="needs the [media] extra")
    answer = ask(opened, picture=painted(RED))
    assert uris(answer)[0] == "urn:red"
    assert answer.understood.notes == ("compared: looks",)
    with pytest.raises(QueryError, match="can't be read"):
        ask(opened, picture=b"<svg onload=alert(1)>")
    with pytest.raises(QueryError, match="both given"):
        ask(opened, "red", picture=painted(RED))
    assert list((opened.settings.data / "spool").iterdir()) == []


def test_items_that_were_there_before_are_looked_at_later(tmp_path: Path) -> None:
    write_joint(tmp_path / "models")
    write_classifier(tmp_path / "models")
    plain = build_service(settings_of(tmp_path, ""), background=False)
    put(plain, picture(plain, "urn:red", RED), picture(plain, "urn:both", RED, GREEN))
    with pytest.raises(QueryError, match="no model looks at pictures"):
        ask(plain, picture=painted(RED))
    plain.close()
    for model in ("colours", "joint"):  # a new one, and another one in its place
        service = build_service(settings_of(tmp_path, model), background=False)
        assert service.lacking()["looks"] == 2
        assert service.embed_lacking(lambda _: None)["looks"] == 2
        service.engine.catch_up()
        assert service.lacking() == {}
        assert uris(ask(service, similar_to="urn:red")) == ["urn:both"]
        service.close()


def test_a_missing_model_is_named_and_the_service_starts(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "absent")
    service = build_service(settings, background=False)
    (missing,) = service.models.missing
    assert missing.startswith("looks absent")
    assert service.models.not_loaded("looks")
    service.close()
    (found,) = looks(settings)
    assert not found.ok
    assert looks(settings_of(tmp_path, "")) == []
    (found,) = looks(Settings(pulled_models=tmp_path))  # the default is not missed
    assert found.ok


def test_without_a_model_that_reads_texts_there_is_no_profile_for_them(tmp_path: Path) -> None:
    write_classifier(tmp_path / "models")
    settings = settings_of(tmp_path, "colours")
    assert "pictures" not in profiles(settings)
    with pytest.raises(SettingsError, match="pictures"):
        profiles(settings.model_copy(update={"profile": "pictures"}))


def test_a_service_is_named_by_its_address_and_nothing_is_asked_before_it_is_needed(
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path, "service")
    with pytest.raises(SettingsError) as caught:
        build_service(settings, background=False)
    assert caught.value.where == "looks_url"
    there = {"looks_url": "http://127.0.0.1:9/v1", "looks_model": "clip", "looks_dimension": 8}
    service = build_service(settings.model_copy(update=there), background=False)
    assert service.models.pictures is not None
    assert service.models.pictures.leaves
    assert "pictures" in profiles(service.settings)
    service.close()
