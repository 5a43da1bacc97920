from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dateline
from dateline.default_folders import default_models
from inference.runtimes.loading import installed
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines

BAD = ['{"uri": broken', '{"version": "1", "headline": "No uri"}', '{"uri": 5}']


# --- ingest


def test_ingest_says_what_it_did_and_repeating_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    wire = write_lines(tmp_path / "wire.jsonl", *DOCUMENTS)
    assert "3 read, 3 created" in cli("ingest", wire, "--products", "demo").stdout
    report = cli.json("ingest", wire, "--products", "demo")
    assert (report["read"], report["created"], report["unchanged"]) == (3, 0, 3)
    newer = {**DOCUMENTS[0], "version": "2", "headline": "Ferry afloat"}
    report = cli.json("ingest", write_lines(wire, newer), "--products", "demo")
    assert report["superseded"] == 1
    report = cli.json("ingest", write_lines(wire, DOCUMENTS[0]), "--products", "demo")
    assert (report["unchanged"], report["refused"]) == (1, [])  # superseded, but known
    older = {**DOCUMENTS[0], "version": "0"}
    report = cli.json("ingest", write_lines(wire, older), "--products", "demo", code=1)
    assert report["stale"] == 1
    assert report["refused"][0]["uri"] == "urn:ferry"


def test_bad_documents_are_reported_with_their_lines_and_the_rest_goes_on(
    cli: Cli, tmp_path: Path
) -> None:
    wire = write_lines(tmp_path / "wire.jsonl", DOCUMENTS[0], *BAD, DOCUMENTS[1])
    result = cli("ingest", wire, "--products", "demo", code=1)
    assert "5 read, 2 created, 3 rejected" in result.stdout
    for line in ("line 2", "line 3, field uri", "line 4, field uri"):
        assert line in result.stderr
    assert set(cli.found("")) == {"urn:ferry", "urn:photo"}


def test_rejections_for_machines(cli: Cli, tmp_path: Path) -> None:
    wire = write_lines(tmp_path / "wire.jsonl", *BAD, DOCUMENTS[1])
    report = cli.json("ingest", wire, code=1)
    assert (report["read"], report["created"], report["rejected"]) == (4, 1, 3)
    places = [(row["file"], row["line"]) for row in report["rejections"]]
    assert places == [(str(wire), 1), (str(wire), 2), (str(wire), 3)]
    assert all(row["reason"] for row in report["rejections"])


def test_strict_stops_at_the_first_bad_document(cli: Cli, tmp_path: Path) -> None:
    wire = write_lines(tmp_path / "wire.jsonl", DOCUMENTS[0], BAD[1], DOCUMENTS[1])
    result = cli("ingest", wire, "--strict", "--products", "demo", code=2)
    assert "wire.jsonl:2" in result.stderr
    assert cli.found("") == ["urn:ferry"]


def test_what_is_not_there_is_an_error(cli: Cli) -> None:
    assert "no such file" in cli("ingest", "nowhere", code=2).stderr
    assert "no such manifest" in cli("ingest", "--manifest", "nowhere.csv", code=2).stderr
    assert "no bucket" in cli("ingest", "s3://", code=2).stderr


