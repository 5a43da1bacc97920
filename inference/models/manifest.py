"""A model's manifest: `manifest.json` in its folder, as a value.

Every field must be there, so that a misspelt one is found at once. A field without a use for the
model is an empty string, list or object.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath

TASKS = (
    "encode",
    "tag",
    "score",
    "caption",
    "shots",
    "transcribe",
    "look",
    "find_text",
    "read_text",
)
PIXELS_IN = ("shots", "find_text", "read_text")  # tasks whose models read no text
# In the order in which a model's reference graph is looked for.
FORMATS = (
    "onnx",
    "safetensors",
    "openvino",
    "torchscript",
    "ctranslate2",
    "tensorflow",
    "tflite",
    "tflite-int8",
)
RESEARCH_ONLY = "research only"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Texts that a model learned from, their licence, and the `use` that it allows.

    `use` is `any`, `research only`, `unknown` or a few words of the licence.
    """

    name: str
    licence: str
    use: str

    @property
    def research_only(self) -> bool:
        """Whether the texts are given for research and nothing else."""
        return self.use == RESEARCH_ONLY


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """One model: its source, its files, and how texts or frames are given to it.

    - `name`: also its folder's name; `task`: one of TASKS
    - `source`, `revision`, `licence`: whose weights, which version, under which terms
    - `files`: sha256 in hex by path relative to the folder, `/` between parts
    - `graphs`: path in `files` by format: `onnx`, `openvino` (the .xml; its .bin is listed in
      `files` too), `torchscript`, `safetensors` (`config.json` is listed beside it), `ctranslate2`
      (`config.json` and its vocabulary are listed beside it), `tensorflow` (a SavedModel in one
      file), `tflite` and `tflite-int8`
    - `tokenizer`: the path in `files` of `tokenizer.json`; "" for PIXELS_IN, which read no text,
      and for a model to `look` that reads none
    - `optimized`: the ONNX graph is in its final form and the runtime must not rewrite it
    - `pooling`: `mean`, `cls` or "" if the model has no sentence vector
    - `query_prefix`, `passage_prefix`: put before each text
    - `max_tokens`: a text's greatest length, special tokens counted, or for `shots` the frames of
      the longest window, for `find_text` and `read_text` the longest edge of a picture and the
      longest line in pixels; `dimension`: of a vector, or for `read_text` how many characters the
      model knows, blank and space counted
    - `labels`: by class number, the tagger's or the names of what a model to `look` knows (`NAME;
      BROADER`)
    - `precision`: of the weights; `quality`: measured figures, by what was measured
    - `recipe`: the command that makes the model; `languages`: ISO 639-1 codes, `mul` for many
    - `training_data`: what it learned from; `commands`: by figure, the command that measured it
    - `about`, `limits`: for the card, what it is for and what it is not for
    """

    name: str
    task: str
    architecture: str
    source: str
    revision: str
    licence: str
    files: Mapping[str, str]
    graphs: Mapping[str, str]
    tokenizer: str
    optimized: bool
    pooling: str
    query_prefix: str
    passage_prefix: str
    max_tokens: int
    dimension: int
    labels: tuple[str, ...]
    precision: str
    quality: Mapping[str, float]
    recipe: str
    languages: tuple[str, ...]
    training_data: tuple[TrainingData, ...] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    limits: tuple[str, ...] = ()

    @property
    def graph(self) -> str:
        """The ONNX graph's path; "" if there is none."""
        return self.graphs.get("onnx", "")

    @property
    def research_only(self) -> bool:
        """Whether any of the texts that it learned from is given for research only."""
        return any(data.research_only for data in self.training_data)

    @property
    def digest(self) -> str:
        """sha256 in hex over all that decides the model's answers: reference graph, tokenizer,
        prefixes, length, pooling and labels. It names the space of an encoder's vectors.

        The reference is the first of FORMATS that there is. Other formats of the same weights don't
        count, because an export proves that they agree with it.
        """
        reference = self.reference
        beside = companions(reference, self.files)
        deciding = {*beside, reference, self.text_graph, self.tokenizer} - {""}
        meaning = [
            sorted((path, self.files[path]) for path in deciding),
            [reference, self.tokenizer, self.pooling],
            [self.query_prefix, self.passage_prefix, self.max_tokens],
            list(self.labels),
        ]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()

    @property
    def text_graph(self) -> str:
        """The path of the graph for texts, of a model with texts and pictures in one space: it lies
        beside that for pictures, which has `vision` in its name. "" for any other model.
        """
        path = self.graph.replace("vision_model", "text_model")
        return path if self.task == "look" and path != self.graph and path in self.files else ""

    @property
    def reference(self) -> str:
        """The path of the graph in the first of FORMATS that there is."""
        return next(self.graphs[kind] for kind in FORMATS if kind in self.graphs)

    def to_json(self) -> str:
        """Return the text of `manifest.json`, ending in a line break."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


_CTRANSLATE2 = ("config.json", "vocabulary.txt", "vocabulary.json", "preprocessor_config.json")


def companions(graph: str, files: Mapping[str, str]) -> tuple[str, ...]:
    """Return the listed files that must lie beside the graph at the path `graph`, sorted."""
    place = PurePosixPath(graph)
    match place.suffix:
        case ".onnx":  # weights of more than the two gigabytes that a graph can hold
            wanted = [f"{place}_data", f"{place}.data"]
        case ".xml":
            wanted = [str(place.with_suffix(".bin"))]
        case ".safetensors":
            wanted = [str(place.with_name("config.json"))]
        case ".bin":  # CTranslate2's
            wanted = [str(place.with_name(name)) for name in _CTRANSLATE2]
        case _:
            wanted = []
    return tuple(sorted(path for path in wanted if path in files))
