"""Captions by the thousand at a batch's price: sent as a file, answered within a day.

Between the two, the batch's id and each still's context must be kept. A batch has the name of its
packet as metadata. So sending the same packet again, after a kill or a lost answer, finds the
existing batch and pays for no second one, whatever changed since. For that, every batch of the
account is looked through, however many came since. A reservation is released only if none of them
belongs to the packet. https://platform.openai.com/docs/guides/batch

A batch's result files have a line for each request, in any order. They are untrusted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from core.errors import ModelError, UnavailableError
from core.media import Caption, ToCaption, Uncaptioned
from indexing.captions.answer import caption_of
from indexing.captions.calls import CAP, UNUSABLE, Calls
from indexing.captions.failures import Unanswered, of_status
from indexing.captions.prompt import made_by, prompt_digest, question
from indexing.captions.provider import Provider, read_completion
from indexing.captions.rights import refusal
from indexing.captions.spending import Usage


class _Response(BaseModel):
    status_code: int
    body: Any = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None


@dataclass(frozen=True, slots=True)
class BatchAnswers:
    """The outcomes by custom id, and the tokens used by those that cost something (None if the
    provider did not count them).
    """

    outcomes: dict[str, Caption | Uncaptioned] = field(default_factory=dict)
    used: dict[str, Usage | None] = field(default_factory=dict)


def answers_in(lines: Iterable[bytes], contexts: Mapping[str, str], made_by: str) -> BatchAnswers:
    """Return the outcomes of the stills in `contexts`; of several lines for one still the first
    counts.

    Unreadable lines and lines about other stills are skipped: a still without a line has no
    outcome.
    """
    found = BatchAnswers()
    for text in lines:
        try:
            line = _Line.model_validate_json(text)
        except ValidationError:
            continue
        name = line.custom_id
        if name in contexts and name not in found.outcomes:
            _read_answer(line.response, contexts[name], made_by, name, found)
    return found


def _read_answer(
    response: _Response | None, context: str, made_by: str, name: str, found: BatchAnswers
) -> None:
    """Put one still's outcome into `found`."""
    try:
        content, used = _answered(response)
    except Unanswered as failure:
        found.outcomes[name] = Uncaptioned(failure.reason, failure.again)
        if failure.billed:
            found.used[name] = None
        return
    found.used[name] = used
    caption = caption_of(content, context=context, made_by=made_by)
    found.outcomes[name] = caption or Uncaptioned(UNUSABLE, again=True)


