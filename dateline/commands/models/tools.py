"""`dateline models export`, `quantize` and `bench`: other forms of a model, and the fastest one."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from core.errors import InputError
from dateline.build.models.runtimes import model_store
from dateline.commands.options import (
    EXIT_REFUSED,
    AsJson,
    Kept,
    Models,
    console,
    escape,
    reported,
    settings_for,
    show_progress,
)
from dateline.measuring.model_bench import BenchPlan, bench, keep
from dateline.measuring.model_judge import Quantized, QuantizePlan, quantize
from dateline.measuring.model_texts import read_texts
from inference.runtimes.bench import Row, Shape
from inference.runtimes.loading import library

Texts = Annotated[
    Path | None,
    typer.Option(help="Real text, .jsonl or .txt; the demo corpus where none is named."),
]
TASKS = ("encode", "tag", "score")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def bench_model(
    name: Annotated[str, typer.Argument(help="A model that `models list` shows.")],
    shape: Annotated[
        list[str] | None, typer.Option(help="Texts x tokens of a call, such as 64x128. Repeatable.")
    ] = None,
    runtimes: Annotated[
        str,
        typer.Option(help="By commas, such as onnxruntime,openvino:bf16; all where none is named."),
    ] = "",
    seconds: Annotated[
        float, typer.Option(min=0.01, max=3600, help="Seconds to measure each shape.")
    ] = 5.0,
    threads: Annotated[
        int, typer.Option(min=1, max=256, help="Threads that work on one call.")
    ] = 1,
    choose: Annotated[
        bool, typer.Option("--choose", help="Keep the fastest whose answers agree.")
    ] = False,
    texts: Texts = None,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Measure a model in every runtime that is installed, in turns, and whether they agree.

    `--choose` keeps the answer for this machine in the data folder; the setting `runtimes` goes
    before it.
    """
    with reported():
        settings = settings_for(data=data, models=models)
        plan = BenchPlan(
            tuple(_shape(text) for text in shape or ()),
            tuple(text.strip() for text in runtimes.split(",") if text.strip()),
            seconds,
            threads,
            texts,
        )
        rows = bench(settings, name, plan, show_progress)
        if not as_json:
            _show_bench(rows)
        kept = keep(settings, name, rows) if choose else None
    if as_json:
        tree = {
            "model": name,
            "rows": [_bench_row(row) for row in rows],
            "kept": asdict(kept) if kept else None,
        }
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2))
    elif kept:
        console.print(f"kept for this machine: {escape(kept.choice)} ({kept.ratio:.2f} times)")


def export_model(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Folder with config.json, model.safetensors, tokenizer.json; or a model's name."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder to make; its name is the model's.")],
    task: Annotated[str, typer.Option(help="Of a checkpoint: encode, tag or score.")] = "",
    formats: Annotated[
        str,
        typer.Option(
            help="By commas: onnx, openvino, torchscript, safetensors; of a model: tensorflow,"
            " tflite, tflite-int8.",
            show_default="all but safetensors",
        ),
    ] = "",
    pooling: Annotated[
        str, typer.Option(help="mean or cls.", show_default="what the checkpoint says, or mean")
    ] = "",
    query_prefix: Annotated[str, typer.Option(help="Put before each query.")] = "",
    passage_prefix: Annotated[str, typer.Option(help="Put before each passage.")] = "",
    max_tokens: Annotated[
        int, typer.Option(min=0, help="Most tokens of a text; 0 for the model's own.")
    ] = 0,
    source: Annotated[str, typer.Option(help="Whose weights they are, for the manifest.")] = "",
    revision: Annotated[str, typer.Option(help="Which version they are.")] = "",
    licence: Annotated[str, typer.Option(help="Under which terms.")] = "",
    texts: Texts = None,
    as_json: AsJson = False,
    models: Models = None,
) -> None:
    """Turn a PyTorch checkpoint into ONNX, OpenVINO IR and TorchScript, or a model into SavedModel
    and TFLite, and prove each.

    What does not give the same answers (least cosine .9999; TensorFlow's in float32 within 1e-4) is
    refused, and nothing kept. A checkpoint needs the extra `torch`, and `openvino` for that format;
    a model needs `tensorflow`.
    """
    with reported():
        _check_name(output)
        store = model_store(settings_for(models=models))
        if checkpoint in store.names() and not Path(checkpoint, "config.json").exists():
            forms = library("training.tensorflow.export")
            wanted = _formats(formats, tuple(forms.PATHS), forms.DEFAULT)
            told = read_texts(texts, 32)
            made = forms.export_tensorflow(store.open(checkpoint), output, wanted, told)
        else:
            parts = library("training.public_models.checkpoint_folder")
            _check_choice("--task", task, TASKS)
            _check_choice("--pooling", pooling, ("", "mean", "cls"))
            plan = parts.ExportPlan(
                task=task,
                formats=_formats(formats, tuple(parts.PATHS), ("onnx", "openvino", "torchscript")),
                pooling=pooling,
                query_prefix=query_prefix,
                passage_prefix=passage_prefix,
                max_tokens=max_tokens,
                source=source,
                revision=revision,
                licence=licence,
            )
            made = library("training.public_models.export").export(
                Path(checkpoint), output, plan, read_texts(texts, 64)
            )
    if as_json:
        tree = {"output": str(output), "formats": [asdict(row) for row in made]}
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2))
        return
    table = _table("format", "size", "least cosine", "greatest difference")
    for row in made:
        size = f"{row.size / 1e6:,.1f} MB"
        table.add_row(row.format, size, f"{row.parity.cosine:.6f}", f"{row.parity.difference:.1e}")
    console.print(table)
    console.print(f"{escape(str(output))}: every format gives the same answers")


