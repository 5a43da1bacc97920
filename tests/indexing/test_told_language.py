"""The language of documents that state none."""

from __future__ import annotations

import orjson
import pytest

from indexing import beir
from storage.words.told_languages import told_language

SPANISH = (
    "El gobierno de España aprobó ayer una ley para los alquileres de las ciudades. La ministra "
    "dijo que la medida será revisada en un año, y que los ayuntamientos podrán aplicarla "
    "desde enero."
)
GERMAN = (
    "Die Regierung hat gestern ein Gesetz für die Mieten in den Städten beschlossen. Die "
    "Ministerin sagte, dass es nach einem Jahr geprüft wird und dass die Städte es ab Januar "
    "anwenden dürfen."
)
ENGLISH = (
    "The government of Spain approved a law on rents in the cities yesterday. The minister "
    "said that it will be reviewed after a year, and that town halls may apply it from January on."
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (SPANISH, "es"),
        (GERMAN, "de"),
        (ENGLISH, "en"),
        ("Паром сел на мель у острова", "ru"),
        ("Ferry aground", ""),  # too little to be sure
        ("La Liga: Real Madrid 2, Barcelona 1", ""),
        ("", ""),
    ],
)
def test_the_words_tell_the_language_where_they_are_plain(text: str, language: str) -> None:
    assert told_language("", text) == language


@pytest.mark.parametrize(
    ("members", "language"),
    [
        ({"text": SPANISH}, "es"),
        ({"text": SPANISH, "metadata": {"language": "es-MX"}}, "es-mx"),
        ({"text": ENGLISH, "metadata": {"language": "de"}}, "de"),  # what is stated holds
        ({"text": "Ferry aground"}, "en"),
    ],
)
def test_a_line_of_a_corpus(members: dict[str, object], language: str) -> None:
    line = orjson.dumps({"_id": "1", "title": "", **members})
    assert beir.read_bytes(line, "set").item.language == language
