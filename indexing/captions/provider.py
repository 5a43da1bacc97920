"""One question to a provider that speaks OpenAI's chat completions, through OpenAI's own client.

The client tries once: `calls` waits and asks again, where every attempt is counted and paid for.
The answer is read as bytes and checked here, because the client builds its objects from unchecked
data. https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, Field, ValidationError

from core.errors import SettingsError
from core.extras import need_extra
from core.media import ToCaption
from indexing.captions.connection import Exchange, bounded, bounded_client
from indexing.captions.failures import Unanswered, of_connection, of_status
from indexing.captions.prompt import MOST_TOKENS, SCHEMA, messages_of
from indexing.captions.spending import Usage

if TYPE_CHECKING:
    from openai import OpenAI

MOST_ANSWER_BYTES = 2**20
_PACKAGES = ("openai", "json_repair", "tenacity", "pybreaker", "defusedxml")
_FORMS = ("json_schema", "json_object", "")
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer: the text, and the tokens if the provider counted them."""

    content: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a provider understands: how to ask for the form and the length of an answer."""

    form: str = _FORMS[0]
    limit: str = "max_completion_tokens"

    def body(self, model: str, still: ToCaption) -> dict[str, Any]:
        """Return the JSON of a request for one still."""
        made: dict[str, Any] = {
            "model": model,
            "messages": messages_of(still),
            self.limit: MOST_TOKENS,
        }
        if self.form == "json_schema":
            schema = {"name": "caption", "strict": True, "schema": dict(SCHEMA)}
            made["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self.form:
            made["response_format"] = {"type": self.form}
        return made

    def simpler(self, complaint: str) -> Dialect | None:
        """Return the dialect to try after a complaint; None if that is about something else."""
        said = complaint.casefold()
        if "max_completion_tokens" in said and self.limit != "max_tokens":
            return replace(self, limit="max_tokens")
        if self.form and any(word in said for word in ("response_format", "schema", "json_object")):
            return replace(self, form=_FORMS[_FORMS.index(self.form) + 1])
        return None


@dataclass(slots=True)
class Provider:
    """A model at an address. Thread-safe."""

    model: str
    client: OpenAI = field(repr=False)
    seconds: float
    dialect: Dialect = Dialect()
    _key: str = field(default="", repr=False)

    @classmethod
    def open(
        cls,
        url: str,
        model: str,
        *,
        key: str = "",
        seconds: float = 60.0,
        setting: str = "caption",
    ) -> Provider:
        """Return a provider that is not called yet; an empty `url` is OpenAI itself. The names of
        its settings begin with `setting`.

        Raises SettingsError for an address with a password in it, for a key that no header can
        hold, and if the extra is not installed.
        """
        need_packages()
        check_address(url, f"{setting}_url")
        check_key(key, f"{setting}_key")
        from openai import OpenAI

        # Its types name another httpx; it accepts both.
        taken: Any = bounded_client(seconds, anonymous=not key)
        client = OpenAI(
            api_key=key or "none",
            base_url=url or "https://api.openai.com/v1",
            http_client=taken,
            max_retries=0,
        )
        return cls(model, client, seconds, _key=key)

    def chat(self, still: ToCaption) -> Answer:
        """Return the answer for one still. Raises Unanswered."""
        create = self.client.chat.completions.with_raw_response.create
        while True:
            used = self.dialect
            try:
                data = self.sent(partial(_content, create, used.body(self.model, still)))
            except Unanswered as failure:
                simpler = None if failure.again else used.simpler(failure.reason)
                if simpler is None:
                    raise
                if self.dialect is used:  # no other thread has come first
                    self.dialect = simpler
            else:
                return read_completion(data)

    def sent(
        self, call: Callable[[], Result], most_bytes: int = MOST_ANSWER_BYTES, seconds: float = 0.0
    ) -> Result:
        """Return the result of `call`; all its errors become Unanswered without the key in them.

        `call` makes one request through `client`.
        """
        import openai

        with bounded(seconds or self.seconds, most_bytes) as exchange:
            try:
                found = call()
            except openai.APIStatusError as error:
                raise self._refused(error, exchange) from None
            except openai.APIConnectionError as error:
                sent = not isinstance(error.__cause__, NEVER_SENT)
                name = type(error.__cause__ or error).__name__
                raise of_connection(exchange, name, sent=sent) from None
            except (openai.OpenAIError, ValueError) as error:
                reason = f"the provider's answer can't be read ({type(error).__name__})"
                raise Unanswered(reason, down=True, billed=True) from None
        if exchange.late:  # a body without a length looks whole if it was cut
            raise of_connection(exchange, "", sent=True)
        return found

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _refused(self, error: Any, exchange: Exchange) -> Unanswered:
        if exchange.late:
            return of_connection(exchange, "", sent=True)
        body = error.body if isinstance(error.body, Mapping) else {}
        message = str(body.get("message") or "")
        code = str(body.get("code") or "")
        said = message.replace(self._key, "…") if self._key else message
        return of_status(error.status_code, error.response.headers, said, code)


def _content(create: Callable[..., Any], body: Mapping[str, Any]) -> bytes:
    content: bytes = create(**body).content
    return content


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0, le=10**7)
    completion_tokens: int = Field(ge=0, le=10**7)


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None


def read_completion(data: bytes | str) -> Answer:
    """Return the answer in a chat completion's JSON. Raises Unanswered, billed if the provider did
    the work.
    """
    try:
        found = _Completion.model_validate_json(data)
    except ValidationError:
        raise Unanswered("the provider answered no completion", down=True, billed=True) from None
    choice = found.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise Unanswered("the provider declined to describe it", again=False, billed=True)
    if choice.finish_reason == "length":
        raise Unanswered("the answer was cut off at its longest", billed=True)
    return Answer(choice.message.content or "", _usage(found.usage))


def _usage(value: object) -> Usage | None:
    try:
        counted = _Usage.model_validate(value)
    except ValidationError:
        return None
    return Usage(counted.prompt_tokens, counted.completion_tokens)


def need_packages() -> None:
    """Raise SettingsError if the extra is not installed."""
    need_extra("media", "a provider of models", _PACKAGES, error=SettingsError)


def check_key(key: str, where: str) -> None:
    """Raise SettingsError, without repeating it, for a key that no header can hold."""
    if not (key.isascii() and key.isprintable()):
        raise SettingsError("the key has characters that can't be sent", where=where)


def check_address(url: str, where: str = "caption_url") -> None:
    """Raise SettingsError, without repeating a password, if `url` is not a provider's address."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        mend = "such as https://host/v1"
        raise SettingsError("that is not a provider's address", where=where, mend=mend)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        what = "the provider's address has more than host and path"
        mend = f"give the key in {where.removesuffix('url')}key"
        raise SettingsError(what, where=where, mend=mend)