def test_a_folder_of_nothing_and_an_archive_of_nothing_say_so(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there" in cli("ingest", tmp_path / "empty").stdout
    assert "dateline ingest" in cli("search", "ferry").stdout


ASKING = [
    ("search", "ferry"),
    ("suggest", "fe"),
    ("status",),
    ("status", "--undescribed"),
    ("set-status", "urn:ferry", "canceled"),
    ("embed",),
    ("rebuild",),
    ("backup", "copy"),
    ("jobs", "list"),
    ("jobs", "failed"),
    ("captions", "status"),
    ("index", "check"),
    ("migration", "status"),
    ("migration", "start"),
]


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
def test_what_needs_an_archive_makes_none_where_there_is_none(
    cli: Cli, command: tuple[str, ...]
) -> None:
    for there in (False, True):  # no folder, then a folder of other things
        cli.data.mkdir(exist_ok=True) if there else None
        told = cli(*command, code=2)
        for part in ("there is no archive", f"where: {cli.data}", "mend:", "--data"):
            assert part in told.stderr
        assert told.stdout == ""
        assert cli.data.exists() == there
    assert list(cli.data.iterdir()) == []


def test_a_picture_without_words_is_told_so(cli: Cli, tmp_path: Path) -> None:
    bare = {"uri": "urn:bare", "type": "picture", "products": ["demo"]}
    cli("ingest", write_lines(tmp_path / "wire.jsonl", bare))
    assert "1 picture without a description" in cli("search").stdout


def test_without_a_product_an_item_is_for_nobody(cli: Cli, tmp_path: Path) -> None:
    wire = write_lines(tmp_path / "wire.jsonl", DOCUMENTS[0])
    assert "default_products" in cli("ingest", wire).stdout
    assert cli.json("ingest", wire)["warnings"] == {"without product": 1}
    assert cli.found("ferry") == []


def test_without_a_product_an_item_has_the_default_ones(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_DEFAULT_PRODUCTS", "news, demo")
    own = {**DOCUMENTS[1], "products": ["sport"]}
    report = cli.json("ingest", write_lines(tmp_path / "wire.jsonl", DOCUMENTS[0], own))
    assert report["warnings"] == {}
    assert cli.found("ferry", "--products", "news") == ["urn:ferry"]
    assert cli.found("ferry", "--products", "sport") == ["urn:photo"]


def test_files_of_a_folder_that_are_passed_over_are_counted_by_kind(
    cli: Cli, tmp_path: Path
) -> None:
    wire = tmp_path / "wire"
    wire.mkdir()
    write_lines(wire / "wire.jsonl", DOCUMENTS[0])
    for name in ("a.pdf", "b.PDF", ".DS_Store"):
        (wire / name).write_text("x")
    report = cli.json("ingest", wire, "--products", "demo")
    assert report["ignored_files"] == 3
    assert report["ignored_by_kind"] == {".pdf": 2, "hidden": 1}
    assert "2 .pdf, 1 hidden" in cli("ingest", wire, "--products", "demo").stdout


def test_documents_of_other_formats_are_found(cli: Cli, tmp_path: Path) -> None:
    samples = Path(__file__).parents[1] / "fixtures" / "formats"
    (tmp_path / "notes.txt").write_text("A lighthouse was painted\nIt is red now.")
    (tmp_path / "feed.rss").write_bytes((samples / "rss.xml").read_bytes())
    (tmp_path / "wire.nitf").write_bytes((samples / "nitf.xml").read_bytes())
    report = cli.json("ingest", tmp_path, "--texts", "--products", "demo", code=1)
    assert (report["created"], report["rejected"]) == (4, 1)
    assert report["rejections"][0]["line"] == 30
    assert cli.found("lighthouse")[0].startswith("urn:sha256:")
    assert "urn:nitf:dateline.example:20260315-ferry" in cli.found("ferry sandbank")
    again = cli.json("ingest", tmp_path, "--texts", "--products", "demo", code=1)
    assert (again["created"], again["unchanged"]) == (0, 4)


def test_a_dry_run_shows_what_a_mapping_makes_and_records_nothing(cli: Cli, tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text('[columns]\nid = "uri"\ntitle = "headline"\n')
    table = tmp_path / "t.csv"
    table.write_text("id,title,more\na,A ferry,x\n,no uri,\n")
    told = cli.json("ingest", table, "--mapping", mapping, "--dry-run", code=1)
    first, second = told["documents"]
    assert first["ninjs"] == {"uri": "a", "headline": "A ferry"}
    assert [warning.partition(": ")[2] for warning in first["warnings"]] == ["more"]
    assert (second["line"], second["field"]) == (3, "uri")
    assert not cli.data.exists()
    assert "A ferry" in cli("ingest", table, "--mapping", mapping, "--dry-run", code=1).stdout
    report = cli.json("ingest", table, "--mapping", mapping, "--products", "demo", code=1)
    assert (report["created"], report["rejected"]) == (1, 1)
    assert cli.json("ingest", tmp_path, "--products", "demo")["ignored_advice"].keys() == {
        ".csv",
        ".toml",
    }


@pytest.mark.service
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_ingest_tells_its_counts(
    cli: Cli, tmp_path: Path, number: signal.Signals
) -> None:
    """A pipe has no end until it is closed, so the ingest is under way when the signal comes."""
    wire = tmp_path / "wire.jsonl"
    os.mkfifo(wire)
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from dateline.cli import main; main()"
    )
    command = [sys.executable, "-P", "-c", start, "ingest", str(wire), "--data", str(cli.data)]
    root = Path(dateline.__file__).parent.parent
    process = subprocess.Popen(
        [*command, "--products", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
    )
    with wire.open("w") as pipe:  # waits until it is read
        pipe.writelines(json.dumps(story) + "\n" for story in DOCUMENTS)
        pipe.flush()
        process.send_signal(number)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 130
    assert re.search(r"^\d+ read", output, re.MULTILINE)


def test_colons_in_a_uri_are_no_emoji(cli: Cli, tmp_path: Path) -> None:
    smile = {**DOCUMENTS[0], "uri": "urn:smile:x:1"}
    cli("ingest", write_lines(tmp_path / "wire.jsonl", smile), "--products", "demo")
    assert "urn:smile:x:1" in cli("search", "ferry").stdout


# --- search


def test_search_for_people(reading: Cli) -> None:
    shown = reading("search", "ferry", "--facet", "type,place", "--explain").stdout
    for text in ("Ferry aground", "urn:photo", "bm25", "vectors text", "fused"):
        assert text in shown
    assert "type: picture 1, text 1" in shown  # of the strong hits
    assert "place: Kalymira 1" in shown
    assert "A [bold]ferry[/] at the quay." in shown  # a document's text is no markup


def test_names_of_a_query_boost_filter_or_are_left_alone(
    reading: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATELINE_TAGGER")

    def names(*options: str) -> list[tuple[str, str, str]]:
        answer = reading.json("search", "angela merkel raises rates", *options)
        found = answer["data"]["understood"]["entities"]
        return [(name["text"], name["canonical"], name["use"]) for name in found]

    assert names("--entities", "filter") == [("angela merkel", "Angela Merkel", "filter")]
    assert names("--entities", "off") == []
    assert names()[0][:2] == ("angela merkel", "Angela Merkel")
    shown = reading(
        "search", "angela merkel raises rates", "--entities", "filter", "--explain"
    ).stdout
    assert "angela merkel: person Angela Merkel, filters" in shown
    assert "Ferry at the quay" not in shown
    assert "--entities" in reading("search", "x", "--entities", "maybe", code=2).stderr


def test_search_for_machines(reading: Cli) -> None:
    answer = reading.json("search", "ferry", "--facet", "type")
    assert set(answer) == {"api_version", "id", "method", "params", "updated", "data"}
    data = answer["data"]
    assert data["current_item_count"] == len(data["items"]) == 3
    assert data["total_items"] + data["related_items"] == 3
    assert data["total_items"] == sum(facet["count"] for facet in data["facets"]["type"]) >= 2
    assert data["total_relation"] == "window"
    assert {"urn:ferry", "urn:photo"} == {e["item"]["uri"] for e in data["items"][:2]}


def test_what_nothing_answers_has_no_strong_hit(reading: Cli) -> None:
    nothing = reading.json("search", "zzzqqxx")["data"]
    assert (nothing["total_items"], nothing["facets"]) == (0, {})
    assert nothing["related_items"] == len(nothing["items"]) > 0
    assert {entry["meta"]["relevance"] for entry in nothing["items"]} == {"related"}
    assert reading.found("zzzqqxx", "--min-relevance", "strong") == []
    quoted = reading.json("search", '"ferry"')["data"]
    assert quoted["related_items"] is None
    assert quoted["items"][0]["meta"]["relevance"] is None


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--type", "picture,text", "--since", "2024"], ["urn:ferry", "urn:photo"]),
        (["--since", "2024-03"], ["urn:ferry"]),
        (["--since", "2023-12-31", "--until", "2024-02-05"], ["urn:photo", "urn:bank"]),
        (["--products", "demo"], ["urn:ferry", "urn:photo", "urn:bank"]),
        (["--sort", "versioncreated:asc"], ["urn:bank", "urn:photo", "urn:ferry"]),
        (["--page", "2", "--page-size", "2"], ["urn:bank"]),
    ],
)
def test_filters_and_order(reading: Cli, arguments: list[str], found: list[str]) -> None:
    assert reading.found("", *arguments) == found


def test_profiles(reading: Cli) -> None:
    assert set(reading.found("ferry", "--profile", "lexical")) == {"urn:ferry", "urn:photo"}
    assert reading.found("mortgage costs", "--profile", "vector")[0] == "urn:bank"
    assert "no profile" in reading("search", "x", "--profile", "best", code=3).stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["date:2024-13"], "2024-13"),
        (["x", "--since", "yesterdayish"], "not a date"),
        (["x", "--page-size", "0"], "page-size"),
        (["x", "--facet", "colour"], "colour"),
        (["x", "--products", "secret"], "secret"),
    ],
)
def test_what_is_asked_wrong(reading: Cli, arguments: list[str], says: str) -> None:
    result = reading("search", *arguments, code=2)
    assert says in result.stderr
    assert "mend:" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("page", ["0", "-1", "99999999999999999999", "two"])
