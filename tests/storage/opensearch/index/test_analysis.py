"""The index's analyzer gives the terms and places that the embedded engine has: 1,000 texts."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from storage.opensearch.index.body import TERMS, IndexSettings, index_body
from storage.opensearch.index.documents import terms_of
from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from storage.words.analysis import analyzer
from tests.opensearch_node import new_name

COUNT = 1000
LANGUAGES = ("en", "es", "fr", "de-AT", "pt-BR", "nb-NO", "ru", "ar", "el", "tr", "xx")
WORDS = (
    *("the", "Floods", "FLOODING", "re-election", "don't", "U.S.", "x_y", "3,000.50", "£5m", "_"),
    *("Zeitungen", "Straße", "naïve", "Œuvre", "Ångström", "ﬃ", "⑴⒜", "İstanbul", "ıĞ"),
    *(
        "elecciones",
        "выборы",
        "Людина",
        "القاهرة",
        "שלום",
        "ΚΑΦΈΣ",
        "日本語の新聞",
        "ไทย",
        "한국어",
    ),
    *(
        "e\u0301clair",
        "👩\u200d🚀",
        "\u202eabc\u202c",
        "a\u00a0b",
        "a\u2028b",
        "\x1c",
        "\x1f",
        "\x85",
    ),
    *("y" * 40, "y" * 41, "é" * 20, "é" * 21, "w" * 300, "\U00018d80x", "\ufeff", "٣٤", "²", "Ⅻ"),
)
BREAKS = (" ", "\n", "\t", ", ", "  ", "\u3000", "-", "")


@pytest.fixture(scope="module")
def index(opensearch: str) -> Iterator[tuple[Cluster, str]]:
    cluster, name = Cluster(ClusterSettings((opensearch,))), new_name()
    cluster.ask("PUT", f"/{name}", index_body(IndexSettings(), {}))
    yield cluster, name
    cluster.ask("DELETE", f"/{name}")
    cluster.close()


def texts() -> list[tuple[str, str]]:
    """Texts with their languages: words of many scripts, signs and lengths, with and without
    spaces between them, and characters at random.
    """
    rng = random.Random(5)
    found = [(word, language) for word in WORDS for language in LANGUAGES]
    while len(found) < COUNT:
        parts: list[str] = []
        for _ in range(rng.randint(0, 40)):
            some = chr(rng.choice((rng.randrange(0x20, 0x250), rng.randrange(0x250, 0xD800))))
            parts += (some if rng.random() < 0.2 else rng.choice(WORDS), rng.choice(BREAKS))
        found.append(("".join(parts), rng.choice(LANGUAGES)))
    return found


def test_a_thousand_texts_have_the_same_terms_in_the_same_places(
    index: tuple[Cluster, str],
) -> None:
    cluster, name = index
    dropped = 0
    for text, language in texts():
        body = {"analyzer": TERMS, "text": terms_of(text, language)}
        reply = cluster.ask("POST", f"/{name}/_analyze", body)
        theirs = [(token["token"], token["position"]) for token in reply["tokens"]]
        ours = [(t.text, t.position) for t in analyzer(language).pre_tokenize(text).tokens]
        assert theirs == ours, (text, language)
        dropped += bool(ours) and ours[-1][1] >= len(ours)
    assert dropped > COUNT / 20, "no text had a word that leaves a gap"
