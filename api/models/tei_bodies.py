"""Bodies of text-embeddings-inference, as its OpenAPI document has them.

As there, a member that is not known changes nothing. `truncate` is false unless the request says
otherwise, so a text that is longer than the model reads is refused and never cut in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    RootModel,
    model_validator,
)

from api.models.bodies import MAX_INPUTS, Text, TolerantBody, numbers_of, texts_of
from api.problems import BodyTooLargeError
from core.errors import InputError


class EmptyBatchError(InputError):
    """A batch without a text."""

    code = "empty"


def _batch(value: Any) -> Any:
    """Return a batch of a fitting size. Its size has statuses of its own, so it is no error of
    pydantic's.
    """
    value = texts_of(value)
    if isinstance(value, list) and not value:
        raise EmptyBatchError("The batch is empty.", mend="Send a text at least.")
    if isinstance(value, list) and len(value) > MAX_INPUTS:
        raise BodyTooLargeError(
            f"The batch has {len(value)} texts; {MAX_INPUTS} are taken at once.",
            mend="Send them in several requests.",
        )
    return value


def _pairs(value: Any) -> Any:
    """Return a batch of single texts and pairs: a bare text or pair is a batch of one."""
    if isinstance(value, str):
        return [[value]]
    return [value] if _is_bare(value) else _batch(value)


def _is_bare(value: Any) -> bool:
    """Return whether an input is one text or one pair, and no batch."""
    pair = isinstance(value, list) and bool(value) and isinstance(value[0], str)
    return pair or isinstance(value, str)


Batch = Annotated[
    list[Text],
    BeforeValidator(_batch, json_schema_input_type=str | list[str | list[int]] | list[int]),
]
Texts = Annotated[list[str], BeforeValidator(_batch, json_schema_input_type=str | list[str])]
_TRUNCATE = "Whether a longer text is cut. Otherwise it is refused."


class TruncatingBody(TolerantBody):
    """What the bodies with texts for a model share."""

    truncate: bool = Field(default=False, description=_TRUNCATE)
    truncation_direction: Literal["Left", "Right", "left", "right"] = Field(
        default="Right", description="The end that is cut off."
    )

    @property
    def keeps_end(self) -> bool:
        """Whether a text loses its start."""
        return self.truncate and self.truncation_direction.lower() == "left"


class TeiEmbedBody(TruncatingBody):
    """Texts to vectors."""

    inputs: Batch = Field(description=f"A text, or at most {MAX_INPUTS}; or their token numbers.")
    normalize: bool = Field(
        default=True, description="Changes nothing: all vectors here have unit norm."
    )
    prompt_name: Literal["query", "passage", "document"] = Field(
        default="passage",
        description="What the texts are: some models read queries and passages differently.",
    )
    dimensions: int | None = Field(default=None, description="The model's own dimension.")


class TeiRerankBody(TruncatingBody):
    """A query, and texts to put in order."""

    query: str = Field(description="The query.")
    texts: Texts = Field(description=f"1 to {MAX_INPUTS} texts.")
    raw_scores: bool = Field(default=False, description="The model's scores instead of 0..1.")
    return_text: bool = Field(default=False, description="Whether each result has its text.")


class TeiPredictBody(TruncatingBody):
    """Texts and pairs of texts to classify."""

    inputs: Annotated[
        list[Annotated[list[str], Field(min_length=1, max_length=2)]],
        BeforeValidator(_pairs, json_schema_input_type=str | list[str] | list[list[str]]),
    ] = Field(description="A text, a pair of texts, or a batch of lists of one or two texts.")
    raw_scores: bool = Field(default=False, description="The model's scores of pairs, not 0..1.")
    _bare: bool = PrivateAttr(default=False)

    @model_validator(mode="wrap")
    @classmethod
    def _with_form(cls, sent: Any, read: Any) -> TeiPredictBody:
        body: TeiPredictBody = read(sent)
        body._bare = isinstance(sent, Mapping) and _is_bare(sent.get("inputs"))
        return body

    @property
    def bare(self) -> bool:
        """Whether the answer is that of one text or pair, and no list of answers."""
        return self._bare


class TokenizeBody(TolerantBody):
    """Texts to tokens."""

    inputs: Texts = Field(description=f"A text, or at most {MAX_INPUTS}.")
    add_special_tokens: bool = Field(default=True, description="Whether the special ones are told.")


class DecodeBody(TolerantBody):
    """Tokens to texts."""

    ids: Annotated[
        list[
            Annotated[tuple[int, ...], PlainValidator(numbers_of, json_schema_input_type=list[int])]
        ],
        BeforeValidator(_batch, json_schema_input_type=list[int] | list[list[int]]),
    ] = Field(description="A list of token numbers, or a list of such lists.")
    skip_special_tokens: bool = Field(
        default=True, description="Whether special ones are left out."
    )


class Rank(BaseModel):
    """A text's index and relevance, and the text itself if it was asked for."""

    index: int
    score: float
    text: str | None = None


class Prediction(BaseModel):
    """A label and how much it fits."""

    label: str
    score: float


class SimpleToken(BaseModel):
    """A token: its number, its characters and where they stand; a special one stands nowhere."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class Vectors(RootModel[list[list[float]]]):
    """A vector for each text."""


class Ranks(RootModel[list[Rank]]):
    """The texts, from the most to the least relevant."""


class Predictions(RootModel[list[Prediction] | list[list[Prediction]]]):
    """The labels of a text, the best first; a list of those for a batch."""


class Tokens(RootModel[list[list[SimpleToken]]]):
    """The tokens of each text."""


class Decoded(RootModel[list[str]]):
    """The texts."""


class Info(BaseModel):
    """What runs here. `model_type` has one member: `embedding`, `reranker` or `classifier`."""

    model_id: str
    model_sha: str
    model_dtype: str
    model_type: dict[str, dict[str, Any]]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str
    sha: str | None
    docker_label: str | None


class TeiRefusal(BaseModel):
    """A refusal: a sentence, and its kind."""

    error: str
    error_type: Literal["Validation", "Tokenizer", "Backend", "Overloaded", "Empty"]