def test_a_page_that_is_none(reading: Cli, page: str) -> None:
    assert "--page" in reading("search", "x", "--page", page, code=2).stderr


def test_terminal_commands_in_texts_and_queries_are_harmless(cli: Cli, tmp_path: Path) -> None:
    evil = {**DOCUMENTS[0], "headline": "Ferry \u001b[2J\u001b]0;owned\u0007 aground"}
    cli("ingest", write_lines(tmp_path / "wire.jsonl", evil), "--products", "demo")
    for shown in (cli("search", "ferry").stdout, cli("search", "\u001b[2J", code=None).output):
        assert "\u001b" not in shown
        assert "\u0007" not in shown


# --- care of the archive


def test_status(reading: Cli) -> None:
    found = reading.json("status")
    assert (found["items"], found["visible"], found["passages"]) == (3, 3, 3)
    assert {part["lag"] for part in found["projections"].values()} == {0}
    assert "3 versions, 3 visible" in reading("status").stdout


def test_what_nobody_describes_is_listed_until_somebody_does(cli: Cli, tmp_path: Path) -> None:
    bare = [{"uri": f"urn:bare-{n}", "type": "video", "byline": "B."} for n in range(3)]
    cli("ingest", write_lines(tmp_path / "a.jsonl", *DOCUMENTS, *bare), "--products", "demo")
    found = cli.json("status", "--undescribed")
    assert (found["media"], found["described"], found["undescribed"]) == (4, 1, 3)
    assert [item["uri"] for item in found["items"]] == ["urn:bare-0", "urn:bare-1", "urn:bare-2"]
    some = cli.json("status", "--undescribed", "--limit", "2")
    assert (some["undescribed"], len(some["items"])) == (3, 2)
    shown = cli("status", "--undescribed", "--limit", "2").stdout
    assert "3 of 4 pictures, videos and sounds are undescribed" in shown
    assert "urn:bare-1" in shown
    assert "1 more" in shown
    described = {**bare[0], "version": 2, "description_caption": "A boat."}
    cli("ingest", write_lines(tmp_path / "b.jsonl", described), "--products", "demo")
    assert cli.json("status", "--undescribed")["undescribed"] == 2


