"""Public models that can be pulled: a manifest for each, at a pinned revision.

A manifest of the catalogue differs from one of a folder in two things. The sha256 of a file may be
"": it is then taken from the hub at that revision when the model is pulled. And `graphs` may have
several formats, of which a pull takes those that it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import ModelError
from inference.models.manifest import FORMATS, ModelManifest, companions
from inference.models.manifest_json import parse_manifest

FOLDER = Path(__file__).parent / "catalogue"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The manifests NAME.json in `folder`."""

    folder: Path = FOLDER

    def names(self) -> tuple[str, ...]:
        """Return names of the models, sorted."""
        return tuple(sorted(place.stem for place in self.folder.glob("*.json")))

    def find(self, name: str) -> ModelManifest:
        """Return the manifest of the model `name`, some of its checksums perhaps
        "".

        Raises ModelError for a name that is not there and for a malformed manifest.
        """
        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            what = f"the catalogue has no {name!r}"
            raise ModelError(what, where=str(self.folder), mend=f"it has {known}")
        place = self.folder / f"{name}.json"
        manifest = parse_manifest(place.read_text("utf-8"), where=str(place), pinned=False)
        if manifest.name != name:
            what = f"the manifest is of {manifest.name!r}"
            raise ModelError(what, where=str(place), mend="rename the file")
        return manifest


def in_formats(manifest: ModelManifest, formats: Sequence[str] = ()) -> ModelManifest:
    """Return `manifest` with only the graphs in `formats`, and only the files that these
    need.

    Without `formats`, the first of `inference.models.manifest.FORMATS` that there is. Raises
    ModelError for a format that the model does not have.
    """
    wanted = tuple(formats) or tuple(kind for kind in FORMATS if kind in manifest.graphs)[:1]
    for kind in wanted:
        if kind not in manifest.graphs:
            what = f"{manifest.name} has no {kind} graph"
            raise ModelError(
                what, where=manifest.source, mend=f"it has {', '.join(manifest.graphs)}"
            )
    dropped = {
        path
        for kind, graph in manifest.graphs.items()
        if kind not in wanted
        for path in (graph, *companions(graph, manifest.files))
        if not path.endswith("config.json")  # small, and it has width and labels to check
    }
    return replace(
        manifest,
        graphs={kind: manifest.graphs[kind] for kind in wanted},
        files={path: digest for path, digest in manifest.files.items() if path not in dropped},
    )


def unpinned(manifest: ModelManifest, revision: str) -> ModelManifest:
    """Return `manifest` for another revision, of which no checksum is known yet."""
    return replace(manifest, revision=revision, files=dict.fromkeys(manifest.files, ""))
