"""The bundled models, opened once, and a small folder to damage."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.models.store import ModelStore
from inference.tagger import NameTagger
from tests.inference.small_models import write_model

ROOT = Path(__file__).parents[2] / "models"
ENCODER, TAGGER = "all-MiniLM-L6-v2", "distilbert-ner-news"


@pytest.fixture(scope="session")
def models() -> ModelStore:
    return ModelStore(ROOT)


@pytest.fixture(scope="session")
def encoder(models: ModelStore) -> Iterator[SentenceEncoder]:
    opened = SentenceEncoder.open(models, ENCODER, threads=2)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tagger(models: ModelStore) -> NameTagger:
    return NameTagger.open(models, TAGGER, threads=1)


@pytest.fixture(scope="session")
def scorer(encoder: SentenceEncoder) -> MaxSimScorer:
    return MaxSimScorer.over(encoder.folder, encoder.runtime)


MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Writes the model `small` under tmp_path with changed manifest fields; returns its folder."""

    def make(**changed: object) -> Path:
        return write_model(tmp_path / "small", **changed)

    return make
