"""The checks of `dateline doctor`: of an installation, and of an index on OpenSearch."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from time import sleep
from typing import TYPE_CHECKING, Any

from core.errors import BusyError, DatelineError
from dateline.archive import checked_archive
from dateline.build.index import connected, record_of, wanted_index
from dateline.build.models.runtimes import open_encoder, open_pictures
from dateline.build.models.second_encoder import is_named, measure, told
from dateline.build.service import archive_clock
from dateline.model_checks import ask_remote_models, check_named_models, verify_models
from dateline.serving.shared_state import kept_apart
from dateline.settings import Settings
from storage.record.item_rows import to_micros

if TYPE_CHECKING:
    from storage.opensearch.engine import OpenSearchSettings
    from storage.opensearch.index.coverage import Coverage
    from storage.opensearch.index.live_settings import Difference
    from storage.opensearch.nodes.connection import Cluster
    from storage.opensearch.nodes.node_health import NodeHealth


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its subject, whether it is well, what was found, how to mend it."""

    what: str
    ok: bool
    says: str
    mend: str = ""


TESTED = "2.19."  # the versions that the tests run on
_KNN = "opensearch-knn"
_MOST_HEAP = 0.9  # share of a node's heap beyond which it refuses requests and may fail
_GIBI = 2**30
_PAUSE_S = 1.0  # in this time a running service brings the index up to the record twice
_FULL = {
    "low": "it gets no new shards",
    "high": "its shards are moved away",
    "flood_stage": "its indexes take no writes",
}


def diagnose_cluster(settings: Settings) -> list[Finding]:
    """Return findings about the cluster: reachability, version, plugin, disks, heap and index.
    Empty if the index is not on a cluster.
    """
    if settings.engine != "opensearch":
        return []
    try:
        wanted = wanted_index(settings)
        with connected(wanted) as cluster:
            return _findings(settings, wanted, cluster)
    except DatelineError as error:
        return [Finding("cluster", False, str(error), error.mend)]


def _findings(settings: Settings, wanted: OpenSearchSettings, cluster: Cluster) -> list[Finding]:
    urls, silent = wanted.cluster.urls, _silent(wanted)
    says = f"{len(urls) - len(silent)} of {len(urls)} nodes of opensearch_url answer"
    mend = "see that they run and are reached from here, or take them out of opensearch_url"
    found = [Finding("cluster", not silent, "; ".join([says, *silent]), mend)]
    if len(silent) == len(urls):
        return found
    from storage.opensearch.nodes.node_health import nodes_of

    try:
        nodes = nodes_of(cluster)
        found += [_versions(nodes), _plugin(nodes), _disks(cluster, nodes), _heap(nodes)]
        found.append(_index(settings, wanted, cluster))
    except DatelineError as error:
        found.append(Finding("cluster", False, str(error), error.mend))
    return found


def _silent(wanted: OpenSearchSettings) -> list[str]:
    """Ask each node of the setting; return those that do not answer, with the reason."""
    waits = replace(wanted.cluster.nodes, retries=0, timeout_s=wanted.cluster.nodes.connect_s)
    silent: list[str] = []
    for url in wanted.cluster.urls:
        alone = replace(wanted, cluster=replace(wanted.cluster, urls=(url,), nodes=waits))
        with connected(alone) as cluster:
            try:
                cluster.ask("GET", "/")
            except BusyError:
                silent.append(f"{cluster.where} does not")
            except DatelineError as error:
                silent.append(f"{cluster.where}: {error.what}")
    return silent


def _versions(nodes: Sequence[NodeHealth]) -> Finding:
    versions = sorted({node.version for node in nodes})
    is_tested = all(version.startswith(TESTED) for version in versions)
    mend = f"take one version of {TESTED}x for all nodes, on which Dateline is tested"
    ok = is_tested and len(versions) == 1
    return Finding("opensearch", ok, ", ".join(versions), mend)


def _plugin(nodes: Sequence[NodeHealth]) -> Finding:
    lacking = [node.name for node in nodes if node.holds_data and _KNN not in node.plugins]
    says = f"missing on {', '.join(lacking)}" if lacking else "on every node"
    mend = f"`opensearch-plugin install {_KNN}` there, and start the node again"
    return Finding("k-NN plugin", not lacking, says, mend)


