"""`dateline models convert`: a model as the folder that Hugging Face's libraries open, or that
TorchServe serves.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer

from dateline.build.models.runtimes import model_store
from dateline.commands.options import AsJson, Models, console, escape, reported, settings_for
from dateline.measuring.model_texts import read_texts
from inference.runtimes.loading import library


def convert_model(
    name: Annotated[str, typer.Argument(help="An encoder or tagger that `models list` shows.")],
    output: Annotated[Path, typer.Argument(help="Folder to make.")],
    to: Annotated[Literal["hub", "torchserve"], typer.Option(help="Who opens the folder.")] = "hub",
    texts: Annotated[
        Path | None,
        typer.Option(help="Texts to compare on; the demo corpus where none is named."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65531, help="TorchServe's first port; the next four follow.")
    ] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=256, help="TorchServe's processes.")] = 1,
    as_json: AsJson = False,
    models: Models = None,
) -> None:
    """Write a model as a folder that transformers, sentence-transformers and optimum open.

    It has the same graph for ONNX Runtime, and the weights in float32 for PyTorch. How near these
    are to the graph is measured on texts and printed. `--to torchserve` writes what TorchServe
    serves instead: an archive with our handler, and its configuration. Needs the extra `torch`.
    """
    if to == "torchserve":
        _to_torchserve(name, output, port, workers, models)
        return
    with reported():
        hub_folder = library("training.public_models.hub_folder")
        source = model_store(settings_for(models=models)).find(name)
        hub_folder.write_hub_folder(source, output)
        found = hub_folder.likeness(source, output, read_texts(texts, 64))
    if as_json:
        tree = {"output": str(output), "float32": asdict(found)}
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2))
        return
    console.print(f"{escape(str(output))}/onnx/model.onnx: the same graph, with int64 inputs")
    same = "" if found.same_label is None else f", {found.same_label:.2%} of labels the same"
    console.print(
        f"{escape(str(output))}/model.safetensors: in float32; to the graph mean cosine "
        f"{found.mean:.4f}, least {found.least:.4f}{same}"
    )


def _to_torchserve(name: str, output: Path, port: int, workers: int, models: Path | None) -> None:
    with reported():
        archive = library("training.public_models.torchserve_archive")
        source = model_store(settings_for(models=models)).find(name)
        place = archive.write_torchserve(source, output, archive.ServePlan(port, workers))
    console.print(f"{escape(str(place))}: {place.stat().st_size / 1e6:,.1f} MB")
    console.print(
        f"serve it: cd {escape(str(output))} && torchserve --start --ts-config config.properties"
    )
