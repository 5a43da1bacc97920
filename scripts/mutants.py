"""Measures whether the tests find defects in the code that holds invariants.

    python -P scripts/mutants.py --count 400 --seed 1 --log build/mutants.jsonl   # `make mutants`
    python -P scripts/mutants.py --log build/mutants.jsonl --survivors

A mutant is a file with one small change, such as `<` for `<=`. The tests of the file should fail
with it: then the mutant is caught. `scripts/mutated_files.txt` names the files and their tests.

Nothing in the checkout is changed. One process imports the libraries and forks for each mutant. The
fork imports the mutant in place of the file and runs the tests up to the first failure. Processes
that the tests start do not see the mutant, so the tests that are named run in one process.

A mutant is known by its function, its kind and its text, not by its file or line. So the same
mutants can be asked after the code has moved: `--same-as LOG`, also with an older checkout as
`--root`. Results are kept in the log, and a run that was stopped goes on from there. A mutant is
asked again where its file or its tests are others by now; begin a new log where other code is.

The exit code is 1 if too few mutants are caught, and 2 if nothing can be measured.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))  # for `scripts`; it may not be installed

from scripts.mutations import Mutant, mutants_of, mutated, sampled  # noqa: E402

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory
NOT_RUN = ("torch", "faults", "cluster", "service", "deep", "timed")  # marks of tests
CAUGHT, SURVIVED, STUCK = "caught", "survived", "stuck"
_MOST_MEMORY = 8 << 30
_OF_TESTS = re.compile(r"^(?:from|import) (tests\.[\w.]+)", re.MULTILINE)
_PAUSE_S = 0.05

# --- One run of tests, in a fork


@dataclass(frozen=True, slots=True)
class Subject:
    """A file and the tests that should find defects in it; `state` changes with their text."""

    file: str
    tests: tuple[str, ...]
    source: str
    state: str

    @property
    def module(self) -> str:
        """The name by which other modules import it."""
        return self.file.removesuffix(".py").replace("/", ".")


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one run takes: of processor, which other work of the machine does not change,
    and of time, for a run that waits for ever.
    """

    processor_s: int = 1800
    wall_s: float = 3600.0


@dataclass(slots=True)
class _InPlace(MetaPathFinder):
    """Imports `code` as the module `name`."""

    name: str
    code: CodeType

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == self.name else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self.code)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code


@dataclass(frozen=True, slots=True)
class _Plugin:
    """Runs tests in the order in which their files are named, does not look for smaller examples,
    and notes in `folder` what failed first and which libraries are loaded.
    """

    root: Path
    tests: tuple[str, ...]
    folder: Path

    def pytest_configure(self, config: pytest.Config) -> None:
        from hypothesis import Phase, settings

        for name in NOT_RUN:  # an older checkout may lack it
            config.addinivalue_line("markers", f"{name}: is not run here")
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", settings(), phases=phases)
        settings.load_profile("mutants")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        files = (self.root / name.partition("::")[0] for name in self.tests)
        order = {str(path): place for place, path in enumerate(files)}
        items.sort(key=lambda item: order.get(str(item.path), 0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        note = self.folder / "by"
        if report.failed and not note.exists():
            note.write_text(report.nodeid, "utf-8")

    def pytest_sessionfinish(self) -> None:
        libraries = (
            name
            for name, module in list(sys.modules.items())
            if name != "__main__" and not self._is_ours(module)
        )
        (self.folder / "libraries").write_text("\n".join(libraries), "utf-8")

    def _is_ours(self, module: ModuleType) -> bool:
        within = getattr(module, "__path__", ())  # of a package, which may have no file
        path = str(getattr(module, "__file__", None) or next(iter(within), ""))
        return bool(path) and Path(path).is_relative_to(self.root) and ".venv" not in path


def _become_child(root: Path, folder: Path, limits: Limits) -> None:
    os.setsid()
    os.chdir(root)
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(folder / "output", os.O_WRONLY | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_s, limits.processor_s + 1))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
    os.environ["TEST_MEMORY"] = os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None


def _arguments(root: Path, tests: Iterable[str], folder: Path) -> list[str]:
    plugins = ("timeout", "hypothesispytest", "no:cacheprovider")
    return [
        "--disable-plugin-autoload",
        *(part for name in plugins for part in ("-p", name)),
        *(
            "-x",
            "-q",
            "-m",
            f"not ({' or '.join(NOT_RUN)})",
            "-k",
            "not postgres",
            "--hypothesis-seed=0",
        ),
        *(f"--rootdir={root}", f"--basetemp={folder / 'tmp'}"),
        *tests,
    ]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of tests ended: its exit status, None if it met a limit, and what it took."""

    status: int | None
    wall_s: float
    processor_s: float


@dataclass(frozen=True, slots=True)
class Running:
    """A run of tests in its own process, which leads its group."""

    process: int
    folder: Path
    limits: Limits
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def of(
        cls, root: Path, subject: Subject, code: CodeType | None, folder: Path, limits: Limits
    ) -> Running:
        """Start the subject's tests in a fork, with `code` in place of its file."""
        folder.mkdir()
        if child := os.fork():
            return cls(child, folder, limits)
        try:
            _become_child(root, folder, limits)
            if code is not None:
                sys.meta_path.insert(0, _InPlace(subject.module, code))
            plugin = _Plugin(root, subject.tests, folder)
            os._exit(int(pytest.main(_arguments(root, subject.tests, folder), plugins=[plugin])))
        except BaseException as error:  # noqa: BLE001 - the fork must never go on as its parent
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(3)

    def ended(self) -> Ended | None:
        """Return how it ended; None while it runs. What it started ends with it."""
        wall = time.monotonic() - self.since
        late = wall > self.limits.wall_s
        if late:
            self.kill()
        found, status, used = os.wait4(self.process, 0 if late else os.WNOHANG)
        if not found:
            return None
        self.kill()
        killed = late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in _OF_LIMITS)
        code = None if killed else os.waitstatus_to_exitcode(status)
        return Ended(code, wall, used.ru_utime + used.ru_stime)

    def kill(self) -> None:
        """End it, and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)


_OF_LIMITS = (signal.SIGXCPU, signal.SIGKILL)


# --- All mutants of a sample


class NothingMeasuredError(Exception):
    """Says why nothing can be measured."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a mutant; a line of the log. `by` is the test that failed."""

    id: str
    file: str
    line: int
    change: str
    outcome: str
    by: str
    seconds: float
    state: str


