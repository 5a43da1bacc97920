"""What the settings make of captions."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.errors import ModelError, SettingsError
from core.media import Caption, Uncaptioned
from dateline.build.media.captions import batch_captioner_of, captioner_of, open_book
from dateline.settings import SPENT, Settings
from indexing.captions.calls import CAP
from tests.bedrock_server import KEY_ID, REGION, SECRET, bedrock
from tests.caption_provider import KEY, CaptionServer
from tests.indexing.captions.world import EDGE, Book, jpeg, still


def settings(folder: Path, **changed: Any) -> Settings:
    made = {"data": folder, "captioner": "openai", "caption_model": "m", "caption_key": KEY}
    return Settings.model_validate({**made, **changed})


def test_no_captioner_unless_one_is_set(folder: Path) -> None:
    assert captioner_of(Settings(data=folder)) is None
    assert batch_captioner_of(Settings(data=folder)) is None
    assert list(folder.iterdir()) == []


def test_a_provider_by_its_settings(folder: Path) -> None:
    priced = {"caption_price_in": 1000, "caption_price_out": 1000, "caption_daily_spend": 6}
    with CaptionServer() as server:
        chosen = settings(folder, caption_url=server.base_url, caption_at_once=1, **priced)
        made = captioner_of(chosen)
        assert made is not None
        assert made.leaves
        found = made.caption([still()] * 12)
        large = made.caption([still(jpeg=jpeg(size=(EDGE + 1, 4)))])
        made.close()
        asked = server.asked()
    captions = [one for one in found if isinstance(one, Caption)]
    assert 1 <= len(captions) == len(asked) < 12
    assert captions[0].made_by.startswith("m@1-")
    assert found[-1] == Uncaptioned(CAP, again=True)
    assert isinstance(large[0], Uncaptioned)
    assert asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert asked[0].json["model"] == "m"
    assert (folder / SPENT).exists()
    book = open_book(chosen)
    assert 0 < book.spent(datetime.now(UTC).date().isoformat()) <= 6
    book.close()


def test_bedrock_by_its_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A throttled question is asked again, each one signed, and only the answer is paid."""
    for name, value in ("ACCESS_KEY_ID", KEY_ID), ("SECRET_ACCESS_KEY", SECRET), ("REGION", REGION):
        monkeypatch.setenv(f"AWS_{name}", value)
    book = Book()
    with bedrock() as server:
        server.say.append((429, "ThrottlingException", {"message": "Too many requests"}))
        priced = {"caption_price_in": 1, "caption_price_out": 1}
        chosen = settings(folder, captioner="bedrock", caption_url=server.url, **priced)
        made = captioner_of(chosen, book)
        assert made is not None
        (found,) = made.caption([still()])
        made.close()
    assert isinstance(found, Caption)
    assert found.made_by.startswith("m@1-")
    assert (len(server.requests), server.refused) == (2, [])
    assert sum(book.days.values()) == pytest.approx(850 / 1e6)


def test_a_book_that_is_given_is_the_one_that_is_used(folder: Path) -> None:
    book = Book()
    with CaptionServer() as server:
        made = captioner_of(settings(folder, caption_url=server.base_url), book)
        assert made is not None
        made.caption([still()])
        made.close()
    assert len(book.days) == 1
    assert not (folder / SPENT).exists()


def test_batches_share_the_settings(folder: Path) -> None:
    with CaptionServer() as server:
        made = batch_captioner_of(settings(folder, caption_url=server.base_url))
        single = captioner_of(settings(folder, caption_url=server.base_url))
        assert made is not None
        assert single is not None
        assert made.digest == single.digest
        assert made.submit({"a": still()}, "packet").batch
        made.close()
        single.close()


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"caption_model": ""}, "caption_model"),
        ({"caption_daily_spend": 5}, "caption_daily_spend"),
        ({"caption_daily_spend": 5, "caption_price_in": 1}, "caption_daily_spend"),
        ({"caption_url": "ftp://host/v1"}, "caption_url"),
        ({"caption_url": "host/v1"}, "caption_url"),
        ({"caption_url": "https://user:hunter2@host/v1"}, "caption_url"),
        ({"caption_url": "https://host/v1?key=hunter2"}, "caption_url"),
        ({"caption_url": "http://host:99999/"}, "caption_url"),
        ({"caption_key": "hunter2\nx-evil: 1"}, "caption_key"),
        ({"caption_key": "schlüssel-hunter2"}, "caption_key"),
    ],
)
def test_settings_that_can_not_be_right(
    folder: Path, changed: dict[str, object], where: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        captioner_of(settings(folder, **changed))
    assert caught.value.where == where
    assert "hunter2" not in str(caught.value)


def test_an_unknown_model_says_what_there_is(folder: Path) -> None:
    with pytest.raises(ModelError, match="no model 'nothing'"):
        captioner_of(settings(folder, captioner="nothing"))
    with pytest.raises(ModelError) as caught:
        captioner_of(settings(folder, captioner="blip-image-captioning-large"))
    assert "dateline models pull blip-image-captioning-large" in caught.value.mend
    with pytest.raises(ModelError, match="for caption"):
        captioner_of(settings(folder, captioner="all-MiniLM-L6-v2"))


def test_the_key_is_told_by_no_settings(folder: Path) -> None:
    chosen = settings(folder)
    assert KEY not in repr(chosen) + str(chosen.model_dump(mode="json"))


def test_another_model_is_another_digest(folder: Path) -> None:
    digests = set()
    for model in ("m", "n"):
        made = captioner_of(settings(folder, caption_model=model), Book())
        assert made is not None
        digests.add(made.digest)
        made.close()
    assert len(digests) == 2


def test_the_base_install_composes_without_the_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('openai', 'tenacity', 'pybreaker', 'json_repair',"
        " 'defusedxml', 'PIL', 'sqlalchemy'):\n"
        "    sys.modules[name] = None\n"
        "import dateline.build.media.captions as b, indexing.captions.rights\n"
        "from dateline.settings import SPENT, Settings\n"
        "assert b.captioner_of(Settings()) is None\n"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=240)