def quantize_model(
    name: Annotated[str, typer.Argument(help="A model in float32 that `models list` shows.")],
    output: Annotated[Path, typer.Option(help="Folder to make; its name is the model's.")],
    method: Annotated[str, typer.Option(help="dynamic or static (int8), or fp16.")],
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Text for static, .jsonl or .txt; the demo corpus where none is named."),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="FOLDER[:SPLIT] in BEIR's layout; for taggers a CoNLL file. Repeatable."),
    ] = None,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Make a model smaller: int8, or float16 on disk.

    With `--judge` its figure is measured before and after; where it loses more than half a point
    the result is put aside as NAME.refused, and the exit code is 1. `report.md` and, with the extra
    `report`, `report.html` beside it say what each query and each layer lost. Needs the extra
    `torch`.
    """
    with reported():
        _check_name(output)
        settings = settings_for(data=data, models=models)
        plan = QuantizePlan(method, output, calibrate, tuple(judge or ()))
        made = quantize(settings, name, plan, show_progress)
    if as_json:
        tree = {**asdict(made), "place": str(made.place), "refused": made.refused}
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2))
    else:
        _show_quantized(made)
    raise typer.Exit(EXIT_REFUSED if made.refused else 0)


def _show_quantized(made: Quantized) -> None:
    before, after = made.size_before / 1e6, made.size_after / 1e6
    console.print(f"{escape(str(made.place))}: {before:,.1f} MB, now {after:,.1f} MB")
    if not made.judged:
        console.print("not judged: name judged data with --judge to see what it lost")
    for one in made.judged:
        line = f"{one.measure} on {escape(one.dataset)}: {one.before:.4f}, now {one.after:.4f}"
        console.print(f"{line}; {one.better} better, {one.worse} worse")
    console.print(f"the report is in {escape(str(made.place / 'report.md'))}")
    if made.refused:
        console.print("[red]refused[/]: more than half a point is lost; the files are kept aside")


def _shape(text: str) -> Shape:
    """Return the shape in `64x128`. Raises InputError."""
    rows, _, tokens = text.partition("x")
    if not (rows.isdecimal() and tokens.isdecimal()):
        raise InputError(f"{text!r} is no shape", where="--shape", mend="texts x tokens: 64x128")
    return Shape(int(rows), int(tokens))


def _check_name(output: Path) -> None:
    """Raise InputError for a folder whose name can't be a model's."""
    if not _NAME.fullmatch(output.name):
        mend = "letters, digits, dots, dashes and underscores"
        raise InputError(f"{output.name!r} can't be a model's name", where="--output", mend=mend)


def _formats(text: str, known: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the named formats, or `default` where none is named. Raises InputError for another."""
    wanted = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for one in wanted:
        _check_choice("--formats", one, known)
    return wanted or default


def _check_choice(where: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        mend = f"one of {', '.join(one for one in known if one)}"
        raise InputError(f"there is no {value!r}", where=where, mend=mend)


def _table(*columns: str) -> Table:
    """Return a table that a narrow terminal does not cut."""
    table = Table(box=None, show_edge=False, header_style="bold", pad_edge=False, padding=(0, 1))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", min_width=len(column))
    return table


def _show_bench(rows: list[Row]) -> None:
    """Print a line for each runtime and shape, and a line for each problem."""
    width = max(len(row.name) for row in rows)
    columns = ("shape", "p50 ms", "p99 ms", "ms a text", "of best", "cosine", "agrees")
    table = _table("runtime".ljust(width), *columns)
    for row in rows:
        for shape, speed in row.speeds.items():
            parity = row.parity
            cosine, agrees = (
                ("", "")
                if parity is None
                else (
                    f"{parity.cosine:.6f}",
                    "yes" if parity.agree else "[red]no[/]",
                )
            )
            times = (f"{ms:.3f}" for ms in (speed.p50, speed.p99, speed.per_text))
            table.add_row(escape(row.name), shape, *times, f"{speed.ratio:.2f}", cosine, agrees)
    if table.row_count:
        console.print(table)
    for row in rows:
        if row.problem:
            console.print(f"[yellow]{escape(row.name)}:[/] {escape(row.problem)}")


def _bench_row(row: Row) -> dict[str, Any]:
    return {**asdict(row), "score": row.score if row.speeds else None}
