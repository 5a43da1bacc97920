"""`make dev-cluster`: what it refuses, what it ends, and a real cluster that comes and goes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from core.errors import BusyError, CorruptError, InputError, SettingsError, StorageError
from scripts.dev_cluster import machine, parts
from scripts.dev_cluster.__main__ import app
from scripts.dev_cluster.cluster import DevCluster, Shape
from scripts.dev_cluster.folders import cache_folder
from scripts.dev_cluster.home import MODULES, assemble, check_home, check_reach
from scripts.dev_cluster.node import Node, end_nodes, last_words
from scripts.dev_cluster.parts import VERSION, Part, check_part, fetch_parts, locked_parts
from scripts.dev_cluster.state import ClusterState, held
from tests.opensearch_node import free_port, need_opensearch

ROOT = Path(__file__).parents[2]


def program(folder: Path, name: str, body: str) -> Path:
    """A shell script that stands for a program."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
    path.chmod(0o755)
    return path


def part(folder: Path, name: str, content: bytes, place: str = "lib") -> Part:
    (folder / name).write_bytes(content)
    return Part(place, name, hashlib.sha256(content).hexdigest())


# --- the parts


def test_the_lock_file_has_what_a_node_needs() -> None:
    parts = locked_parts()
    places = {each.place for each in parts}
    assert {f"modules/{name}" for name in MODULES} <= places
    assert {"lib", "plugins/opensearch-knn", "plugins/neural-search"} <= places
    names = {each.name for each in parts}
    assert {f"opensearch-{VERSION}.jar", "log4j-core-2.21.0.jar"} <= names
    # A node refuses to start if a module brings a file that the server has itself.
    assert len(names) == len(parts)


def test_a_spoilt_lock_file_is_told_by_its_line(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text(f"# why\n{'0' * 64}  lib/a.jar\n{'0' * 64}  ../../etc/a.jar\n", "utf-8")
    with pytest.raises(CorruptError, match="not a line") as caught:
        locked_parts(lock)
    assert caught.value.where == f"{lock}:3"


def test_a_file_with_another_checksum_is_refused(tmp_path: Path) -> None:
    good = part(tmp_path, "a.jar", b"as published")
    check_part(tmp_path / "a.jar", good)
    (tmp_path / "a.jar").write_bytes(b"as somebody changed it")
    with pytest.raises(CorruptError, match=r"a\.jar has the wrong sha256"):
        check_part(tmp_path / "a.jar", good)
    with pytest.raises(CorruptError, match="no such file"):
        check_part(tmp_path / "b.jar", good)


def test_what_maven_fetched_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'for last; do :; done; into=${last#-DoutputDirectory=}; printf changed > "$into/a.jar"'
    program(tmp_path, "mvn", script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    wanted = Part("lib", "a.jar", hashlib.sha256(b"published").hexdigest())
    with pytest.raises(CorruptError, match=r"a\.jar has the wrong sha256"):
        fetch_parts(tmp_path / "into", [wanted])
    same = replace(wanted, digest=hashlib.sha256(b"changed").hexdigest())
    fetch_parts(tmp_path / "again", [same])
    assert (tmp_path / "again" / "a.jar").read_bytes() == b"changed"


def test_what_maven_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "mvn", "echo '[INFO] x'; echo '[ERROR] Could not transfer it'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StorageError, match="Could not transfer it"):
        fetch_parts(tmp_path / "into", [])


def test_no_maven_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="Maven is not installed"):
        fetch_parts(tmp_path / "into", [])


def test_maven_has_its_own_say_where_it_fetches_from() -> None:
    text = parts.POM.read_text("utf-8")
    assert "<repositor" not in text
    assert "://" not in text.replace("http://maven.apache.org/POM/4.0.0", "")


# --- the folder of a node's programs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A small one, from parts that stand for the real ones."""
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    with zipfile.ZipFile(fetched / "knn.zip", "w") as archive:
        archive.writestr("plugin-descriptor.properties", "name=knn\n")
    packed = part(fetched, "knn.zip", (fetched / "knn.zip").read_bytes(), "plugins/knn")
    modules = [part(fetched, f"{name}.jar", name.encode(), f"modules/{name}") for name in MODULES]
    assemble(tmp_path / "home", fetched, (part(fetched, "a.jar", b"a"), packed, *modules))
    return tmp_path / "home"


def test_parts_go_to_their_places(home: Path) -> None:
    assert (home / "lib" / "a.jar").read_bytes() == b"a"
    assert (home / "plugins" / "knn" / "plugin-descriptor.properties").is_file()
    told = (home / "modules" / "analysis-common" / "plugin-descriptor.properties").read_text()
    assert f"opensearch.version={VERSION}\nextended.plugins=lang-painless\n" in told
    assert not (home / "modules" / "analysis-common" / "plugin-security.policy").exists()
    policy = (home / "modules" / "lang-painless" / "plugin-security.policy").read_text("utf-8")
    assert '"createClassLoader"' in policy
    check_home(home)


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_damaged_program_is_not_started(home: Path, harm: str) -> None:
    jar = home / "lib" / "a.jar"
    if harm == "changed":
        jar.write_bytes(b"b")
    else:
        jar.unlink()
    with pytest.raises(CorruptError, match=r"lib/a\.jar is not as it was put there"):
        check_home(home)


def test_nobody_but_the_owner_writes_programs(home: Path) -> None:
    for path in (home, *home.rglob("*")):
        mode = path.stat().st_mode
        assert not mode & (stat.S_IWGRP | stat.S_IWOTH)
        assert mode & stat.S_IROTH


def test_a_folder_that_others_may_not_enter_is_told(home: Path) -> None:
    home.parent.chmod(0o700)
    with pytest.raises(SettingsError, match=f"nobody, who may not enter {home.parent}"):
        check_reach(home, "nobody")


# --- the machine


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 1),
        ('openjdk version "21" 2023-09-19', 21),
    ],
)
def test_java_tells_its_version(tmp_path: Path, said: str, number: int) -> None:
    java = program(tmp_path, "java", f"echo '{said}' >&2")
    assert machine.java_version(java) == number


