from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.access.keys import KeyRing
from core.callers import EVERY_PRODUCT
from core.errors import SettingsError
from dateline.build import app as build_app
from dateline.build.service import profiles
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from dateline.serving.keys import key_ring
from dateline.settings import Settings, configure
from tests.dateline.conftest import Cli

SECRET = "a-very-secret-key"
KEYS = [{"name": "Post", "key": SECRET, "products": ["wire"]}]


def write(folder: Path, text: str) -> Path:
    path = folder / "dateline.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATELINE_SECOND_ENCODER")
    found = configure(folder=tmp_path)
    assert (found.settings.host, found.settings.port) == ("127.0.0.1", 8000)
    assert (found.settings.data, found.settings.profile) == (Path("data"), "best")
    assert found.settings.keys == ()
    assert {o for name, o in found.origins.items() if name != "tagger"} == {"default"}
    assert set(found.origins) == set(Settings.model_fields)


def test_a_flag_outweighs_the_environment_and_that_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, 'port = 1001\nhost = "::1"\nprofile = "lexical"\n')
    monkeypatch.setenv("DATELINE_PORT", "1002")
    monkeypatch.setenv("DATELINE_PROFILE", "vector")
    found = configure({"port": 1003, "host": None}, tmp_path)
    assert (found.settings.port, found.origins["port"]) == (1003, "flag")
    assert (found.settings.profile, found.origins["profile"]) == ("vector", "DATELINE_PROFILE")
    assert (found.settings.host, found.origins["host"]) == ("::1", str(path))
    assert found.origins["threads"] == "default"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("DATELINE_DATA", "/srv/wire", "data", Path("/srv/wire")),
        ("DATELINE_PORT", "0", "port", 0),
        ("DATELINE_DEMO", "true", "demo", True),
        ("DATELINE_ENTITY_BOOST", "1.5", "entity_boost", 1.5),
        ("DATELINE_TAGGER", "", "tagger", ""),
        ("DATELINE_HNSW_EF_SEARCH", "64", "hnsw_ef_search", 64),
    ],
)
def test_variables_are_read_by_their_setting_s_type(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    text: str,
    name: str,
    value: object,
) -> None:
    monkeypatch.setenv(variable, text)
    found = configure(folder=tmp_path)
    assert getattr(found.settings, name) == value
    assert found.origins[name] == variable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "70000"),
        ("port", "-1"),
        ("port", "eight"),
        ("threads", "0"),
        ("demo", "perhaps"),
        ("entity_boost", "nan"),
        ("max_body_bytes", "1e3x"),
        ("hnsw_m", "1"),
    ],
)
def test_a_bad_value_says_which_and_where_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"DATELINE_{name.upper()}", text)
    with pytest.raises(SettingsError, match=name) as caught:
        configure(folder=tmp_path)
    assert caught.value.where == f"DATELINE_{name.upper()}"
    monkeypatch.delenv(f"DATELINE_{name.upper()}")
    path = write(tmp_path, f'{name} = "{text}"\n')
    with pytest.raises(SettingsError, match=name) as caught:
        configure(folder=tmp_path)
    assert caught.value.where == str(path)
    path.unlink()
    with pytest.raises(SettingsError, match=name) as caught:
        configure({name: text}, tmp_path)
    assert caught.value.where == "flag"


def test_unknown_names_are_errors_not_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "prfoile = 1\n")
    with pytest.raises(SettingsError, match="'prfoile'") as caught:
        configure(folder=tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.mend == "did you mean profile?"
    path.unlink()
    monkeypatch.setenv("DATELINE_PROT", "1")
    with pytest.raises(SettingsError, match="'prot'") as caught:
        configure(folder=tmp_path)
    assert caught.value.where == "DATELINE_PROT"


def test_a_setting_of_a_command_that_is_gone_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 'port = 1001\ndev_cluster_folder = "/srv/nodes"\n')
    monkeypatch.setenv("DATELINE_DEV_CLUSTER_CACHE", "/srv/cache")
    found = configure(folder=tmp_path)
    assert found.settings.port == 1001
    assert not [name for name in found.origins if name.startswith("dev_cluster")]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("trusted_proxies", '["10.0.0.0/8"]', ("10.0.0.0/8",)),
        ("runtimes", '{"a": "openvino"}', {"a": "openvino"}),
        ("work_batch", '{"embed": 8}', {"embed": 8}),
        ("work_chunks", '{"read": 1}', {"read": 1}),
    ],
)
def test_lists_and_tables_are_json_in_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(f"DATELINE_{name.upper()}", text)
    assert getattr(configure(folder=tmp_path).settings, name) == value
    monkeypatch.setenv(f"DATELINE_{name.upper()}", text[:-1])
    with pytest.raises(SettingsError) as caught:
        configure(folder=tmp_path)
    assert caught.value.where == f"DATELINE_{name.upper()}"