def test_a_kill_an_embargo_and_back(writing: Cli) -> None:
    assert "updated" in writing("set-status", "urn:ferry", "canceled").stdout
    assert "held" in writing("set-status", "urn:not-recorded-yet", "canceled").stdout
    assert writing.found("") == ["urn:photo", "urn:bank"]
    writing("set-status", "urn:ferry", "usable")
    writing("set-status", "urn:photo", "--embargo", "2999")
    assert writing.found("") == ["urn:ferry", "urn:bank"]
    writing("set-status", "urn:photo", "--lift")
    assert writing.found("") == ["urn:ferry", "urn:photo", "urn:bank"]


def test_a_status_that_can_not_be_set(writing: Cli) -> None:
    assert "nothing to change" in writing("set-status", "urn:ferry", code=2).stderr
    assert "not a date" in writing("set-status", "urn:ferry", "--embargo", "soon", code=2).stderr
    assert writing("set-status", "urn:ferry", "burned", code=2)
    assert len(writing.found("")) == 3


def test_backup_and_restore(writing: Cli, folder: Path) -> None:
    copy = folder / "wire.backup"
    assert "checked" in writing("backup", copy).stdout
    writing("set-status", "urn:ferry", "canceled")
    assert "exists" in writing("backup", copy, code=2).stderr
    lost = folder / "no" / "wire.backup"
    assert str(lost.parent) in " ".join(writing("backup", lost, code=2).stderr.split())
    assert "--force" in writing("restore", copy, code=2).stderr
    assert "urn:ferry" not in writing.found("")
    writing("restore", copy, "--force")
    assert writing.found("") == ["urn:ferry", "urn:photo", "urn:bank"]
    assert set(writing.found("ferry", "--profile", "lexical")) == {"urn:ferry", "urn:photo"}
    fresh = Cli(folder / "fresh")
    fresh("restore", copy)
    assert fresh.found("mortgage costs")[0] == "urn:bank"


