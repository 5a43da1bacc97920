"""The published clients against a live service: same vectors as the encoder's, the right order, and
refusals that each client raises as its own errors. They live in an environment of their own.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.api.models.model_service import KEY, bundled_models, serving_models

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-clients/bin/python"
FERRY = "The ferry ran aground off Kalymira."

pytestmark = [
    pytest.mark.service,
    pytest.mark.deep,
    pytest.mark.skipif(not PYTHON.exists(), reason="make .venv-clients/.installed"),
]


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    with serving_models(bundled_models()) as http:
        command = [PYTHON, "-P", Path(__file__).with_name("official.py")]
        address = str(http.base_url).rstrip("/")
        done = subprocess.run(
            [*command, address, KEY], capture_output=True, text=True, timeout=500, check=False
        )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["client"]: line["got"] for line in lines}


@pytest.mark.parametrize(
    ("client", "vectors", "orders"),
    [
        ("openai", 2, 0),
        ("cohere", 1, 1),
        ("huggingface_hub", 1, 0),
        ("langchain", 2, 1),
        ("llama_index", 2, 2),
        ("haystack", 2, 2),
    ],
)
def test_each_client_gets_the_models_answers(
    answers: dict[str, dict[str, Any]], client: str, vectors: int, orders: int
) -> None:
    encoder = bundled_models().encoder
    assert encoder is not None
    expected = encoder.port.encode_passages([FERRY])[0].tolist()
    got = answers[client]
    found = [value for name, value in got.items() if name.startswith("vector")]
    assert len(found) == vectors
    assert all(vector == pytest.approx(expected, abs=1e-6) for vector in found)
    assert [value for name, value in got.items() if name.startswith("order")] == [[1, 0]] * orders


def test_models_and_refusals_are_the_clients_own(answers: dict[str, dict[str, Any]]) -> None:
    openai = answers["openai"]
    assert openai["models"] == ["all-MiniLM-L6-v2", "bge-small-en-v1.5", "distilbert-ner-news"]
    assert openai["model"] == "all-MiniLM-L6-v2"
    assert ["purpose" in told for told in openai["told"]] == [True], "and null is like absent"
    assert openai["refused"] == [404, "model_not_found"]
    assert openai["unknown key"] == [401, "invalid_api_key"]
    assert answers["cohere"]["refused"] == [404, True]
    assert answers["huggingface_hub"]["refused"] == 413