@pytest.mark.parametrize("text", ["port = ", "= 1", "\x00", "[[keys]\n"])
def test_a_file_that_is_no_toml(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        configure(folder=tmp_path)
    assert caught.value.where == str(path)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "dateline.toml").write_bytes('profile = "é"'.encode("latin-1"))
    with pytest.raises(SettingsError, match="can't be read"):
        configure(folder=tmp_path)


def test_keys_from_file_and_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, f'[[keys]]\nname = "File"\nkey = "{SECRET}"\nproducts = ["wire"]\n')
    assert configure(folder=tmp_path).settings.keys[0].name == "File"
    monkeypatch.setenv("DATELINE_KEYS", json.dumps(KEYS))
    found = configure(folder=tmp_path)
    assert [key.name for key in found.settings.keys] == ["Post"]
    caller = key_ring(found.settings).caller(SECRET)
    assert caller is not None
    assert caller.products == {"wire"}
    assert not caller.may_write


@pytest.mark.parametrize(
    "keys",
    [
        f'[{{"name": "Post", "key": "{SECRET}", "colour": 1}}]',
        f'[{{"name": "Post", "sha256": "{SECRET}"}}]',
        f'[{{"key": "{SECRET}"}}]',
        f'{{"name": "Post", "key": "{SECRET}"',
        f'"{SECRET}"',
        f'[["{SECRET}"]]',
    ],
)
def test_an_error_never_tells_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("DATELINE_KEYS", keys)
    with pytest.raises(SettingsError) as caught:
        configure(folder=tmp_path)
    error = caught.value
    assert SECRET not in f"{error} {error.where} {error.mend}"
    assert error.where == "DATELINE_KEYS"