def test_a_restore_names_what_was_hidden_since(writing: Cli, folder: Path) -> None:
    """Each line is the command that hides the item again; where nothing knows, there is none."""
    copy = folder / "wire.backup"
    writing("set-status", "urn:bank", "withheld")
    writing("backup", copy)
    writing("set-status", "urn:ferry", "canceled")
    writing("set-status", "urn:photo", "--embargo", "2999-01-02T03:04:05Z")
    writing("set-status", "urn:not there", "canceled")
    told = writing("restore", copy, "--force").stdout.splitlines()
    assert [line.split(None, 2)[2] for line in told if "dateline set-status" in line] == [
        "urn:ferry canceled",
        "'urn:not there' canceled",
        "urn:photo --embargo 2999-01-02T03:04:05Z",
    ]
    assert "set-status" not in Cli(folder / "fresh")("restore", copy).stdout


def test_a_backup_that_is_none_replaces_nothing(writing: Cli, folder: Path) -> None:
    broken = folder / "broken"
    broken.write_bytes(b"not a database" * 500)
    assert "not a backup" in writing("restore", broken, "--force", code=4).stderr
    assert "no such file" in writing("restore", folder / "none", "--force", code=2).stderr
    assert len(writing.found("")) == 3


def test_rebuild_makes_the_indexes_from_the_record(writing: Cli) -> None:
    before = writing.found("ferry")
    shutil.rmtree(writing.data / "projections")
    assert "rebuilt: 3 documents, 3 passages" in writing("rebuild").stdout
    assert writing.found("ferry") == before


# --- doctor


def test_doctor_finds_nothing_wrong(reading: Cli) -> None:
    rows = reading.json("doctor")
    assert all(row["ok"] for row in rows)
    said = {row["what"]: row["says"] for row in rows}
    assert said["archive"] == "3 versions, 3 visible"
    assert "1.000" in said["recall"]
    assert said["model all-MiniLM-L6-v2"] == "every checksum matches"


def copied_models(folder: Path) -> Path:
    target = folder / "models"
    shutil.copytree(
        default_models() / "all-MiniLM-L6-v2", target / "all-MiniLM-L6-v2", dirs_exist_ok=True
    )
    return target


def test_doctor_names_a_changed_model_and_how_to_mend_it(reading: Cli, folder: Path) -> None:
    models = copied_models(folder)
    graph = models / "all-MiniLM-L6-v2" / "model.int8.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    rows = reading.json("doctor", "--models", str(models), code=1)
    wrong = {row["what"]: row for row in rows if not row["ok"]}
    assert "model.int8.onnx" in wrong["model all-MiniLM-L6-v2"]["says"]
    assert "git checkout" in wrong["model all-MiniLM-L6-v2"]["mend"]
    assert set(wrong) <= {"model all-MiniLM-L6-v2", "reranker", "archive"}
    assert "no model 'bge-small-en-v1.5'" in wrong["reranker"]["says"]  # it was not copied
    shown = reading("doctor", "--models", str(models), code=1).stdout
    assert "mend:" in shown
    assert "model.int8.onnx" in reading("search", "x", "--models", str(models), code=6).stderr


