"""`dateline index`: how the index on OpenSearch is to be, how it is, and what brings it there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.table import Column, Table

from dateline.commands.options import (
    AsJson,
    Data,
    archive_settings,
    console,
    errors,
    escape,
    reported,
    settings_for,
)

if TYPE_CHECKING:  # they need an extra
    from storage.opensearch.engine import OpenSearchSettings
    from storage.opensearch.index.check import Drift
    from storage.opensearch.index.live_settings import Difference
    from storage.opensearch.index.plan import Plan
    from storage.opensearch.nodes.connection import Cluster

app = typer.Typer(no_args_is_help=True, help="The index on OpenSearch: its plan, state and care.")
_SHOWN = 20
_MEBI = 2**20


@app.command("plan", no_args_is_help=True)
def plan(
    items: Annotated[int, typer.Argument(help="Items that are shown.", min=1)],
    characters: Annotated[
        float, typer.Option(help="Characters of an item's text, on average.", min=1)
    ] = 2e3,
    passages: Annotated[
        float, typer.Option(help="Passages of an item, on average.", min=0.01)
    ] = 2.0,
    width: Annotated[int, typer.Option(help="Numbers in a vector.", min=1, max=4096)] = 384,
    fields: Annotated[
        int, typer.Option(help="Vector fields: vectors of a passage.", min=0, max=8)
    ] = 1,
    hidden: Annotated[
        float, typer.Option(help="Hidden versions of an item, on average.", min=0)
    ] = 1.0,
    nodes: Annotated[int, typer.Option(help="Nodes that hold data.", min=1)] = 1,
    memory: Annotated[float, typer.Option(help="Memory of a node, in GiB.", min=1)] = 16.0,
    replicas: Annotated[
        int | None, typer.Option(help="Copies of each shard beside the first.", min=0)
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Precision of the graphs, in place of the setting's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Reckon shards, copies, disk and memory of an index, from measured sizes; asks no cluster.

    Exit code 1 if the nodes' memory does not hold what searches read.
    """
    from storage.opensearch.index.plan import Archive, Graphs, Hardware
    from storage.opensearch.index.plan import plan as planned

    with reported():
        chosen = settings_for(opensearch_precision=precision)
        graphs = Graphs(
            chosen.opensearch_library,
            chosen.opensearch_precision,
            chosen.hnsw_m,
            chosen.hnsw_ef_construction,
            chosen.opensearch_ef_search,
        )
        archive = Archive(items, characters, passages, width, fields, hidden)
        found = planned(archive, Hardware(nodes, int(memory * 2**30)), graphs, replicas)
    _show_plan(found, as_json=as_json)
    raise typer.Exit(0 if found.fits else 1)


@app.command("create")
def create(data: Data = None) -> None:
    """Make the archive's index as the settings say, unless it is there."""
    from dateline.build.index import family_of

    with _opened(data) as (wanted, cluster):
        family = family_of(wanted, cluster)
        there = bool(family.moved_to())
        family.open()
        said = "is there already" if there else "made"
        console.print(f"index {escape(family.concrete)} behind {escape(family.name)}: {said}")


@app.command("diff")
def diff(as_json: AsJson = False, data: Data = None) -> None:
    """Show where the index is not as the settings say. Exit code 1 if it differs."""
    with _opened(data) as (wanted, cluster):  # read before the code that needs the extra
        from storage.opensearch.index.live_settings import differences

        found = differences(cluster, wanted.name, wanted.index, wanted.spaces, wanted.beside)
    _show_differences(found, as_json=as_json)
    raise typer.Exit(1 if found else 0)


@app.command("apply")
def apply(as_json: AsJson = False, data: Data = None) -> None:
    """Change in place what can be. Exit code 1 if something is left that takes another index."""
    with _opened(data) as (wanted, cluster):  # read before the code that needs the extra
        from storage.opensearch.index.live_settings import change_in_place, differences

        found = differences(cluster, wanted.name, wanted.index, wanted.spaces, wanted.beside)
        left = change_in_place(cluster, found)
    if not as_json:
        console.print(f"{len(found) - len(left)} changed in place")
    _show_differences(left, as_json=as_json)
    raise typer.Exit(1 if left else 0)


