"""Bodies of the model endpoints: the shapes that OpenAI's and Cohere's clients use.

Embeddings follow OpenAI's `POST /v1/embeddings`, reranking Cohere's `POST /v2/rerank`. Our
additions are `input_type`, `max_tokens_per_pair`, `return_documents`, `score`, `warnings`, and all
of `POST /v1/tag`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_INPUTS = 2048  # OpenAI's bound
MAX_DOCUMENTS = 1000  # Cohere's
MAX_TEXTS = 2048

_MODEL = "The model's name, as GET /v1/models gives it; may be left out, as there is one per task."


def _texts(value: Any) -> Any:
    """Return one text or many as a list; token numbers are refused with a clear message."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and any(_is_number(entry) for entry in value):
        raise ValueError(
            "has token numbers; send the text, as numbers mean nothing to another tokenizer"
        )
    return value


def _is_number(entry: Any) -> bool:
    first = entry[0] if isinstance(entry, list) and entry else entry
    return isinstance(first, int | float)


def _document(value: Any) -> Any:
    """Return a document's text: it is a string, or an object with only `text`."""
    if isinstance(value, dict) and set(value) == {"text"}:
        return value["text"]
    if isinstance(value, dict):
        raise ValueError('should be a string or {"text": "…"}; other members are not read')
    return value


class ModelBody(BaseModel):
    """What every body names: the model, "" for the one that the service has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(default="", max_length=200, description=_MODEL)


class EmbeddingsBody(ModelBody):
    """OpenAI's request, plus `input_type`."""

    input: Annotated[
        list[str],
        Field(min_length=1, max_length=MAX_INPUTS),  # checked before each text is
        BeforeValidator(_texts, json_schema_input_type=str | list[str]),
    ] = Field(description=f"A text, or at most {MAX_INPUTS} of them.")
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="float: numbers. base64: little-endian float32."
    )
    dimensions: int | None = Field(
        default=None, description="The model's own dimension; no other is possible."
    )
    user: str = Field(
        default="", max_length=200, description="Accepted, but neither kept nor used."
    )
    input_type: Literal["query", "passage"] = Field(
        default="passage",
        description="What the texts are: some models read queries and passages differently.",
    )


class RerankBody(ModelBody):
    """Cohere's request, plus `max_tokens_per_pair` and `return_documents`."""

    query: str = Field(description="The query.")
    documents: list[
        Annotated[
            str, BeforeValidator(_document, json_schema_input_type=str | dict[Literal["text"], str])
        ]
    ] = Field(
        min_length=1,
        max_length=MAX_DOCUMENTS,
        description=f'1 to {MAX_DOCUMENTS} texts, or objects {{"text": "…"}}.',
    )
    top_n: int | None = Field(default=None, ge=1, description="The largest number of results.")
    max_tokens_per_doc: int | None = Field(
        default=None, ge=1, description="The number of tokens after which documents are cut."
    )
    max_tokens_per_pair: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens to read of a query and a document together; of each, if the "
        "model reads them apart.",
    )
    return_documents: bool = Field(
        default=False, description="true: each result has its document's text."
    )


class TagBody(ModelBody):
    """Texts to find names in."""

    texts: list[str] = Field(
        min_length=1, max_length=MAX_TEXTS, description=f"1 to {MAX_TEXTS} texts."
    )


class Usage(BaseModel):
    """Tokens that the model read."""

    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    """One text's unit vector; in base64, float32 in little-endian order."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsAnswer(BaseModel):
    """OpenAI's answer. `warnings` says which inputs are longer than the model reads, or is
    empty.
    """

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: Usage
    warnings: list[str]


class RerankDocument(BaseModel):
    """A document as it was sent."""

    text: str


class RerankResult(BaseModel):
    """A document's index in `documents`, its relevance in 0..1 (the logistic function of `score`,
    not a probability), and the model's `score`.
    """

    index: int
    relevance_score: float
    score: float
    document: RerankDocument | None = None


class RerankMeta(BaseModel):
    """Cohere's `meta`, with the members that are filled here. `truncated` has the indexes of
    documents that were not read to the end; `query_truncated` says the same of the query.
    `warnings` says so in words, and names empty texts.
    """

    api_version: dict[str, str]
    billed_units: dict[str, int]
    tokens: dict[str, int]
    truncated: list[int]
    query_truncated: bool
    warnings: list[str]


class RerankAnswer(BaseModel):
    """Cohere's answer: results from the most to the least relevant."""

    id: str
    results: list[RerankResult]
    meta: RerankMeta
    model: str


class TaggedName(BaseModel):
    """`text` is characters `start` to `end` of the sent text; `score` is in 0..1."""

    text: str
    label: Literal["PER", "ORG", "LOC", "MISC"]
    start: int
    end: int
    score: float


class TagAnswer(BaseModel):
    """The names of each text, in reading order."""

    results: list[list[TaggedName]]
    model: str
    usage: Usage
    warnings: list[str]


class ListedModel(BaseModel):
    """OpenAI's model object, plus what a client must know to share a vector space."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    task: Literal["encode", "tag", "score"]
    digest: str
    max_tokens: int
    dimension: int


class ModelsAnswer(BaseModel):
    """OpenAI's list of models."""

    object: Literal["list"]
    data: list[ListedModel]
