"""Which runtime a model gets: the one that the settings name, else the one that a measurement on
this machine chose, else ONNX Runtime on the device of the settings.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from core.errors import ModelError, SettingsError
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.runtimes.kept import KeptByModel, this_processor
from inference.runtimes.loading import cores, install_hint, installed

DEFAULT = "onnxruntime"
_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
    "tensorflow-cpu",
    "ai-edge-litert",
)


class Opener(Protocol):
    """Loads a model's graph; `threads` work on one call."""

    def __call__(self, folder: ModelFolder, *, threads: int, option: str) -> Runtime:
        """Return the loaded graph. Raises ModelError if it can't be loaded."""
        ...


@dataclass(frozen=True, slots=True)
class RuntimeKind:
    """One runtime that can be chosen.

    - `open`: loads a model; `modules`: must be installed for it
    - `options`: may stand after the colon, the default first: devices or precisions
    - `formats`: the graphs of a manifest that it reads
    - `address`: the option may also be the http address of a server, which computes
    """

    open: Opener
    modules: tuple[str, ...]
    options: tuple[str, ...]
    formats: tuple[str, ...]
    address: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules that are not installed here."""
        return tuple(module for module in self.modules if not installed(module))


Kinds = Mapping[str, RuntimeKind]


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """A runtime by its kind, and how: `openvino:bf16`, `torch:cuda`; "" is the kind's default."""

    kind: str
    option: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.option}" if self.option else self.kind


def parse_choice(text: str, kinds: Kinds, *, where: str) -> RuntimeChoice:
    """Read `KIND[:OPTION]`. Raises SettingsError for a kind or option that there is not."""
    kind, _, option = text.partition(":")
    if kind not in kinds:
        what = f"there is no runtime {kind!r}"
        raise SettingsError(what, where=where, mend=f"one of {', '.join(kinds)}")
    options = kinds[kind].options
    elsewhere = kinds[kind].address and option.startswith(("http://", "https://"))
    if option and option not in options and not elsewhere:
        what = f"the runtime {kind} has no option {option!r}"
        raise SettingsError(what, where=where, mend=f"one of {', '.join(options)}")
    return RuntimeChoice(kind, option)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model's runtime and why: `setting`, `measured here` or `default`."""

    choice: RuntimeChoice
    why: str


def choose(
    manifest: ModelManifest, kinds: Kinds, *, setting: str, kept: "KeptChoice | None", device: str
) -> Chosen:
    """Return the runtime of a model. `setting` is what the settings say of it, "" for nothing.

    Raises SettingsError for a setting that names no runtime. A kept choice that names none is
    ignored.
    """
    if setting:
        choice = parse_choice(setting, kinds, where=f"runtimes.{manifest.name}")
        return Chosen(on_device(choice, kinds, device), "setting")
    if kept is not None:
        try:
            return Chosen(parse_choice(kept.choice, kinds, where="kept"), "measured here")
        except SettingsError:  # kept by a version with other runtimes
            pass
    reads = [name for name, kind in kinds.items() if set(kind.formats) & set(manifest.graphs)]
    choice = RuntimeChoice(reads[0] if reads else DEFAULT)
    return Chosen(on_device(choice, kinds, device), "default")


def is_remote(setting: str) -> bool:
    """Return whether a runtime's setting names a service elsewhere."""
    return setting.partition(":")[0] in ("remote", "remote-unverified")


def on_device(choice: RuntimeChoice, kinds: Kinds, device: str) -> RuntimeChoice:
    """Return `choice` with its option filled in: the device where the kind has it, else its
    default.
    """
    if choice.option:
        return choice
    options = kinds[choice.kind].options
    return RuntimeChoice(choice.kind, device if device in options else options[0])


def open_choice(
    choice: RuntimeChoice, kinds: Kinds, folder: ModelFolder, *, threads: int
) -> Runtime:
    """Return the model loaded by that runtime. Raises ModelError if it can't be."""
    kind = need_kind(choice, kinds, folder.manifest)
    return kind.open(folder, threads=threads, option=choice.option or kind.options[0])


def need_kind(choice: RuntimeChoice, kinds: Kinds, manifest: ModelManifest) -> RuntimeKind:
    """Return the kind that runs `choice`. Raises ModelError if a module that it needs is
    missing.
    """
    kind = kinds[choice.kind]
    if kind.missing:
        raise ModelError(
            f"the runtime {choice.kind} needs {', '.join(kind.missing)}, which is not installed",
            where=manifest.name,
            mend=install_hint(kind.missing[0]),
        )
    return kind


@dataclass(frozen=True, slots=True)
class KeptChoice:
    """The result of a measurement. `ratio` is the default's time over that of the chosen one."""

    model: str
    choice: str
    ratio: float
    measured: str  # the date


@dataclass(frozen=True, slots=True)
class KeptChoices:
    """The choices of measurements on this machine, in a JSON file."""

    path: Path
    machine: Callable[[], str]

    def find(self, manifest: ModelManifest) -> KeptChoice | None:
        """Return the choice that is kept for this model on this machine; None also if the file
        can't be read.
        """
        entry: Any = self._kept.find(manifest)
        try:
            return KeptChoice(**entry) if entry is not None else None
        except TypeError:
            return None

    def keep(self, manifest: ModelManifest, choice: KeptChoice) -> None:
        """Write the choice over an earlier one. Raises SettingsError if it can't be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._kept.keep(manifest, asdict(choice))
        except OSError as error:
            raise SettingsError(
                f"the choice can't be kept: {error.strerror or error}",
                where=str(self.path),
                mend="name the runtime in the setting `runtimes` instead",
            ) from error

    @property
    def _kept(self) -> KeptByModel:
        return KeptByModel(self.path, self.machine)


def this_machine() -> str:
    """Return the processor, its cores and the versions of the runtimes, in one line."""
    versions = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    return ", ".join((this_processor().name, f"{cores()} cores", *versions))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
