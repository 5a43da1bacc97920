"""The work of `dateline models pull`: the manifest, the source, the progress bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from core.errors import ModelError
from dateline.commands.options import errors
from dateline.settings import Settings
from inference.models.catalogue import Catalogue, in_formats, unpinned
from inference.models.install import FolderSource, Installed, Source, install, installed
from inference.models.manifest import ModelManifest
from inference.models.manifest_json import LONGEST, parse_manifest
from inference.models.package_source import PackageSource, comes_from_a_package
from inference.models.store import MANIFEST


@dataclass(frozen=True, slots=True)
class PullPlan:
    """Which model from where: a hub at a revision ("" for the catalogue's), or a `folder`. A model
    that comes from a package needs neither.
    """

    name: str
    revision: str = ""
    endpoint: str = ""
    folder: Path | None = None
    formats: tuple[str, ...] = ()


def pull_model(settings: Settings, plan: PullPlan, progress: Progress) -> Installed:
    """Bring a model to the folder of pulled models. Raises ModelError."""
    manifest = _manifest(plan)
    bar = PullBar(progress, plan.name)
    if comes_from_a_package(manifest):
        return _converted(manifest, plan, settings.pulled_models, bar)
    if plan.revision and plan.revision != manifest.revision:
        manifest = unpinned(manifest, plan.revision)
    source = FolderSource(plan.folder) if plan.folder is not None else _hub(manifest, plan)
    return install(manifest, source, settings.pulled_models, bar)


def _converted(manifest: ModelManifest, plan: PullPlan, root: Path, bar: PullBar) -> Installed:
    """Install a model from a package. Raises ModelError if a hub's revision is asked for."""
    if plan.revision or plan.endpoint:
        what = f"{manifest.name} comes from a package, not from a hub"
        raise ModelError(what, where=manifest.source, mend="leave out --revision and --endpoint")
    if (there := installed(manifest, root)) is not None:
        return there
    source = PackageSource(plan.folder)
    try:
        return install(manifest, source, root, bar)
    finally:
        source.close()


def _manifest(plan: PullPlan) -> ModelManifest:
    """Return the folder's manifest with all its formats, else the catalogue's with its first."""
    place = None if plan.folder is None else plan.folder / MANIFEST
    if place is None or not place.exists():
        return in_formats(Catalogue().find(plan.name), plan.formats)
    try:
        with place.open(encoding="utf-8") as stream:
            text = stream.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        what = f"the manifest can't be read: {error}"
        raise ModelError(what, where=str(place), mend="give another folder") from error
    manifest = parse_manifest(text, where=str(place))
    if manifest.name != plan.name:
        what = f"the folder has the model {manifest.name!r}"
        raise ModelError(what, where=str(place), mend=f"pull {manifest.name}")
    return in_formats(manifest, plan.formats) if plan.formats else manifest


def _hub(manifest: ModelManifest, plan: PullPlan) -> Source:
    # The client is loaded only here, for a real fetch.
    from inference.models.hub import HubSource, repository

    return HubSource.of(repository(manifest), manifest.revision, plan.endpoint)


class PullBar:
    """A bar of a pull: bytes, rate, time left, and the file."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task(name, total=None, path="")

    def begin(self, total: int) -> None:
        """Draw an empty bar of `total` bytes."""
        self._progress.update(self._task, total=total)

    def advance(self, path: str, count: int) -> None:
        """Draw `count` more bytes of the file at `path`."""
        self._progress.update(self._task, advance=count, path=path)


def pull_bar() -> Progress:
    """Return a frame of bars with a rate and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[path]}"),
        console=errors,
    )