def subjects_of(root: Path, table: Path) -> dict[str, Subject]:
    """Return what the table names: a file, ": ", and its tests, the quick ones first."""
    found = {}
    for line in _lines(table):
        file, _, tests = line.partition(": ")
        paths = [root / name.partition("::")[0] for name in (file, *tests.split())]
        for path in paths:
            if not path.is_file():
                raise NothingMeasuredError(f"{table}: there is no file {path}")
        texts = [paths[0].read_text("utf-8"), *_texts(root, paths[1:])]
        state = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
        found[file] = Subject(file, tuple(tests.split()), texts[0], state)
    return found


def _texts(root: Path, tests: Iterable[Path]) -> list[str]:
    """Return the text of tests, and of what they import of each other."""
    found: dict[Path, str] = {}
    left = list(tests)
    while left:
        path = left.pop()
        if path not in found and path.is_file():
            found[path] = path.read_text("utf-8")
            names = _OF_TESTS.findall(found[path])
            left.extend(root / f"{name.replace('.', '/')}.py" for name in names)
    return list(found.values())


def equivalent_in(path: Path, mutants: Iterable[Mutant]) -> dict[str, str]:
    """Return the mutants that behave like the code, each with the reason; all of them must
    exist.
    """
    listed = _reasons(path)
    if unknown := listed.keys() - {mutant.id for mutant in mutants}:
        raise NothingMeasuredError("\n".join((f"{path} names no mutant:", *sorted(unknown))))
    return listed


def _reasons(path: Path) -> dict[str, str]:
    return dict(line.split("\t") for line in _lines(path)) if path.is_file() else {}


def results_in(log: Path) -> list[Result]:
    """Return the results in a log; of a mutant the last one. A line that is not whole is passed
    over.
    """
    found = {}
    for line in log.read_text("utf-8").splitlines() if log.is_file() else ():
        with suppress(json.JSONDecodeError, TypeError):
            result = Result(**json.loads(line))
            found[result.id] = result
    return list(found.values())


def measure(
    root: Path, subjects: Mapping[str, Subject], sample: Sequence[Mutant], log: Path, jobs: int
) -> list[Result]:
    """Return what becomes of each mutant of the sample; what the log knows is not asked again."""
    states = {subject.state for subject in subjects.values()}
    known = {result.id: result for result in results_in(log) if result.state in states}
    log.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="dateline-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        with log.open("a", encoding="utf-8") as lines:
            for file, subject in subjects.items():
                left = [one for one in sample if one.file == file and one.id not in known]
                if not left:
                    continue
                for result in _of_subject(root, subject, left, scratch, jobs):
                    known[result.id] = result
                    print(json.dumps(asdict(result), ensure_ascii=False), file=lines, flush=True)
                    print(
                        f"{result.outcome:8} {result.file}:{result.line} {result.change}",
                        flush=True,
                    )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return [known[mutant.id] for mutant in sample]


