"""The Captioner port over a provider: several questions at once, an outcome for every still."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from core.errors import StorageError
from core.media import Caption, ToCaption, Uncaptioned
from indexing.captions.answer import caption_of
from indexing.captions.calls import Calls
from indexing.captions.failures import Unanswered
from indexing.captions.gate import refusal
from indexing.captions.prompt import made_by, prompt_digest

AT_ONCE = 4
UNUSABLE = "the provider's answer holds no caption"


class ProviderCaptioner:
    """Captions from an outside service. Thread-safe.

    A still whose rights forbid it, or that is larger than `edge` pixels, is never sent.
    """

    leaves = True  # stills are sent to another service

    def __init__(self, calls: Calls, edge: int, at_once: int = AT_ONCE) -> None:
        self.calls = calls
        self.edge = edge
        self.model = calls.provider.model
        self._pool = ThreadPoolExecutor(max(1, at_once), thread_name_prefix="captions")

    @property
    def digest(self) -> str:
        """sha256 over model, prompt and schema."""
        return prompt_digest(self.model)

    def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
        """Return a caption of each still, or why there is none; never raises for a single still."""
        return tuple(self._pool.map(self._one, stills))

    def close(self) -> None:
        """Ends the threads and closes the connections."""
        self._pool.shutdown()
        self.calls.close()

    def _one(self, still: ToCaption) -> Caption | Uncaptioned:
        refused = refusal(still, self.edge)
        if refused is not None:
            return refused
        try:
            content = self.calls.ask(still).content
        except Unanswered as failure:
            return Uncaptioned(failure.reason, failure.again)
        except StorageError as error:
            return Uncaptioned(f"what is spent can't be written down: {error.what}", again=True)
        found = caption_of(content, context=still.context, made_by=made_by(self.model))
        return found if found is not None else Uncaptioned(UNUSABLE, again=True)
