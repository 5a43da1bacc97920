"""How does a person convert a file that is not read here?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

_BY_ENDING = {
    "name a mapping: --mapping FILE.toml": ".csv .tsv .parquet",
    "add --texts, which takes each file as an item's body": ".txt .pdf",
    "save it as text or PDF": ".doc .docx .odt .rtf .pages .md .htm .html .epub .eml .msg",
    "save it as CSV in UTF-8, and name a mapping: --mapping FILE.toml": ".xls .xlsx .ods .numbers",
    "export its tables as CSV or Parquet, and name a mapping: --mapping FILE.toml": (
        ".sql .sqlite .sqlite3 .db .mdb .avro .orc .feather .arrow"
    ),
    "unpack it, and name the folder": ".zip .tar .tgz .7z .rar",
    "unpack it, or compress it with gzip": ".bz2 .xz .zst .lz4",
    "transform it to NewsML-G2, NITF or ninjs": ".xml .nitf .newsml .iim",
    "convert it to JSON": ".yaml .yml .toml .bson .msgpack",
}
_ADVICE = {ending: how for how, endings in _BY_ENDING.items() for ending in endings.split()}
OTHERWISE = (
    "convert it to ninjs, NewsML-G2, NITF, RSS, Atom, CSV, Parquet, plain text or PDF: "
    "docs/formats.md has an example of each"
)


def how_to_convert(kind: str) -> str:
    """Return how to convert a file of this ending, or of a kind that begins with it; "" for what
    has no ending and is not a document, such as a hidden file.
    """
    if not kind.startswith("."):
        return ""
    return _ADVICE.get(kind.split()[0], OTHERWISE)


def advice_for(ignored: Mapping[str, int]) -> dict[str, str]:
    """Return how to convert each kind of file that was passed over, the most frequent first."""
    kinds = sorted(ignored, key=lambda kind: (-ignored[kind], kind))
    return {kind: how for kind in kinds if (how := how_to_convert(kind))}


def ending_of(path: PurePath) -> str:
    """Return the ending of a file in lower case; of a gzipped file, the ending of its content."""
    return PurePath(path.name.removesuffix(".gz")).suffix.lower()
