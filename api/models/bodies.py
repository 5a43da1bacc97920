"""Bodies of the model endpoints: the shapes that OpenAI's and Cohere's clients use.

Embeddings follow OpenAI's `POST /v1/embeddings` and Cohere's `POST /v2/embed`, reranking Cohere's
`POST /v2/rerank`. Our additions are `input_type` of OpenAI's, `max_tokens_per_pair`,
`return_documents`, `score`, `warnings`, and all of `POST /v1/tag`.

Bodies of published shapes are read as their own services read them: null is like a member that is
not there, and a member that is not known changes nothing. The answer's warnings name it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

MAX_INPUTS = 2048  # OpenAI's bound
MAX_DOCUMENTS = 1000  # Cohere's
MAX_TEXTS = 2048

_MODEL = "The model's name, as GET /v1/models gives it; may be left out, as there is one per task."


def texts_of(value: Any) -> Any:
    """Return one text or many as a list; a list of token numbers alone is one text."""
    alone = isinstance(value, str) or (isinstance(value, list) and _are_tokens(value))
    return [value] if alone else value


def _text(value: Any) -> str | tuple[int, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and _are_tokens(value):
        return tuple(value)
    raise ValueError("should be a text, or a list of the model's own token numbers")


def numbers_of(value: Any) -> tuple[int, ...]:
    """Return a list of token numbers; raises ValueError for anything else."""
    if isinstance(value, list) and _are_tokens(value):
        return tuple(value)
    raise ValueError("should be a list of the model's own token numbers")


def _are_tokens(value: list[Any]) -> bool:
    return bool(value) and all(type(entry) is int and 0 <= entry < 2**31 for entry in value)


# A text, or the numbers of its tokens.
Text = Annotated[
    str | tuple[int, ...], PlainValidator(_text, json_schema_input_type=str | list[int])
]


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


class TolerantBody(BaseModel):
    """A body of a published shape: null means absent, and unknown members are read over."""

    model_config = ConfigDict(extra="allow", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in sent.items() if value is not None}

    @property
    def unread(self) -> tuple[str, ...]:
        """Members of the request that changed nothing, as far as they were kept."""
        return tuple(self.model_extra or ())


class NamingBody(TolerantBody):
    """A tolerant body that names the model, "" for the one that the service has."""

    model: str = Field(default="", max_length=200, description=_MODEL)


class EmbeddingsBody(NamingBody):
    """OpenAI's request, plus `input_type`."""

    input: Annotated[
        list[Text],
        Field(min_length=1, max_length=MAX_INPUTS),  # checked before each text is
        BeforeValidator(texts_of, json_schema_input_type=str | list[str | list[int]] | list[int]),
    ] = Field(
        description=f"A text, or at most {MAX_INPUTS} of them. A list of numbers is a text as the "
        "model's own tokens."
    )
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


class RerankBody(NamingBody):
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


class EmbedBody(NamingBody):
    """Cohere's request for vectors of texts."""

    texts: list[str] = Field(
        min_length=1, max_length=MAX_TEXTS, description=f"1 to {MAX_TEXTS} texts."
    )
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = Field(
        default="search_document",
        description="What the texts are: some models read queries and passages differently.",
    )
    embedding_types: list[Literal["float", "base64"]] | None = Field(
        default=None, min_length=1, description="float: numbers. base64: little-endian float32."
    )
    truncate: Literal["NONE", "START", "END"] = Field(
        default="END",
        description="What is left out of a text that is longer than the model reads: its end, its "
        "start, or nothing; the request is then refused.",
    )
    output_dimension: int | None = Field(
        default=None, description="The model's own dimension; no other is possible."
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


class EmbedMeta(BaseModel):
    """Cohere's `meta`, with the members that are filled here."""

    api_version: dict[str, str]
    billed_units: dict[str, int]
    warnings: list[str]


class EmbedAnswer(BaseModel):
    """Cohere's answer: vectors by type, each list in the order of `texts`. `POST /v1/embed` gives
    a bare list of vectors if the request names no type.
    """

    id: str
    embeddings: dict[str, list[list[float]] | list[str]] | list[list[float]]
    texts: list[str]
    meta: EmbedMeta
    response_type: Literal["embeddings_by_type", "embeddings_floats"]


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


class OpenAiProblem(BaseModel):
    """What went wrong. `param` is the member at fault, or null."""

    message: str
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"]
    param: str | None
    code: str


class OpenAiRefusal(BaseModel):
    """OpenAI's refusal."""

    error: OpenAiProblem


class CohereRefusal(BaseModel):
    """Cohere's refusal."""

    id: str
    message: str