def test_settings_print_themselves_without_keys(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    monkeypatch.setenv("DATELINE_KEYS", json.dumps(KEYS))
    for text in (cli("settings").output, cli("settings", "--json").output):
        assert SECRET not in text
        assert "Post" in text
    assert SECRET not in repr(configure().settings)


def test_settings_print_values_and_origins(cli: Cli) -> None:
    rows = cli.json("settings", "--port", "1234")
    assert rows["port"] == {"value": 1234, "from": "flag"}
    assert rows["data"] == {"value": str(cli.data), "from": "flag"}
    assert rows["tagger"] == {"value": "", "from": "DATELINE_TAGGER"}
    assert rows["host"] == {"value": "127.0.0.1", "from": "default"}
    assert set(rows) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_the_demos_keys_are_for_its_service_on_loopback_only(host: str, loopback: bool) -> None:
    settings = Settings(host=host, demo=True)
    assert settings.on_loopback is loopback
    if loopback:
        ring = key_ring(settings)
        assert ring.local_only
        assert ring.caller(DEMO_READ_KEY) is not None
    else:
        with pytest.raises(SettingsError, match="no keys"):
            key_ring(settings)
    with pytest.raises(SettingsError, match="no keys"):
        key_ring(Settings(host=host))


def test_demo_keys_are_dead_once_keys_are_configured() -> None:
    ring = key_ring(Settings.model_validate({"keys": KEYS, "demo": True}))
    assert not ring.local_only
    assert [ring.caller(key) for key in (DEMO_READ_KEY, DEMO_INGEST_KEY)] == [None, None]
    assert ring.caller(SECRET) is not None


@pytest.mark.parametrize("key", [{}, {"key": ""}, {"key": None}, {"sha256": None}])
def test_a_key_needs_a_secret(key: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="Post"):
        key_ring(Settings.model_validate({"keys": [{"name": "Post", **key}]}))


def keys_of(*keys: dict[str, object]) -> KeyRing:
    given = [{"name": f"key {n}", "key": f"k{n}", **key} for n, key in enumerate(keys)]
    return key_ring(Settings.model_validate({"keys": given}))


@pytest.mark.parametrize(
    ("key", "writes"),
    [
        ({"products": ["wire"]}, frozenset[str]()),
        ({"products": ["wire"], "write": False}, frozenset[str]()),
        ({"products": ["wire", "photos"], "write": True}, {"wire", "photos"}),
        ({"products": ["wire"], "write": ["photos"]}, {"photos"}),
        ({"write": ["*"]}, EVERY_PRODUCT),
        ({"write": ["wire", "*"]}, EVERY_PRODUCT),
    ],
)
def test_a_key_writes_what_it_names(key: dict[str, object], writes: frozenset[str]) -> None:
    caller = keys_of(key).caller("k0")
    assert caller is not None
    assert (caller.writes, caller.may_write) == (writes, bool(writes))


@pytest.mark.parametrize(
    "key",
    [
        {"write": True},
        {"write": []},
        {"write": [""]},
        {"write": ["wire", " "]},
        {"products": ["*"], "write": True},  # a code to read, no word for all of them
        {"products": ["wire"], "reserves": ["urn:desk:"]},
        {"write": ["*"], "reserves": [""]},
    ],
)
def test_a_right_that_makes_no_sense_is_refused(key: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="key 0") as caught:
        keys_of(key)
    assert caught.value.where == "keys"
    assert caught.value.mend


def test_a_reserved_prefix_is_closed_to_every_other_owner() -> None:
    desk = {"name": "desk", "write": ["wire"], "reserves": ["urn:desk:", "urn:wire:"]}
    ring = keys_of(desk, {**desk, "reserves": ["urn:desk:"]}, {"write": ["*"]})
    found = {name: caller.reserved for name in ("k0", "k1", "k2") if (caller := ring.caller(name))}
    assert (found["k0"], found["k1"]) == ((), ())
    assert set(found["k2"]) == {"urn:desk:", "urn:wire:"}


@pytest.mark.parametrize("prefix", ["urn:desk:", "urn:desk:sport:", "urn:"])
def test_reserved_prefixes_do_not_overlap(prefix: str) -> None:
    desk = {"write": ["wire"], "reserves": ["urn:desk:"]}
    with pytest.raises(SettingsError, match="key 1"):
        keys_of(desk, {"write": ["wire"], "reserves": [prefix]})


def test_reranking_profiles_take_their_size_from_the_settings() -> None:
    found = profiles(Settings(rerank_candidates=50, rerank_tokens=48))
    sizes = {name: (profile.rerank_depth, profile.rerank_tokens) for name, profile in found.items()}
    assert sizes["hybrid-rerank"] == (50, 48)
    assert {size for name, size in sizes.items() if name != "hybrid-rerank"} == {(0, 0)}


def test_reranking_profiles_take_their_deadline_from_the_settings() -> None:
    by_default, found = profiles(Settings()), profiles(Settings(rerank_deadline_ms=2500))
    assert by_default["hybrid-rerank"].deadline_ms == 1000
    assert found["hybrid-rerank"].deadline_ms == 2500
    others = set(found) - {"hybrid-rerank"}
    assert all(found[name].deadline_ms == by_default[name].deadline_ms for name in others)


@pytest.mark.parametrize("deadline", [49, 60_001, float("nan"), float("inf")])
def test_a_reranking_deadline_is_50_ms_to_a_minute(deadline: float) -> None:
    with pytest.raises(ValueError, match="rerank_deadline_ms"):
        Settings(rerank_deadline_ms=deadline)


@pytest.mark.parametrize("size", [19, 101])
def test_a_reranking_size_is_twenty_to_a_hundred(size: int) -> None:
    with pytest.raises(ValueError, match="rerank_candidates"):
        Settings(rerank_candidates=size)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(SettingsError, match="'best'") as caught:
        profiles(Settings(profile="best", second_encoder=""))
    assert "hybrid" in caught.value.mend


@pytest.mark.parametrize(("processors", "searches"), [(1, 2), (3, 3), (64, 4)])
def test_there_is_a_search_for_each_processor(
    monkeypatch: pytest.MonkeyPatch, processors: int, searches: int
) -> None:
    monkeypatch.setattr(build_app, "cores", lambda: processors)
    assert build_app.searches_of(Settings()) == searches
    assert build_app.searches_of(Settings(engine="opensearch")) == 4


def test_a_variable_names_the_file_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "record").write_text("postgresql://db/dateline\n", "utf-8")
    (tmp_path / "keys").write_text(json.dumps(KEYS), "utf-8")
    monkeypatch.setenv("DATELINE_RECORD_FILE", str(tmp_path / "record"))
    monkeypatch.setenv("DATELINE_KEYS_FILE", str(tmp_path / "keys"))
    found = configure(folder=tmp_path)
    assert found.settings.record.get_secret_value() == "postgresql://db/dateline"
    assert found.settings.keys[0].name == "Post"
    assert found.origins["record"] == "DATELINE_RECORD_FILE"
    assert found.origins["keys"] == "DATELINE_KEYS_FILE"


@pytest.mark.parametrize("content", [None, b"\xff", b"x" * (2**20 + 1)])
def test_a_secret_that_is_missing_or_no_text_is_named_and_not_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    file = tmp_path / SECRET
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("DATELINE_RECORD_FILE", str(file))
    with pytest.raises(SettingsError) as caught:
        configure(folder=tmp_path)
    assert caught.value.where == "DATELINE_RECORD_FILE"
    assert SECRET not in f"{caught.value}{caught.value.what}{caught.value.mend}"


def test_a_setting_has_a_value_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "record").write_text("postgresql://db/dateline", "utf-8")
    monkeypatch.setenv("DATELINE_RECORD", "postgresql://other/dateline")
    monkeypatch.setenv("DATELINE_RECORD_FILE", str(tmp_path / "record"))
    with pytest.raises(SettingsError):
        configure(folder=tmp_path)


def test_a_file_for_no_setting_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_RECRD_FILE", str(tmp_path / "record"))
    with pytest.raises(SettingsError):
        configure(folder=tmp_path)
