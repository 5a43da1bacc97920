"""What reads text in pictures, by the settings: models that are there, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dateline import diagnosis
from dateline.settings import Settings
from tests.inference.text_in_pictures.text_models import (
    finding_graph,
    folder_with,
    reading_graph,
)

build = pytest.importorskip("dateline.build.media.text_reader")


def settings(folder: Path, **named: str) -> Settings:
    return Settings(data=folder, pulled_models=folder / "pulled", **named)


def test_the_default_model_is_not_missed_and_a_named_one_is(folder: Path) -> None:
    assert not build.eyes_of(settings(folder)).is_wanted
    missing = build.eyes_of(settings(folder, text_reader="PP-OCRv6-small-rec"))
    assert missing.model is None
    assert missing.is_wanted
    assert "PP-OCRv6-small-det" in missing.lacks
    assert not build.eyes_of(settings(folder, text_reader="")).is_wanted


def test_models_that_are_there_read_and_doctor_names_them(folder: Path) -> None:
    folder_with(folder / "pulled" / "finds", "find_text", finding_graph())
    folder_with(folder / "pulled" / "reads", "read_text", reading_graph())
    named = settings(folder, text_finder="finds", text_reader="reads")
    eyes = build.eyes_of(named)
    assert eyes.model is not None
    assert eyes.model.name.startswith("reads@")
    eyes.close()
    (told,) = diagnosis.text_reader(named)
    assert told.ok
    assert told.says == eyes.model.name


def test_doctor_names_a_missing_model_and_how_to_get_it(folder: Path) -> None:
    pytest.importorskip("av")
    (told,) = diagnosis.text_reader(settings(folder))
    assert told.ok
    (told,) = diagnosis.text_reader(settings(folder, text_reader="PP-OCRv6-small-rec"))
    assert not told.ok
    assert "models pull PP-OCRv6-small-det" in told.mend