def _of_subject(
    root: Path, subject: Subject, mutants: Sequence[Mutant], scratch: Path, jobs: int
) -> Iterator[Result]:
    limits = _warm(root, subject, scratch)
    waiting, running = list(reversed(mutants)), dict[str, tuple[Mutant, Running]]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant = waiting.pop()
                code = mutated(subject.source, str(root / subject.file), mutant.place)
                run = Running.of(root, subject, code, scratch / str(mutant.place), limits)
                running[mutant.id] = mutant, run
            for mutant, run in list(running.values()):
                if (ended := run.ended()) is not None:
                    del running[mutant.id]
                    yield _result(subject, mutant, ended, run.folder)
                    shutil.rmtree(run.folder, ignore_errors=True)
            time.sleep(_PAUSE_S)
    finally:
        for _, run in running.values():
            run.kill()


def _warm(root: Path, subject: Subject, scratch: Path) -> Limits:
    """Run the tests without a mutant: they must pass. Imports the libraries that they loaded, and
    returns what a run with a mutant may take.
    """
    folder = scratch / "without"
    run = Running.of(root, subject, None, folder, Limits())
    try:
        while (ended := run.ended()) is None:
            time.sleep(_PAUSE_S)
    finally:
        run.kill()
    if ended.status != 0:
        output = (folder / "output").read_text("utf-8", "replace")
        raise NothingMeasuredError(f"{output[-3000:]}\nthe tests of {subject.file} do not pass")
    for name in ("dateline", "inference"):  # they set what numpy and ONNX Runtime read when loaded
        with suppress(ImportError):
            importlib.import_module(name)
    for name in (folder / "libraries").read_text("utf-8").splitlines():
        if name not in sys.modules:
            with suppress(Exception):  # a part that only the tests can load
                importlib.import_module(name)
    shutil.rmtree(folder, ignore_errors=True)
    return Limits(30 + int(5 * ended.processor_s), 120 + 10 * ended.wall_s)


def _result(subject: Subject, mutant: Mutant, ended: Ended, folder: Path) -> Result:
    outcome = STUCK if ended.status is None else CAUGHT if ended.status else SURVIVED
    note = folder / "by"
    by = note.read_text("utf-8") if note.is_file() else ""
    change = f"{mutant.before} => {mutant.after}"
    place = (mutant.id, mutant.file, mutant.line, change)
    return Result(*place, outcome, by, round(ended.wall_s, 1), subject.state)


# --- The command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # cleans up first
    try:
        return _survivors(asked) if asked.survivors else _measured(asked)
    except NothingMeasuredError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=400, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1, help="which mutants")
    parser.add_argument("--same-as", type=Path, help="those of this log, not a sample")
    parser.add_argument("--log", type=Path, default=Path("build/mutants.jsonl"))
    parser.add_argument("--least", type=float, default=0.85, help="the share to be caught")
    parser.add_argument("--jobs", type=int, default=1, help="mutants that are asked side by side")
    parser.add_argument("--survivors", action="store_true", help="print what the log says lived")
    parser.add_argument("--root", type=Path, default=HERE.parent, help="the checkout")
    parser.add_argument("--files", type=Path, default=HERE / "mutated_files.txt")
    parser.add_argument("--equivalent", type=Path, default=HERE / "equivalent_mutants.txt")
    return parser


def _survivors(asked: argparse.Namespace) -> int:
    listed = _reasons(asked.equivalent)
    for result in results_in(asked.log):
        if result.outcome == SURVIVED and result.id not in listed:
            print(f"{result.file}:{result.line}: {result.change}\n    {result.id}")
    return 0


def _measured(asked: argparse.Namespace) -> int:
    root: Path = asked.root.resolve()
    sys.path.insert(0, str(root))
    subjects = subjects_of(root, asked.files)
    mutants = mutants_of({file: subject.source for file, subject in subjects.items()})
    equivalent = equivalent_in(asked.equivalent, mutants)
    before = {one.id: one.outcome for one in results_in(asked.same_as)} if asked.same_as else {}
    sample = sampled(mutants, asked.count, asked.seed)
    if before:
        sample = [mutant for mutant in mutants if mutant.id in before]
        print(f"of {len(before)} mutants of {asked.same_as} there are {len(sample)} here")
    real = [mutant for mutant in sample if mutant.id not in equivalent]
    results = measure(root, subjects, real, asked.log, asked.jobs)
    found = [result for result in results if result.outcome != SURVIVED]
    stuck = sum(result.outcome == STUCK for result in results)
    share = len(found) / len(results) if results else 0.0
    print(
        f"caught {len(found)} of {len(results)} mutants, {share:.1%} (at least {asked.least:.0%});"
        f" {stuck} of them by a limit; {len(sample) - len(real)} more are equivalent;"
        f" {len(mutants)} in all"
    )
    old = sum(before[result.id] != SURVIVED for result in results) if before else 0
    if before:
        print(f"{asked.same_as} caught {old} of them")
    return int(share < asked.least or len(found) < old)


def _lines(path: Path) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


if __name__ == "__main__":
    sys.exit(main())
