"""Rows of token numbers to the inputs that a graph takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import ModelError
from inference.loaded import bad_numbers
from inference.models.store import ModelFolder
from inference.runtime import Array, Runtime
from inference.texts.tokens import TextTokens, padded

NEEDED = frozenset({"input_ids", "attention_mask"})
SEGMENTS = "token_type_ids"


@dataclass(frozen=True, slots=True)
class Feeding:
    """A graph and how rows are put to it. Segment numbers are given if the graph takes them; they
    are zeros if a row is one text.
    """

    runtime: Runtime
    where: str
    takes_segments: bool
    padding: int

    @classmethod
    def of(
        cls, folder: ModelFolder, runtime: Runtime, tokens: TextTokens, outputs: Sequence[str]
    ) -> "Feeding":
        """Return how rows are put to the graph of `runtime`. Raises ModelError unless it takes
        token numbers and a mask, no others than segment numbers beside them, and has all `outputs`.
        """
        given = set(runtime.inputs)
        if (
            not given >= NEEDED
            or given - NEEDED - {SEGMENTS}
            or set(outputs) - set(runtime.outputs)
        ):
            raise ModelError(
                f"the graph takes {runtime.inputs} and gives {runtime.outputs}",
                where=str(folder.path),
                mend=f"needed: {sorted(NEEDED)} in, {list(outputs)} out",
            )
        return cls(runtime, str(folder.path), SEGMENTS in given, tokens.padding)

    def run(
        self,
        rows: Sequence[Sequence[int]],
        outputs: Sequence[str],
        segments: Sequence[Sequence[int]] | None = None,
    ) -> tuple[list[Array], dict[str, Array]]:
        """Return the `outputs` for `rows`, and the arrays that were put in.

        Raises ModelError if the graph fails or gives another number of rows.
        """
        if self.takes_segments and segments is None:
            segments = [(0,) * len(row) for row in rows]
        arrays: dict[str, Array] = {
            **padded(rows, segments=segments if self.takes_segments else None, padding=self.padding)
        }
        return self.put(arrays, outputs), arrays

    def put(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the `outputs` for arrays that are padded already. Raises as `run` does."""
        found, rows = self.runtime.run(arrays, outputs), len(arrays["input_ids"])
        for name, output in zip(outputs, found, strict=True):
            if output.ndim < 2 or len(output) != rows:
                what = f"{name} has shape {output.shape} for {rows} texts"
                raise ModelError(what, where=self.where, mend="the graph is not of this kind")
        return found

    def failed(self, what: str) -> ModelError:
        """Return the error for numbers of this model that can't be right."""
        return bad_numbers(self.where, what)