def _answered(response: _Response | None) -> tuple[str, Usage | None]:
    """Return one answer's text and usage. Raises Unanswered."""
    if response is None:
        raise Unanswered("the provider did not come to it")
    if response.status_code != 200:
        body = response.body if isinstance(response.body, dict) else {}
        error = body.get("error")
        said = error.get("message", "") if isinstance(error, dict) else ""
        raise of_status(response.status_code, {}, str(said), "")
    answer = read_completion(orjson.dumps(response.body))
    return answer.content, answer.usage


ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MOST_REQUESTS = 50_000
MOST_BYTES = 190 * 2**20
SECONDS = 600.0  # for sending or fetching a file
FULL = "the batch is full"
_NAME, _MADE_BY = "dateline", "dateline_made_by"  # keys of our metadata
_PAGE = 100  # batches on a page of the list, newest first: the most that OpenAI gives
_MOST_PAGES = 1_000
_MOST_LISTED = 4 * 2**20  # bytes of a page
_DONE = frozenset({"completed", "failed", "expired", "cancelled"})
_FAILED = _DONE - {"completed"}
Leave = Callable[[Mapping[str, Uncaptioned]], None]
Result = TypeVar("Result")
Answered = TypeVar("Answered", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch's id ("" if nothing was sent) and, by custom id, the stills that were not sent. If
    the batch was `there` already, nothing was sent now: it holds the stills of the earlier call.
    """

    batch: str
    refused: Mapping[str, Uncaptioned] = field(default_factory=dict)
    there: bool = False


class BatchState(BaseModel):
    """What the provider says of a batch."""

    id: str
    status: str
    metadata: dict[str, Any] | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None

    @property
    def done(self) -> bool:
        """Whether the batch has ended."""
        return self.status in _DONE


class _Listed(BaseModel):
    data: list[BatchState]
    has_more: bool | None = None


class _Named(BaseModel):
    id: str


@dataclass(frozen=True, slots=True)
class BatchCaptioner:
    """Batches with the same provider, rights, size and spending as single calls.

    Every method raises UnavailableError if trying again may help, ModelError if it won't, and
    StorageError if spending can't be recorded.
    """

    calls: Calls[Provider]
    edge: int

    @property
    def digest(self) -> str:
        """The sha256 over model, prompt and schema."""
        return prompt_digest(self.calls.provider.model)

    def close(self) -> None:
        """Close the connections."""
        self.calls.close()

    def submit(
        self, stills: Mapping[str, ToCaption], packet: str, leave: Leave = lambda _: None
    ) -> Submission:
        """Send stills by custom id as the packet of this name (each at most 64 characters).

        `leave` gets the stills that are not put into the batch, before anything is sent. A packet
        is one batch, however often it is sent, until that batch has failed; sending it again sends
        nothing more.
        """
        own = list(self._existing(packet))
        if there := next((one.id for one in own if one.status not in _FAILED), ""):
            return Submission(there, there=True)
        left = {name: why for name, one in stills.items() if (why := refusal(one, self.edge))}
        wanted = {name: one for name, one in stills.items() if name not in left}
        contexts = {name: one.context for name, one in stills.items()}
        for one in own:  # it failed; the finished part is paid
            self._outcomes(one, contexts)
        if not own:
            self.calls.spending.book.settle(packet, 0.0)  # an attempt that made no batch
        return self._handed_in(wanted, left, packet, leave)

    def _handed_in(
        self,
        wanted: Mapping[str, ToCaption],
        left: dict[str, Uncaptioned],
        packet: str,
        leave: Leave,
    ) -> Submission:
        """Send what fits into the day's cap and into a file."""
        if not wanted:
            leave(left)
            return Submission("", left)
        chosen, price = self._affordable(wanted)
        with tempfile.TemporaryFile() as file:
            written = self._written(chosen, file)
            for name in wanted:
                if name not in written:
                    reason = FULL if name in chosen else CAP
                    left[name] = Uncaptioned(reason, again=True)
            if not written or self.calls.spending.reserve(price, packet) is None:
                left |= {name: Uncaptioned(CAP, again=True) for name in written}
                leave(left)
                return Submission("", left)
            leave(left)
            return Submission(self._created(packet, file), left)

    def poll(self, batch: str) -> BatchState:
        """Return the present state of a batch."""
        client = self.calls.provider.client
        data = self._asked(lambda: client.batches.with_raw_response.retrieve(batch).content)
        return _read(BatchState, data)

    def results(
        self, batch: str, contexts: Mapping[str, str]
    ) -> dict[str, Caption | Uncaptioned] | None:
        """Return the outcomes of a batch by custom id, or None while it is in progress.

        `contexts` has the agency's text for every still that was sent. The real cost of the batch
        replaces its reservation once, however often this is called.
        """
        state = self.poll(batch)
        return self._outcomes(state, contexts) if state.done else None

    def _outcomes(
        self, state: BatchState, contexts: Mapping[str, str]
    ) -> dict[str, Caption | Uncaptioned]:
        """Return the outcomes of a batch that has ended, and record its cost."""
        files = [name for name in (state.output_file_id, state.error_file_id) if name]
        told = state.metadata or {}
        answers = answers_in(
            (line for name in files for line in self._download(name).splitlines()),
            contexts,
            str(told.get(_MADE_BY) or made_by(self.calls.provider.model)),
        )
        prices, before = self.calls.spending.prices, self.calls.estimate.before
        used = [counted or before(contexts[name]) for name, counted in answers.used.items()]
        tokens = sum(one.tokens_in for one in used), sum(one.tokens_out for one in used)
        cost = prices.of(*tokens) * prices.batch
        packet = told.get(_NAME)
        if isinstance(packet, str) and self.calls.spending.book.settle(packet, cost):
            self.calls.paid(self.calls.provider.model, *tokens, cost)
        missing = Uncaptioned(f"the batch {state.status} without an answer", again=True)
        return {name: answers.outcomes.get(name, missing) for name in contexts}

    def _existing(self, packet: str) -> Iterator[BatchState]:
        """Yield the batches that were made from a packet, newest first. Raises UnavailableError if
        there are too many to look through: an unknown batch must not be paid twice.
        """
        client, after = self.calls.provider.client, ""
        for _ in range(_MOST_PAGES):
            place: dict[str, Any] = {"after": after} if after else {}
            data = self._asked(
                partial(_content, client.batches.with_raw_response.list, limit=_PAGE, **place),
                _MOST_LISTED,
            )
            page = _read(_Listed, data)
            yield from (one for one in page.data if (one.metadata or {}).get(_NAME) == packet)
            last = page.data[-1].id if page.data else ""
            if not page.has_more or not last or last == after:
                return
            after = last
        what = f"the provider lists over {_MOST_PAGES * _PAGE:,} batches"
        raise UnavailableError(what, where="caption_url", mend="delete old ones there")

    def _affordable(self, wanted: Mapping[str, ToCaption]) -> tuple[dict[str, ToCaption], float]:
        """Return the first stills that the day's cap has room for, and their total price."""
        prices, room = self.calls.spending.prices, self.calls.spending.room()
        chosen: dict[str, ToCaption] = {}
        total = 0.0
        for name, one in wanted.items():
            expected = self.calls.estimate.before(question(one))
            price = prices.of(expected.tokens_in, expected.tokens_out) * prices.batch
            if total + price > room:
                break
            chosen[name] = one
            total += price
        return chosen, total

    def _written(self, chosen: Mapping[str, ToCaption], file: IO[bytes]) -> set[str]:
        """Write a line for each still while there is room; return their names."""
        provider = self.calls.provider
        written: set[str] = set()
        for name, one in chosen.items():
            body = provider.dialect.body(provider.model, one)
            line = orjson.dumps(
                {"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body}
            )
            if len(written) == MOST_REQUESTS or file.tell() + len(line) > MOST_BYTES:
                break
            file.write(line + b"\n")
            written.add(name)
        file.seek(0)
        return written

    def _created(self, packet: str, file: IO[bytes]) -> str:
        """Upload the file and make the batch, once; the next try finds a lost batch."""
        client = self.calls.provider.client
        uploaded = self._asked(
            lambda: (
                client.files.with_raw_response.create(
                    file=("captions.jsonl", file), purpose="batch"
                ).content
            )
        )
        name = _read(_Named, uploaded).id
        made = self._asked(
            lambda: (
                client.batches.with_raw_response.create(
                    input_file_id=name,
                    endpoint=ENDPOINT,
                    completion_window="24h",
                    metadata={_NAME: packet, _MADE_BY: made_by(self.calls.provider.model)},
                ).content
            )
        )
        return _read(BatchState, made).id

    def _download(self, name: str) -> bytes:
        client = self.calls.provider.client
        return self._asked(lambda: client.files.content(name).content, MOST_BYTES)

    def _asked(self, call: Callable[[], Result], most_bytes: int = 2**20) -> Result:
        try:
            return self.calls.provider.sent(call, most_bytes, SECONDS)
        except Unanswered as failure:
            kind = UnavailableError if failure.again else ModelError
            raise kind(failure.reason, where="caption_url", mend="try again later") from failure


def _content(call: Callable[..., Any], **named: Any) -> bytes:
    content: bytes = call(**named).content
    return content


def _read(kind: type[Answered], data: bytes) -> Answered:
    """Return a provider's answer, checked. Raises UnavailableError."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        what = "the provider's answer about a batch can't be read"
        raise UnavailableError(what, where="caption_url", mend="try again later") from error