@pytest.mark.parametrize(
    ("version", "modules", "there"),
    [
        (21, "java.base@21 jdk.incubator.vector@21", True),
        (21, "java.base@21", False),
        (17, "java.base@17 jdk.incubator.vector@17", False),  # Lucene does not take its form
    ],
)
def test_vectors_are_switched_on_where_java_has_them(
    tmp_path: Path, version: int, modules: str, there: bool
) -> None:
    tells = f"""[ "$1" = -version ] && echo 'openjdk version "{version}"' >&2 || echo '{modules}'"""
    assert machine.has_vectors(program(tmp_path, "java", tells)) is there


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("echo 'openjdk version \"11.0.2\"' >&2", "Java 11 can't run it: it takes 17 to 23"),
        ("echo 'openjdk version \"25\"' >&2", "Java 25 can't run it"),
        ("echo broken >&2; exit 1", "Java tells no version: broken"),
    ],
)
def test_a_java_that_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, what: str
) -> None:
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin", "java", body)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match=what):
        machine.find_java()


def test_no_java_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SettingsError, match="Java is not installed"):
        machine.find_java()


@pytest.mark.parametrize(("where", "outcome"), [("", pytest.skip), ("true", pytest.fail)])
def test_suites_without_java_skip_and_fail_in_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, outcome: Any
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("CI", where)
    with pytest.raises(outcome.Exception, match="no OpenSearch can be had: Java is not installed"):
        need_opensearch()


def test_too_little_memory_is_said_before_anything_starts() -> None:
    with pytest.raises(StorageError, match="3 nodes of 10000000 MB heap need some 30,000,768 MB"):
        machine.check_memory(3, 10_000_000)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BusyError, match=f"port {port} is taken"):
            machine.check_ports([port])


# --- what is remembered, and what is ended


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not ours to end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process
    process.kill()
    process.wait()


