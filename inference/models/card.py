"""A model's card, `README.md`, written from its manifest so that the two can't disagree."""

from collections.abc import Iterable

from inference.models.manifest import ModelManifest

CARD = "README.md"
_MOST_LABELS = 50  # that a card lists

_TASKS = {
    "encode": "encode: a text to a vector",
    "tag": "tag: names in a text",
    "score": "score: how well a passage answers a query",
    "caption": "caption: what a picture shows, in words",
    "shots": "shots: where in a video one shot ends and the next begins",
    "transcribe": "transcribe: what is said in a sound, in words",
    "find_text": "find_text: where in a picture lines of text are",
    "read_text": "read_text: what is written in a picture of one line",
    "look": "look: what a picture looks like, and what is in it",
}
_FORMATS = {
    "onnx": "ONNX",
    "openvino": "OpenVINO IR",
    "torchscript": "TorchScript",
    "safetensors": "safetensors",
    "ctranslate2": "CTranslate2",
    "tensorflow": "TensorFlow SavedModel",
    "tflite": "TFLite",
    "tflite-int8": "TFLite, int8",
}


def card(manifest: ModelManifest) -> str:
    """Return the card in Markdown, ending in a line break."""
    parts = [
        f"# {manifest.name}",
        manifest.about,
        _facts(manifest),
        "## Learned from",
        _training(manifest),
        "## Files",
        _files(manifest),
        "## Measured",
        _measured(manifest),
        "## What it is not for",
        "\n".join(f"- {limit}" for limit in manifest.limits) or "Nothing is stated.",
        "## Made by",
        _recipe(manifest),
    ]
    written = "Written by `dateline models card --write` from `manifest.json`; change that."
    return "\n\n".join(part for part in (*parts, written) if part) + "\n"


def _facts(manifest: ModelManifest) -> str:
    """Return the rows of facts about the model; a row without a value is left out."""
    prefixes = [
        f"`{prefix}` before a {what}"
        for prefix, what in ((manifest.query_prefix, "query"), (manifest.passage_prefix, "passage"))
        if prefix
    ]
    encodes = manifest.task in ("encode", "look")
    rows = (
        ("task", _TASKS[manifest.task]),
        ("architecture", manifest.architecture),
        ("source", manifest.source),
        ("revision", manifest.revision),
        ("licence", manifest.licence),
        ("languages", ", ".join(manifest.languages)),
        ("precision", manifest.precision),
        ("formats", ", ".join(_FORMATS[kind] for kind in manifest.graphs)),
        ("window" if manifest.task == "shots" else "reads", _pixels(manifest)),
        ("longest text", _longest(manifest) if manifest.tokenizer else ""),
        ("vector", f"{manifest.dimension} numbers, length 1" if encodes else ""),
        ("pooling", manifest.pooling),
        ("prefixes", ", ".join(prefixes) or ("none" if manifest.task == "encode" else "")),
        ("labels", _labels(manifest)),
    )
    return _table(("", ""), ((name, _cell(value)) for name, value in rows if value))


def _pixels(manifest: ModelManifest) -> str:
    """Return what a model for pixels reads at once; "" for others."""
    match manifest.task:
        case "find_text":
            return f"a picture of at most {manifest.max_tokens} pixels on its longer side"
        case "read_text":
            lines = f"lines of at most {manifest.max_tokens} pixels, 48 high"
            return f"{lines}, in {manifest.dimension:,} characters"
        case "shots":
            return f"at most {manifest.max_tokens} frames"
        case _:
            return ""


def _labels(manifest: ModelManifest) -> str:
    many = len(manifest.labels) > _MOST_LABELS
    return f"{len(manifest.labels):,}, in the manifest" if many else ", ".join(manifest.labels)


def _longest(manifest: ModelManifest) -> str:
    return f"{manifest.max_tokens} tokens, special ones counted"


def _training(manifest: ModelManifest) -> str:
    """Return the texts behind the weights, and a warning if they are for research only."""
    if not manifest.training_data:
        return "Not stated by its makers."
    rows = ((_cell(d.name), _cell(d.licence), _cell(d.use)) for d in manifest.training_data)
    table = _table(("texts", "licence", "use"), rows)
    if not manifest.research_only:
        return table
    return (
        f"{table}\n\n**Some of these texts are licensed for research only.** Whether that binds"
        " weights learned from them is unsettled; for other uses ask a lawyer, or train on texts"
        " of your own."
    )


def _files(manifest: ModelManifest) -> str:
    rows = (
        (f"`{path}`", digest or "taken from the source") for path, digest in manifest.files.items()
    )
    return _table(("file", "sha256"), rows)


def _measured(manifest: ModelManifest) -> str:
    """Return every figure with the command that measured it."""
    if not manifest.quality:
        return "Nothing was measured here."
    rows = (
        (_cell(name), f"{value:g}", _command(manifest.commands.get(name, "")))
        for name, value in manifest.quality.items()
    )
    return _table(("what", "figure", "command"), rows)


def _command(command: str) -> str:
    return f"`{command}`" if command else "its makers' figure"


def _recipe(manifest: ModelManifest) -> str:
    if not manifest.recipe:
        return f"Its makers: {manifest.source}."
    return f"    {manifest.recipe}\n\nSee `training/README.md`."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(text: str) -> str:
    """Return `text` without characters that would end a table cell."""
    return text.replace("|", r"\|").replace("\n", " ")
