"""`python -m scripts.dev_cluster`: a real OpenSearch on this machine, started by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Column, Table

from dateline.commands.options import AsJson, console, errors, escape, reported
from scripts.dev_cluster.cluster import MOST_NODES, DevCluster, Shape
from scripts.dev_cluster.folders import cache_folder, cluster_folder

app = typer.Typer(
    no_args_is_help=True,
    help="A real OpenSearch on this machine, for development and tests: loopback only, no "
    "passwords. Needs Java 17 and Maven.",
)
Folder = Annotated[
    Path | None,
    typer.Option(
        help="The cluster's folder: data, logs, what runs.",
        show_default="DATELINE_DEV_CLUSTER_FOLDER, else in the user's state",
    ),
]
_GIBI = 2**30
_MEBI = 2**20


@app.command("up")
def up(
    nodes: Annotated[int, typer.Option(help="How many nodes.", min=1, max=MOST_NODES)] = 1,
    port: Annotated[
        int, typer.Option(help="Port of the first node; the next ones follow.", min=1, max=65000)
    ] = 9200,
    heap: Annotated[int, typer.Option(help="Heap of a node, in MB.", min=256, max=31744)] = 512,
    wait: Annotated[float, typer.Option(help="Longest wait for the cluster, in s.", min=1)] = 120.0,
    folder: Folder = None,
) -> None:
    """Fetch OpenSearch if it is not here yet, start nodes, and wait until they answer.

    Maven fetches it (some 65 MB), from where it is set up to; each file's sha256 is checked.
    """
    with reported():
        made = _cluster(folder).up(Shape(nodes, port, heap, wait))
    for node in made:
        console.print(f"{node.name} {node.url} (process {node.pid})")
    console.print(f"DATELINE_ENGINE=opensearch DATELINE_OPENSEARCH_URL={made[0].url}")


@app.command("status")
def status(as_json: AsJson = False, folder: Folder = None) -> None:
    """Show the nodes, their health, heap and disk, and the documents of each index.

    Exit code 1 when no node answers.
    """
    with reported():
        found = _cluster(folder).status()
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        _show(found)
    raise typer.Exit(0 if found["health"] else 1)


@app.command("down")
def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove the nodes' data too.")] = False,
    folder: Folder = None,
) -> None:
    """End the nodes that `up` started, and nothing else."""
    with reported():
        count = _cluster(folder).down(purge=purge)
    removed = ", and the data removed" if purge else ""
    console.print(f"{_nodes(count)} ended{removed}")


def _cluster(folder: Path | None) -> DevCluster:
    return DevCluster(cache_folder(), folder or cluster_folder(), _say)


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _say(what: str) -> None:
    errors.print(escape(what))


def _show(found: Mapping[str, Any]) -> None:
    console.print(f"cluster in {escape(found['folder'])}: {found['health'] or 'does not answer'}")
    nodes = Table(Column("node", no_wrap=True), "address", "process", "heap", "disk free", box=None)
    for row in found["nodes"]:
        process = str(row["pid"]) if row["runs"] else "ended"
        heap = disk = ""
        if "heap_used" in row:
            heap = f"{row['heap_used'] / _MEBI:,.0f} of {row['heap_most'] / _MEBI:,.0f} MB"
            disk = f"{row['disk_free'] / _GIBI:,.1f} of {row['disk_all'] / _GIBI:,.1f} GB"
        nodes.add_row(row["name"], row["url"], process, heap, disk)
    if found["nodes"]:
        console.print(nodes)
    for row in found["indices"]:
        what = f"{row['name']}: {row['documents']:,} documents, {row['bytes'] / _MEBI:,.1f} MB"
        console.print(f"  {escape(what)}, {row['health']}")


if __name__ == "__main__":
    app()