def test_a_process_that_took_over_a_number_is_left_alone(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    node = Node(1, tmp_path / "node-1", 9200, 9300, stranger.pid)
    ClusterState(tmp_path, (node,), 512).save()
    assert DevCluster(tmp_path, tmp_path).down() == 0
    assert stranger.poll() is None
    assert not node.runs


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_node_of_ours_is_ended(tmp_path: Path, how: signal.Signals) -> None:
    sleeping = "import time; time.sleep(300)"
    ours = [sys.executable, "-c", sleeping, f"-Dopensearch.path.conf={tmp_path / 'node-1/conf'}"]
    process = subprocess.Popen(ours)
    node = Node(1, tmp_path / "node-1", 9200, 9300, process.pid)
    deadline = time.monotonic() + 240
    while not node.runs:  # it has no command line for a moment
        assert time.monotonic() < deadline
    assert end_nodes([node], how) == 1
    assert process.wait(120) == -how


# Starts a node and ends by a signal before the node's process is noted.
_CUT_SHORT = """
import os, signal, sys
from pathlib import Path
from scripts.dev_cluster import cluster as dev_cluster
from scripts.dev_cluster.node import Launch, Node, write_configuration

folder, java, how = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
launch_node = dev_cluster.launch_node

def launched(node, launch):
    pid = launch_node(node, launch)
    os.kill(os.getpid(), how)
    return pid

dev_cluster.launch_node = launched
node = Node(1, folder / "node-1", 9200, 9300)
launch = Launch(folder, java, None, 64)
write_configuration(node, [node], launch)
dev_cluster.DevCluster(folder, folder)._start(node, launch, [node])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_node_whose_start_was_cut_short_is_found_and_ended(
    tmp_path: Path, how: signal.Signals
) -> None:
    sleeping = f"exec {sys.executable} -c 'import time; time.sleep(300)' \"$@\""
    java = program(tmp_path, "java", sleeping)
    cut = [sys.executable, "-c", _CUT_SHORT, str(tmp_path), str(java), str(int(how))]
    assert subprocess.run(cut, check=False, capture_output=True, cwd=ROOT).returncode == -how
    deadline = time.monotonic() + 240
    while not (running := ClusterState.load(tmp_path).running):  # it has no command line at first
        assert time.monotonic() < deadline
    assert DevCluster(tmp_path, tmp_path).down() == 1
    assert not running[0].runs


def test_the_state_is_kept(tmp_path: Path) -> None:
    nodes = tuple(Node(n, tmp_path / f"node-{n}", 9199 + n, 9299 + n, 10**6 + n) for n in (1, 2))
    ClusterState(tmp_path, nodes, 700).save()
    assert ClusterState.load(tmp_path) == ClusterState(tmp_path, nodes, 700)
    assert ClusterState.load(tmp_path).running == ()


@pytest.mark.parametrize("text", ["", "{", '{"nodes": [{"pid": -1}], "heap_mb": 1}', "[]"])
def test_a_state_that_can_t_be_read_ends_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "cluster.json").write_text(text, "utf-8")
    with pytest.raises(CorruptError, match="can't be read"):
        DevCluster(tmp_path, tmp_path).down()


def test_two_commands_do_not_meet(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(BusyError, match="another command"):
        DevCluster(tmp_path, tmp_path).down()
    assert DevCluster(tmp_path, tmp_path).down() == 0


def test_data_of_another_number_of_nodes_are_not_mixed(tmp_path: Path) -> None:
    nodes = tuple(Node(n, tmp_path / f"node-{n}", 9199 + n, 9299 + n) for n in (1, 2, 3))
    ClusterState(tmp_path, nodes, 512).save()
    with pytest.raises(InputError, match="its data are of 3 nodes, and 1 are wanted"):
        DevCluster(tmp_path, tmp_path).up(Shape())
    (tmp_path / "node-2").mkdir()
    DevCluster(tmp_path, tmp_path).down(purge=True)
    assert ClusterState.load(tmp_path).nodes == ()
    assert not (tmp_path / "node-2").exists()


def test_a_node_s_last_words_are_its_cause(tmp_path: Path) -> None:
    node = Node(1, tmp_path, 9200, 9300)
    assert last_words(node) == "it left no log"
    said = ["uncaught", "Caused by: disk is read-only", "\tat a.b(C.java:1)", "\t... 6 more"]
    node.log.write_text("\n".join(said), "utf-8")
    assert last_words(node) == "Caused by: disk is read-only"


# --- the real thing


def command(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result


def test_status_without_a_cluster(tmp_path: Path) -> None:
    told = json.loads(command("status", "--json", "--folder", tmp_path, code=1).stdout)
    assert told == {"folder": str(tmp_path), "health": "", "nodes": [], "indices": []}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the user of the nodes may enter."""
    folder = (
        Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"dev-cluster-{os.getpid()}"
    )
    folder.mkdir()
    yield folder
    DevCluster(folder, folder).down()
    shutil.rmtree(folder)


@pytest.mark.cluster
def test_up_status_down(open_folder: Path) -> None:
    need_opensearch()
    folder, port = ("--folder", open_folder), free_port()
    up = command("up", "--port", str(port), *folder, "--wait", "240")
    url = f"http://127.0.0.1:{port}"
    assert f"DATELINE_OPENSEARCH_URL={url}" in up.stdout
    with httpx.Client(base_url=url, trust_env=False, timeout=120) as client:
        assert client.put("/kept", json={"settings": {"number_of_replicas": 0}}).status_code == 200
        client.put("/kept/_doc/1", params={"refresh": "true"}, json={"a": 1}).raise_for_status()
        assert client.put("/mistyped/_doc/1", json={"a": 1}).status_code == 404
    told = json.loads(command("status", "--json", *folder).stdout)
    (node,) = told["nodes"]
    assert node["runs"]
    assert 0 < node["heap_used"] <= node["heap_most"] == 512 * 2**20
    assert told["indices"][0] | {"bytes": 0} == {
        "name": "kept",
        "health": "green",
        "documents": 1,
        "bytes": 0,
    }
    if os.getuid() == 0:
        assert Path(f"/proc/{node['pid']}").stat().st_uid != 0
    assert "runs already" in command("up", "--port", str(port), *folder, code=2).output
    assert "1 node ended" in command("down", *folder).output
    assert not ClusterState.load(open_folder).running
    command("up", "--port", str(port), *folder, "--wait", "240")  # the data are there again
    assert httpx.get(f"{url}/kept/_doc/1", trust_env=False, timeout=120).json()["_source"] == {
        "a": 1
    }
    assert "the data removed" in command("down", "--purge", *folder).output
    assert ClusterState.load(open_folder).nodes == ()


@pytest.mark.cluster
def test_a_node_that_can_t_start_says_why_and_leaves_nothing(open_folder: Path) -> None:
    need_opensearch()
    cluster = DevCluster(cache_folder(), open_folder)
    wrong = Shape(port=free_port(), settings={"no.such.setting": 1})
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"node-1 ended: .*no\.such\.setting"):
        cluster.up(wrong)
    assert time.monotonic() - began < wrong.wait_s
    assert not ClusterState.load(open_folder).running