def test_doctor_without_models(
    reading: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_PULLED_MODELS", str(tmp_path / "pulled"))  # not those of the user
    rows = reading.json("doctor", "--models", str(tmp_path / "none"), code=1)
    wrong = next(row for row in rows if not row["ok"])
    assert wrong["what"] == "models"
    assert wrong["mend"]


@pytest.mark.parametrize(
    ("setting", "value", "role", "says", "mend"),
    [
        ("TAGGER", "nosuch", "tagger", "nosuch: there is no model", "known: "),
        ("TAGGER", "all-MiniLM-L6-v2", "tagger", "to encode, not to tag", "setting `tagger`"),
        ("RERANKER", "distilbert-ner-news", "reranker", "not to encode or score", "models list"),
        ("ENCODER", "distilbert-ner-news", "encoder", "to tag, not to encode", "`encoder`"),
        ("SECOND_ENCODER", "no such", "second_encoder", "can't be a model's name", "settings"),
        ("RUNTIMES", '{"bge-small-en-v1.5":"nosuch"}', "reranker", "no runtime", "onnxruntime"),
        (
            "RUNTIMES",
            '{"bge-small-en-v1.5":"torch"}',
            "reranker",
            "bge-small-en-v1.5: the runtime",
            "runtime",
        ),
        pytest.param(
            *("RUNTIMES", '{"bge-small-en-v1.5":"openvino"}', "reranker"),
            *("needs openvino, which is not installed", "pip install"),
            marks=pytest.mark.skipif(installed("openvino"), reason="OpenVINO is installed"),
        ),
    ],
)
def test_doctor_names_a_model_that_can_not_do_what_it_is_named_for(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    role: str,
    says: str,
    mend: str,
) -> None:
    monkeypatch.setenv(f"DATELINE_{setting}", value)
    rows = {row["what"]: row for row in cli.json("doctor", code=1)}
    assert [what for what, row in rows.items() if not row["ok"]] == [role]
    assert says in rows[role]["says"]
    assert mend in rows[role]["mend"]


def test_doctor_asks_for_no_model_that_is_not_named(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_RERANKER", "")
    rows = {row["what"]: row for row in cli.json("doctor")}
    assert not {"tagger", "reranker", "second_encoder"} & rows.keys()
    assert rows["encoder"]["says"].startswith("all-MiniLM-L6-v2, in onnxruntime")


def test_doctor_tells_of_an_index_that_was_damaged(writing: Cli) -> None:
    damaged = next((writing.data / "projections" / "lexical").glob("*.store"))
    damaged.write_bytes(damaged.read_bytes()[:-7] + b"garbage")
    rows = writing.json("doctor", code=None)
    assert any("damaged" in row["says"] for row in rows)
    assert set(writing.found("ferry", "--profile", "lexical")) == {"urn:ferry", "urn:photo"}


def test_doctor_before_the_first_ingest(cli: Cli) -> None:
    rows = {row["what"]: row for row in cli.json("doctor")}
    assert "none yet" in rows["archive"]["says"]
    assert not (cli.data / "record.sqlite3").exists()


# --- mistakes


def test_an_unknown_flag_is_a_usage_error(cli: Cli) -> None:
    assert cli("search", "x", "--colour", "red", code=2)


def test_settings_of_an_unknown_name_stop_every_command(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_PROT", "1")
    for command in (["search", "x"], ["status"], ["settings"], ["doctor"], ["serve"]):
        assert "DATELINE_PROT" in cli(*command, code=3).stderr


def test_json_is_json_even_when_a_document_has_markup(reading: Cli) -> None:
    text = reading("search", "quay", "--json").stdout
    assert "[bold]" in json.dumps(json.loads(text))