def _disks(cluster: Cluster, nodes: Sequence[NodeHealth]) -> Finding:
    from storage.opensearch.nodes.node_health import LEVELS, passed, watermarks_of

    watermarks = watermarks_of(cluster)
    levels = {node.name: passed(watermarks, node) for node in nodes if node.holds_data}
    parts = [
        f"{node.name} {node.disk_free / _GIBI:,.1f} of {node.disk_all / _GIBI:,.1f} GB free"
        + (f" ({levels[node.name]}: {_FULL[levels[node.name]]})" if levels[node.name] else "")
        for node in nodes
        if node.holds_data
    ]
    limits = ", ".join(f"{name} {watermarks[name]}" for name in LEVELS[::-1] if name in watermarks)
    says = f"{'; '.join(parts)}; watermarks: {limits or 'off'}"
    mend = "free space on these disks, or add nodes"
    return Finding("cluster's disks", not any(levels.values()), says, mend)


def _heap(nodes: Sequence[NodeHealth]) -> Finding:
    shares = {node.name: node.heap_used / max(1, node.heap_most) for node in nodes}
    parts = [
        f"{node.name} {shares[node.name]:.0%} of {node.heap_most / _GIBI:,.1f} GB" for node in nodes
    ]
    mend = "give these nodes a larger heap (-Xmx), or add nodes"
    ok = all(share < _MOST_HEAP for share in shares.values())
    return Finding("cluster's heap", ok, ", ".join(parts), mend)


def _index(settings: Settings, wanted: OpenSearchSettings, cluster: Cluster) -> Finding:
    """Compare the index with the settings and, by counts, with the record. Changes nothing."""
    from storage.opensearch.index.family import served_index
    from storage.opensearch.index.live_settings import differences

    name = served_index(cluster, wanted.name)
    if not name:
        says = f"there is none by the name {wanted.name} yet"
        return Finding("cluster's index", True, says)
    other = differences(cluster, wanted.name, wanted.index, wanted.spaces, wanted.beside)
    looks = _looks(settings, wanted, cluster, name) if settings.has_archive else []
    return _judged(name, other, looks)