@app.command("check")
def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    samples: Annotated[
        int, typer.Option(help="Documents of which all that they hold is compared.", min=0)
    ] = 200,
    seed: Annotated[int, typer.Option(help="Seed of that choice.", min=0)] = 0,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Compare the index with the settings and with the record of truth.

    Of every document that it is there and when it is shown; of some, chosen at random, all that
    they hold. Exit code 1 if something differs, or with --repair where it still does.
    """
    from dateline.build.index import opened_check, wanted_index

    with reported():
        settings = archive_settings(data=data)
        wanted = wanted_index(settings)  # read before the code that needs the extra
        from storage.opensearch.index.live_settings import differences

        with opened_check(settings, wanted) as checking:
            drift = checking.look(samples, seed)
            refused = {}
            mended = 0
            if repair and (len(drift.seqs) or len(drift.past) or drift.miscounted):
                mended = len(drift.seqs) + len(drift.past)
                refused = checking.repair(drift)
                drift = checking.look(samples, seed)
            cluster = checking.cluster
            other = differences(cluster, wanted.name, wanted.index, wanted.spaces, wanted.beside)
    tree = drift_tree(drift) | {"mended": mended, "refused": refused}
    if as_json:
        tree["settings"] = [_difference_tree(each) for each in other]
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    else:
        _show_drift(tree)
        _show_differences(other, as_json=False)
    raise typer.Exit(0 if drift.is_sound and not refused and not other else 1)


@app.command("settle")
def settle(
    wait: Annotated[float, typer.Option(help="Longest merge, in s.", min=1)] = 6 * 3600.0,
    data: Data = None,
) -> None:
    """After a backfill: merge the index, let go of what was replaced, and read it into memory.

    It is searched meanwhile. An index that is written to all the time needs none of it.
    """
    with _opened(data) as (wanted, cluster):  # read before the code that needs the extra
        from storage.opensearch.index.settle import settle as settled

        found = settled(cluster, wanted.name, wanted.spaces, _say, merge_s=wait)
    sizes = f"{found.bytes_before / _MEBI:,.1f} MB to {found.bytes_after / _MEBI:,.1f} MB"
    console.print(f"{sizes}, {found.segments} segments")
    console.print(
        f"slowest search: {found.first_ms:,.1f} ms at first, {found.last_ms:,.1f} at last"
    )


def drift_tree(drift: Drift) -> dict[str, Any]:
    """Return what a look found, as values for JSON."""
    return {
        "sound": drift.is_sound,
        "wanted": drift.wanted,
        "held": drift.held,
        "behind": drift.behind,
        "last_change": drift.last_change,
        "missing": drift.missing.tolist(),
        "extra": drift.extra.tolist(),
        "mistimed": drift.mistimed.tolist(),
        "past": drift.past.tolist(),
        "sampled": drift.sampled,
        "differing": dict(drift.differing),
        "miscounted": dict(drift.miscounted),
    }


@contextmanager
def _opened(data: Data) -> Iterator[tuple[OpenSearchSettings, Cluster]]:
    with reported():
        from dateline.build.index import connected, wanted_index

        wanted = wanted_index(settings_for(data=data))
        with connected(wanted) as cluster:
            yield wanted, cluster


def _show_plan(found: Plan, *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return
    table = Table(Column("", no_wrap=True), Column("", justify="right"), "by", box=None)
    for line in found.lines:
        table.add_row(line.name, line.value, line.why)
    console.print(table)
    said = "holds" if found.fits else "[red]does not hold[/]"
    console.print(f"a node's memory {said} what searches read")
    console.print(f"opensearch_shards = {found.shards}")
    console.print(f"opensearch_replicas = {found.replicas}")


def _show_differences(found: Sequence[Difference], *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps([_difference_tree(e) for e in found], option=orjson.OPT_INDENT_2))
        return
    if not found:
        console.print("settings: as wanted")
        return
    for each in found:
        how = "`dateline index apply` changes it" if each.in_place else "takes another index"
        values = f"{each.live}, wanted {each.wanted}"
        console.print(f"{escape(each.index)}: {escape(each.name)} is {escape(values)}; {how}")


def _difference_tree(each: Difference) -> dict[str, Any]:
    names = ("index", "name", "wanted", "live", "in_place")
    return {name: getattr(each, name) for name in names}


def _show_drift(tree: dict[str, Any]) -> None:
    counts = f"{tree['held']:,} documents are held, {tree['wanted']:,} wanted"
    console.print(f"{'sound' if tree['sound'] else '[red]drift[/]'}: {counts}")
    console.print(f"  change {tree['last_change']:,}, {tree['behind']:,} behind")
    for name in ("missing", "extra", "mistimed", "past"):
        if tree[name]:
            console.print(f"  {len(tree[name]):,} {name}: {_some(tree[name])}")
    console.print(f"  {tree['sampled']:,} compared in full, {len(tree['differing']):,} differ")
    for seq, what in [*tree["differing"].items()][:_SHOWN]:
        console.print(f"    {seq}: {escape(what)}")
    for name, more in tree["miscounted"].items():
        console.print(f"  vectors of {escape(name)}: {more:+,} in the sum for their mean")
    if tree["mended"]:
        console.print(f"  {tree['mended']:,} stated anew")
    for seq, why in tree["refused"].items():
        console.print(f"  [red]refused[/] {seq}: {escape(why)}")


def _some(seqs: Sequence[int]) -> str:
    shown = ", ".join(map(str, seqs[:_SHOWN]))
    return f"{shown}, …" if len(seqs) > _SHOWN else shown


def _say(what: str) -> None:
    errors.print(escape(what))
