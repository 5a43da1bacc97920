"""Single settings are changed in dateline.toml; every other line stays as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsError
from dateline.settings import configure
from dateline.settings_file import write_settings

BEFORE = """\
# our newsroom
port = 8001   # behind the proxy
entity_boost=0.1

# who may read
[[keys]]
name = "desk"
key = "entity_boost = 9"
products = ["wire"]
"""


def test_values_are_changed_and_added_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "dateline.toml"
    path.write_text(BEFORE)
    path.chmod(0o600)
    diff = write_settings(tmp_path, {"entity_boost": 0.2, "port": 9000, "lexical_weight": 0.4})
    after = path.read_text()
    expected = "lexical_weight = 0.4\n" + BEFORE.replace("port = 8001 ", "port = 9000 ").replace(
        "entity_boost=0.1\n", "entity_boost=0.2\n"
    )
    assert after == expected
    assert "-entity_boost=0.1" in diff
    assert "+lexical_weight = 0.4" in diff
    assert "desk" not in diff
    assert path.stat().st_mode & 0o777 == 0o600
    assert configure(folder=tmp_path).settings.lexical_weight == 0.4
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_so_already_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "dateline.toml"
    path.write_text(BEFORE)
    stamp = path.stat().st_mtime_ns
    assert write_settings(path, {"port": 8001}) == ""
    assert path.stat().st_mtime_ns == stamp


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    write_settings(tmp_path / "dateline.toml", {"profile": "hybrid-rrf", "demo": True})
    assert (tmp_path / "dateline.toml").read_text() == 'profile = "hybrid-rrf"\ndemo = true\n'


def test_a_last_line_without_an_end_and_other_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "dateline.toml"
    path.write_bytes(b"port = 1\r\nthreads = 1")
    write_settings(path, {"port": 2, "waiting": 3})
    assert path.read_bytes() == b"waiting = 3\r\nport = 2\r\nthreads = 1"


@pytest.mark.parametrize(
    ("text", "values", "told"),
    [
        ("port = 1\n", {"prot": 2}, "prot"),
        ("port = 1\n", {"port": 70000}, "port"),
        ("port = \n", {"port": 2}, "can't be read"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    tmp_path: Path, text: str, values: dict[str, str | int], told: str
) -> None:
    path = tmp_path / "dateline.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=told) as caught:
        write_settings(path, values)
    assert caught.value.where == str(path)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("text", "values", "after"),
    [
        ("a = '''\nport = 1\n'''\n", {"port": 2}, "port = 2\na = '''\nport = 1\n'''\n"),
        ("profile = '''\nx'''\n", {"profile": "hybrid"}, 'profile = "hybrid"\n'),
        ('"port" = 1\n', {"port": 2}, '"port" = 2\n'),
        (
            "# why\n\n[runtimes]\nport = 1\n",
            {"port": 2},
            "port = 2\n# why\n\n[runtimes]\nport = 1\n",
        ),
        ("# why\n", {"port": 2}, "port = 2\n# why\n"),
        ("keys = []\nport=1#c", {"port": 2}, "keys = []\nport=2#c"),
    ],
)
def test_what_is_written_in_other_ways_is_edited_too(
    tmp_path: Path, text: str, values: dict[str, str | int], after: str
) -> None:
    path = tmp_path / "dateline.toml"
    path.write_text(text)
    write_settings(path, values)
    assert path.read_text() == after


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_a_value(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "dateline.toml"
    path.write_text(BEFORE)
    write_settings(path, {"encoder": text})
    assert tomllib.loads(path.read_text("utf-8"))["encoder"] == text
