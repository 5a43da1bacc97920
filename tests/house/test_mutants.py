"""`scripts/mutants.py`: which changes there are, what they are called, and what is measured."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.mutants import HERE, equivalent_in, subjects_of
from scripts.mutations import changes_of, mutants_of, mutated, sampled

TOY = """
def is_old(age: int, least: int = 18) -> bool:
    return age >= least


def doubled(number: int) -> int:
    return number * 2
"""
TESTS = """
from toy import is_old

def test_both_sides() -> None:
    assert is_old(18)
    assert not is_old(17)
    assert is_old(19, 19)
"""
ENDLESS = """
import sys
import time
from pathlib import Path

from scripts.mutants import Limits, Running, Subject

root = Path(sys.argv[1])
(root / "test_endless.py").write_text("def test_it():\\n    while True:\\n        pass\\n")
subject = Subject("toy.py", ("test_endless.py",), "", "")
run = Running.of(root, subject, None, root / "run", Limits(2, 3000.0))
while (ended := run.ended()) is None:
    time.sleep(0.01)
print(ended.status)
"""


def told(source: str) -> set[str]:
    return {f"{one.before} => {one.after}" for one in changes_of(ast.parse(source))}


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("a < b", {"a < b => a <= b"}),
        ("a is None", {"a is None => a is not None"}),
        ("a and not b", {"a and (not b) => a or not b", "not b => b"}),
        ("a + b // c", {"a + b // c => a - b // c", "b // c => b * c"}),
        ("x[1]", {"1 => 2", "1 => 0"}),
        ("f(True)", {"f(True) => pass", "True => False"}),
        ("y = f(a, b)", {"f(a, b) => f(b, a)"}),
        ("y = max(a, b) + f(a, a)", {"max(a, b) + f(a, a) => max(a, b) - f(a, a)"}),
        ("if a: x.y = 1", {"a => not a", "x.y = 1 => pass", "1 => 2", "1 => 0"}),
        ("y = [a for a in b if a]", {"a => not a"}),
        ("y = (Sort.ASC, Sort.DESC)", {"Sort.ASC => Sort.DESC", "Sort.DESC => Sort.ASC"}),
        ("y = {'canceled': a}", {"'canceled' => 'canceled~'"}),
        ("a += b", {"a += b => pass", "a += b => a -= b"}),
        ("def f(): return a", {"return a => return None"}),
        ("def f(): return [a]", {"return [a] => return None", "return [a] => return []"}),
        ("raise Bad('of words', a + b)", {"raise Bad('of words', a + b) => pass"}),
        ('"Of a + b."', set()),
        ("y: int | None", set()),
        ("Either = Left | Right", set()),
        ("@dataclass(frozen=True)\nclass A: pass", set()),
        ("log.info('so', a + b)", set()),
        ("import a", set()),
    ],
)
def test_changes(source: str, changes: set[str]) -> None:
    assert told(source) == changes


def test_every_mutant_compiles_and_differs() -> None:
    whole = ast.unparse(ast.parse(TOY))
    for mutant in mutants_of({"toy.py": TOY}):
        space: dict[str, Any] = {}
        exec(mutated(TOY, "toy.py", mutant.place), space)
        assert {"is_old", "doubled"} <= space.keys()
        tree = ast.parse(TOY)
        changes_of(tree)[mutant.place].apply()
        assert ast.unparse(tree) != whole


def test_a_name_does_not_depend_on_where_the_code_stands() -> None:
    before = {mutant.id for mutant in mutants_of({"toy.py": TOY})}
    moved = "ELSE = 1\n\ndef other(a, b):\n    return a < b\n" + TOY
    after = {mutant.id for mutant in mutants_of({"room/better.py": moved})}
    assert before < after
    (one,) = mutants_of({"toy.py": "A, B = a > b, b"})
    assert one.id == "(A, B) | comparison | a > b => a >= b | 1"
    twice = mutants_of({"toy.py": "def f(a):\n    return a > 1 or a > 1\n"})
    assert len({mutant.id for mutant in twice}) == len(twice)


def test_a_sample_is_by_its_seed_and_keeps_what_stays() -> None:
    mutants = mutants_of({"toy.py": TOY})
    some = sampled(mutants, 4, 1)
    assert some == sampled(reversed(mutants), 4, 1)
    assert len({tuple(sampled(mutants, 4, seed)) for seed in range(5)}) > 1
    without = [mutant for mutant in mutants if mutant != some[0]]
    assert sampled(without, 3, 1) == some[1:]


def test_the_files_of_the_table_are_there_and_the_equivalent_ones_are_mutants() -> None:
    subjects = subjects_of(HERE.parent, HERE / "mutated_files.txt")
    mutants = mutants_of({file: subject.source for file, subject in subjects.items()})
    assert len(mutants) > 400
    reasons = equivalent_in(HERE / "equivalent_mutants.txt", mutants)
    assert all(reasons.values())


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(TOY, "utf-8")
    (tmp_path / "test_toy.py").write_text(TESTS, "utf-8")
    (tmp_path / "files.txt").write_text("toy.py: test_toy.py\n", "utf-8")
    (tmp_path / "equivalent.txt").write_text("", "utf-8")
    return tmp_path


def asked(toy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = {"root": toy, "files": toy / "files.txt", "equivalent": toy / "equivalent.txt"}
    command = [sys.executable, "-P", str(HERE / "mutants.py"), "--log", str(toy / "log")]
    command += [f"--{name}={path}" for name, path in paths.items()]
    command += arguments
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


def results(toy: Path) -> dict[str, tuple[str, str]]:
    """Of each mutant in the log its outcome, and the test that failed."""
    lines = (toy / "log").read_text("utf-8").splitlines()
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    assert len({line["id"] for line in whole}) == len(whole)  # none was asked twice
    return {line["id"]: (line["outcome"], line["by"]) for line in whole}


def test_a_run(toy: Path) -> None:
    first = asked(toy, "--jobs", "2")
    assert first.returncode == 1, first.stderr  # `doubled` has no test
    found = results(toy)
    doubled = [name for name in found if name.startswith("doubled")]
    assert {found[name] for name in doubled} == {("survived", "")}
    others = {found[name] for name in found.keys() - {*doubled}}
    assert others == {("caught", "test_toy.py::test_both_sides")}
    assert (toy / "toy.py").read_text("utf-8") == TOY

    lines = asked(toy, "--survivors").stdout.splitlines()
    assert sum(line.startswith("toy.py:7: ") for line in lines) == len(doubled) == 4
    (toy / "equivalent.txt").write_text(f"{doubled[0]}\tso\n", "utf-8")
    assert doubled[0] not in asked(toy, "--survivors").stdout


def test_a_run_goes_on_where_it_was_stopped(toy: Path) -> None:
    listed = "".join(
        f"{mutant.id}\tnobody asks for it\n"
        for mutant in mutants_of({"toy.py": TOY})
        if mutant.id.startswith("doubled")
    )
    (toy / "equivalent.txt").write_text(listed, "utf-8")
    assert asked(toy).returncode == 0
    found = results(toy)

    kept = (toy / "log").read_text("utf-8").splitlines()
    (toy / "log").write_text("\n".join([*kept[:-1], kept[-1][:20], ""]), "utf-8")
    (toy / "before").write_text("\n".join(kept), "utf-8")
    again = asked(toy, "--same-as", str(toy / "before"), "--count", "1")
    assert again.returncode == 0
    assert results(toy) == found


def test_nothing_is_measured_where_something_is_wrong(toy: Path) -> None:
    (toy / "equivalent.txt").write_text("gone | constant | 1 => 2 | 1\tso\n", "utf-8")
    assert asked(toy).returncode == 2
    (toy / "equivalent.txt").write_text("", "utf-8")
    (toy / "test_toy.py").write_text("def test_it(): assert False\n", "utf-8")
    assert asked(toy).returncode == 2
    (toy / "files.txt").write_text("toy.py: test_gone.py\n", "utf-8")
    assert asked(toy).returncode == 2


def test_a_run_for_ever_ends_by_its_processor_time(toy: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, str(toy)]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=900, cwd=HERE.parent
    )
    assert ran.stdout.splitlines() == ["None"]