_SETTINGS_MEND = "see `dateline index diff`; `dateline index apply` changes what can be in place"
_CHECK_MEND = "`dateline index check --repair`"
_BEHIND_MEND = "start the service, or `dateline index check`, which brings it up to the record"


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the counts of an index. `applied` is its change when the look began, `newest` the
    record's newest change when it ended.
    """

    coverage: Coverage
    applied: int
    newest: int

    @property
    def drifts(self) -> bool:
        """Return whether the counts differ by more than the changes since; a change is one item."""
        return abs(self.coverage.held - self.coverage.wanted) > self.newest - self.applied

    @property
    def is_well(self) -> bool:
        """Return whether it needs no second look."""
        return not self.drifts and not self.coverage.behind


def _judged(name: str, other: Sequence[Difference], looks: Sequence[_Look]) -> Finding:
    """Return the finding by the `other` settings that differ from the wanted ones, and by the
    counts of each look (none without a record). An index that is behind but advances from look to
    look is being written to.
    """
    told = f"{len(other)} settings are not as wanted" if other else "settings as wanted"
    if not looks:
        return Finding("cluster's index", not other, f"{name}: {told}", _SETTINGS_MEND)
    found = looks[-1].coverage
    says = (
        f"{name}: {told}; {found.held:,} of {found.wanted:,} visible items;"
        f" {found.behind:,} changes behind"
    )
    waits = found.behind > 0 and looks[-1].applied == looks[0].applied
    drifts = all(look.drifts for look in looks)
    mend = _BEHIND_MEND if waits else _CHECK_MEND if drifts else _SETTINGS_MEND
    return Finding("cluster's index", not (other or drifts or waits), says, mend)


def _looks(
    settings: Settings, wanted: OpenSearchSettings, cluster: Cluster, name: str
) -> list[_Look]:
    """Look once, and again a little later if something differs: another process may be writing."""
    from storage.opensearch.index.coverage import coverage_of
    from storage.opensearch.index.family import IndexFamily

    family = IndexFamily(cluster, wanted.name, wanted.index, wanted.spaces, concrete=name)
    family.open(any_space=True, read_only=True)
    record = record_of(settings, wanted)
    looks: list[_Look] = []
    with closing(record):
        while not looks or (len(looks) == 1 and not looks[0].is_well):
            if looks:
                sleep(_PAUSE_S)
            applied = family.note().applied
            with record.moment() as reads:
                coverage = coverage_of(family, reads, to_micros(archive_clock(settings)()))
            looks.append(_Look(coverage, applied, record.last_change()))
    return looks


_PACKAGES = (
    "faiss-cpu",
    "fastapi",
    "luqum",
    "numpy",
    "onnxruntime",
    "pydantic",
    "tantivy",
    "tokenizers",
    "uvicorn",
)
# Each extra by a package that only it brings.
_EXTRAS = {
    "media": "av",
    "report": "matplotlib",
    "parquet": "pyarrow",
    "postgres": "psycopg",
    "opensearch": "opensearch-py",
    "s3": "s3fs",
    "speech": "faster-whisper",
    "lambda": "awslambdaric",
    "openvino": "openvino",
    "hnswlib": "hnswlib",
    "irds": "ir-datasets",
    "torch": "torch",
    "gpu": "faiss-gpu-cu12",
}
_LEAST_FREE = 500 * 2**20
_LEAST_RECALL = 0.95
_RECALL_SEARCHES = 20


def diagnose(settings: Settings) -> list[Finding]:
    """Return the findings of every check; causes come before effects."""
    checks: tuple[Callable[[Settings], list[Finding]], ...] = (
        _python,
        _packages,
        _models,
        _named_models,
        second_encoder,
        _remote_models,
        cage,
        speech,
        looks,
        text_reader,
        _folder,
        diagnose_cluster,
        _archive,
        _hosts,
    )
    return [finding for check in checks for finding in check(settings)]


def _python(_: Settings) -> list[Finding]:
    found = sys.version.split()[0]
    return [Finding("python", sys.version_info >= (3, 11), found, "Dateline needs 3.11 or newer")]


def _packages(_: Settings) -> list[Finding]:
    findings: list[Finding] = []
    for name in _PACKAGES:
        try:
            findings.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            findings.append(Finding(name, False, "not installed", "run `make setup`"))
    present = [extra for extra, name in _EXTRAS.items() if _is_installed(name)]
    findings.append(Finding("extras", True, ", ".join(present) or "none installed"))
    return findings


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _models(settings: Settings) -> list[Finding]:
    try:
        rows = verify_models(settings)
    except DatelineError as error:
        return [Finding("models", False, str(error), error.mend)]
    if not rows:
        mend = "set `models` to the folder that holds them"
        return [Finding("models", False, f"none in {settings.models}", mend)]
    mend = "take the file from the repository again (git checkout -- models), or pull the model"
    return [Finding(f"model {row.name}", row.ok, row.says, mend) for row in rows]


def _named_models(settings: Settings) -> list[Finding]:
    rows = check_named_models(settings)
    return [Finding(row.name, row.ok, row.says, row.mend) for row in rows]


def second_encoder(settings: Settings) -> list[Finding]:
    """Return how long the second encoder takes here if nobody named it: measured now, and kept for
    the next start.
    """
    name = settings.second_encoder
    if not name or is_named(settings):
        return []
    try:
        ms = measure(settings, open_encoder(settings, name))
    except DatelineError:
        return []  # told with the named models
    return [Finding("second encoder", True, f"{name}: {told(ms)}")]


def _remote_models(settings: Settings) -> list[Finding]:
    mend = "start the service that `runtimes` names, or take the model out of that setting"
    return [
        Finding(f"remote model {row.name}", row.ok, row.says, mend)
        for row in ask_remote_models(settings)
    ]


def cage(settings: Settings) -> list[Finding]:
    """Return what protects this machine from a hostile photo or video, as a process that would
    read one finds it; nothing without the packages for media.
    """
    if not _is_installed(_EXTRAS["media"]):
        return []
    from dateline.build.media.shots import cage_protection

    try:
        found = cage_protection(settings)
    except DatelineError as error:
        return [Finding("cage", False, str(error), error.mend)]
    least = "" if found.is_enough else "; too little, so photos and videos are refused"
    if least and settings.media_unsealed:
        least = "; too little, and media_unsealed has them read all the same"
    mend = "run it where a process may install a seccomp filter"
    return [Finding("cage", found.is_enough, f"{found}{least}", mend)]


def speech(settings: Settings) -> list[Finding]:
    """Return what writes down the speech of videos and sounds; nothing where nothing is named, and
    where the packages for media are not installed.
    """
    if not settings.transcriber or not _is_installed(_EXTRAS["media"]):
        return []
    from dateline.build.media.speech import PROVIDER, model_of

    if settings.transcriber == PROVIDER:
        where = settings.transcribe_url or "OpenAI's own address"
        return [Finding("speech", True, f"{settings.transcribe_model} at {where}")]
    try:
        return [Finding("speech", True, model_of(settings).name)]
    except DatelineError as error:
        is_needed = "transcriber" in settings.model_fields_set
        says = f"nothing is transcribed: {error.what}"
        return [Finding("speech", not is_needed, says, error.mend)]


def looks(settings: Settings) -> list[Finding]:
    """Return what looks at pictures; nothing where nothing is named."""
    if not settings.looks:
        return []
    try:
        with closing(open_pictures(settings, settings.looks)) as model:
            reads = " and reads texts" if model.texts is not None else ""
            return [Finding("looks", True, f"{model.made_by}{reads}")]
    except DatelineError as error:
        is_needed = "looks" in settings.model_fields_set
        return [
            Finding("looks", not is_needed, f"no picture is looked at: {error.what}", error.mend)
        ]


def text_reader(settings: Settings) -> list[Finding]:
    """Return what reads the text in pictures; nothing where nothing is named."""
    if not settings.text_reader or not _is_installed(_EXTRAS["media"]):
        return []
    from dateline.build.media.text_reader import text_reader_of

    try:
        with closing(text_reader_of(settings)) as reader:
            return [Finding("text in pictures", True, reader.name)]
    except DatelineError as error:
        is_needed = "text_reader" in settings.model_fields_set
        says = f"none is read: {error.what}"
        return [Finding("text in pictures", not is_needed, says, error.mend)]


def _folder(settings: Settings) -> list[Finding]:
    folder = settings.data
    there = folder if folder.exists() else folder.resolve().parent
    if not there.exists():
        return [Finding("data folder", False, f"{there} is missing", f"mkdir -p {there}")]
    writable = os.access(there, os.W_OK)
    free = shutil.disk_usage(there).free
    return [
        Finding("data folder", writable, str(folder), f"make {there} writable for this user"),
        Finding("free space", free > _LEAST_FREE, f"{free / 2**30:.1f} GiB", "free some space"),
    ]


def _lacks(field: str, count: int) -> str:
    return f"field {field} lacks {count:,} visible items: they are not found by it"


def _record(facts: Mapping[str, Any]) -> list[Finding]:
    """Return where the record of truth is, and whether a crash could lose an acknowledged write."""
    more = ", ".join(f"{name} {facts[name]}" for name in ("server", "schema") if name in facts)
    says = f"{facts['where']}, {more}" if more else str(facts["where"])
    mend = "set fsync and full_page_writes to on in the server's configuration"
    return [Finding("record", bool(facts["durable"]), says, mend)]


def _recall(field: str, found: int, wanted: int) -> Finding:
    """Return the share of the nearest items that searches found in a vector field."""
    share = found / max(wanted, 1)
    says = f"field {field}: {found} of the {wanted} nearest items found, {share:.3f}"
    mend = "`dateline rebuild` makes the graphs again; if that does not help, raise hnsw_ef_search"
    return Finding("recall", share >= _LEAST_RECALL, says, mend)


def _archive(settings: Settings) -> list[Finding]:
    if not settings.has_archive:
        return [Finding("archive", True, "none yet; `dateline ingest` makes it")]
    try:
        checked = checked_archive(settings, _RECALL_SEARCHES)
    except DatelineError as error:
        return [Finding("archive", False, str(error), error.mend)]
    found = checked.status
    engine = found["engine"]
    held = timedelta(seconds=round(found["clock"]["held_seconds"]))
    step = f"the system's clock is {held} ahead of the archive's"
    mend = "correct the system's clock, or run `dateline clock --confirm` if it is right"
    says = f"{found['items']:,} versions, {found['visible']:,} visible"
    findings = [*_record(engine["record"]), Finding("archive", True, says)]
    findings.append(Finding("clock", not held, step if held else "no step waits", mend))
    findings += [
        Finding("index", True, f"was damaged and made again: {line}") for line in engine["repairs"]
    ]
    findings += [
        Finding("vectors", False, _lacks(name, part["lacking"]), "run `dateline embed`")
        for name, part in engine["vectors"].items()
        if part["lacking"]
    ]
    findings += [_recall(name, *counts) for name, counts in checked.recall.items()]
    if settings.engine == "opensearch":  # told with the cluster
        return findings
    lag = found["projections"]["lexical"]["lag"]
    mend = "start the service or run `dateline rebuild`"
    findings.append(Finding("indexes", lag == 0, f"{lag} changes behind", mend))
    return findings


def _hosts(settings: Settings) -> list[Finding]:
    """Return what this host does not share with others; on one host that is not a mistake."""
    apart = kept_apart(settings)
    return [Finding("hosts", True, f"not shared with others: {'; '.join(apart)}")] if apart else []
