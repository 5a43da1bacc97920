"""What the pages point to is there: files by path, pages by link, headings by anchor."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "training" / "README.md",
    ROOT / "datasets" / "news" / "README.md",
]
_PATH = re.compile(r"`((?:[a-z_]+/)+[\w.*-]+\.(?:py|md|toml|tsv|jsonl?|txt))`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ROOMS = {path.name for path in ROOT.iterdir() if path.is_dir()}


def paths(text: str) -> list[str]:
    """Paths that begin with a folder of the repository."""
    return [path for path in _PATH.findall(text) if path.split("/")[0] in _ROOMS]


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, link: str) -> bool:
    """Whether a relative link leads nowhere."""
    target, _, anchor = link.partition("#")
    place = (page.parent / target).resolve() if target else page
    return not place.exists() or (bool(anchor) and anchor not in anchors(place))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_to_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [link for link in _LINK.findall(text) if "://" not in link and link[0] != "/"]
    missing = [path for path in paths(text) if not list(ROOT.glob(path))]
    assert missing + [link for link in links if broken(page, link)] == []


def test_the_pages_name_paths_and_links() -> None:
    texts = [page.read_text("utf-8") for page in PAGES]
    assert sum(len(paths(text)) for text in texts) > 100
    assert sum(len(_LINK.findall(text)) for text in texts) > 100
