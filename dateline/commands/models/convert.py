"""`dateline models convert`: a model as the folder that Hugging Face's libraries open."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from dateline.build.models.runtimes import model_store
from dateline.commands.options import AsJson, Models, console, escape, reported, settings_for
from dateline.measuring.model_texts import read_texts
from inference.runtimes.loading import library


def convert_model(
    name: Annotated[str, typer.Argument(help="An encoder or tagger that `models list` shows.")],
    output: Annotated[Path, typer.Argument(help="Folder to make.")],
    texts: Annotated[
        Path | None,
        typer.Option(help="Texts to compare on; the demo corpus where none is named."),
    ] = None,
    as_json: AsJson = False,
    models: Models = None,
) -> None:
    """Write a model as a folder that transformers, sentence-transformers and optimum open.

    It has the same graph for ONNX Runtime, and the weights in float32 for PyTorch. How near these
    are to the graph is measured on texts and printed. Needs the extra `torch`.
    """
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
