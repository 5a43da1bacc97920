"""What writes down speech, by the settings: a model that is there, a service, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.work import FoundAsset, Stage, Tracked
from dateline import diagnosis
from dateline.build.media.named import without_pictures
from dateline.settings import Settings
from indexing.work.stages.stage import StageWork
from inference.models.catalogue import Catalogue
from inference.models.store import MANIFEST

speech = pytest.importorskip("dateline.build.media.speech")
NAME = "whisper-base"


def settings(folder: Path, **named: str) -> Settings:
    return Settings(data=folder, pulled_models=folder / "pulled", **named)


def test_the_default_model_is_not_missed_and_a_named_one_is(folder: Path) -> None:
    assert not speech.speech_of(settings(folder)).is_wanted
    missing = speech.speech_of(settings(folder, transcriber=NAME))
    assert missing.model is None
    assert missing.is_wanted
    assert NAME in missing.lacks
    assert not speech.speech_of(settings(folder, transcriber="")).is_wanted


def test_doctor_names_a_missing_model_and_how_to_get_it(folder: Path) -> None:
    pytest.importorskip("av")
    (told,) = diagnosis.speech(settings(folder))
    assert told.ok
    (told,) = diagnosis.speech(settings(folder, transcriber=NAME))
    assert not told.ok
    assert f"models pull {NAME}" in told.mend
    assert diagnosis.speech(settings(folder, transcriber="")) == []


def test_a_model_without_the_packages_that_run_it_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Catalogue().find(NAME)
    place = folder / "pulled" / NAME
    place.mkdir(parents=True)
    (place / MANIFEST).write_text(manifest.to_json(), "utf-8")
    monkeypatch.setattr("core.extras.find_spec", lambda _: None)
    assert "faster-whisper" in speech.speech_of(settings(folder, transcriber=NAME)).lacks
    monkeypatch.setattr("core.extras.find_spec", lambda name: name)
    there = speech.speech_of(settings(folder))
    assert there.model is not None
    assert there.model.name.startswith(f"{NAME}@")


def test_a_service_needs_the_name_of_its_model(folder: Path) -> None:
    pytest.importorskip("openai")
    with pytest.raises(SettingsError) as caught:
        speech.speech_of(settings(folder, transcriber="openai"))
    assert caught.value.where == "transcribe_model"
    named = settings(folder, transcriber="openai", transcribe_model="whisper-1")
    opened = speech.speech_of(named)
    assert opened.model is not None
    assert opened.model.leaves
    opened.close()


def test_assets_that_a_missing_model_concerns_go_on_with_the_remark() -> None:
    names = ("a.mp4", "b.mp3", "c.jpg")
    assets = [
        Tracked("job", n, 0, FoundAsset(f"/in/{name}", "", 1), stage=Stage.TRANSCRIBE)
        for n, name in enumerate(names)
    ]

    def causes(stage: StageWork) -> list[str]:
        done = [one.asset for one in stage.work(assets, bool)]
        assert {asset.stage for asset in done} == {Stage.APPLY}
        return [asset.cause for asset in done]

    hears = speech.PassOn(Stage.APPLY, "why", speech.has_sound)
    assert causes(hears) == ["why", "why", ""]
    assert causes(without_pictures(Stage.APPLY, "why")) == ["why", "", "why"]
