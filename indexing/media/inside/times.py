"""Turns a source's timestamps into seconds from its first frame, which always grow."""

from __future__ import annotations

from dataclasses import dataclass

from core.media import Gap

_LEAST_STEP_S = 1e-4
_SMALL_STEP_BACK_S = 1.0
_EVEN_STEP_S, _EVEN_STEPS = 0.2, 25


@dataclass(slots=True)
class Timeline:
    """Gives each frame its second.

    `step_s` is how long a frame is shown if nothing says it. A frame without a timestamp follows
    its predecessor after one step; one whose timestamp does not grow follows at once. A timestamp
    that goes back by more than a second, or on by more than `jump_s`, is a stray frame's, and the
    frame is left out. But if the next frame goes on from there, the source's clock was set: time
    goes on by one step, and a gap of no length marks the place.
    """

    step_s: float
    jump_s: float
    guessed: int = 0
    mended: int = 0
    jumps: int = 0
    strays: int = 0
    _origin: float | None = None
    _last: float = 0.0
    _even: int = 0  # steps in a row that were short
    _stray: float | None = None

    @property
    def next_s(self) -> float:
        """The second of the next frame if it follows after one step."""
        return 0.0 if self._origin is None else self._last + self.step_s

    @property
    def is_begun(self) -> bool:
        """Whether there was a frame."""
        return self._origin is not None

    @property
    def is_even(self) -> bool:
        """Whether the last frames followed one another evenly, as a camera's do."""
        return self._even >= _EVEN_STEPS

    def second(self, stamp: float | None) -> tuple[float | None, Gap | None]:
        """Return the second of the frame with this stamp (None for a stray), and the jump before
        it.
        """
        if self._origin is None:
            self._origin = stamp or 0.0
            self.guessed += stamp is None
            return self._last, None
        if stamp is None:
            self.guessed += 1
            self._last = self.next_s
            return self._last, None
        moved = stamp - self._origin - self._last
        if self._goes_on(moved):
            self.mended += moved < _LEAST_STEP_S
            self._even = self._even + 1 if moved <= _EVEN_STEP_S else 0
            self._last += max(moved, _LEAST_STEP_S)
            self._stray = None
            return self._last, None
        if self._stray is None or not self._goes_on(stamp - self._stray):
            self._stray = stamp
            self.strays += 1
            return None, None
        return self._begin_anew(stamp, moved)

    def _goes_on(self, moved: float) -> bool:
        return -_SMALL_STEP_BACK_S <= moved <= self.jump_s

    def _begin_anew(self, stamp: float, moved: float) -> tuple[float, Gap]:
        self.jumps += 1
        self.strays -= 1
        at = self._last = self.next_s
        self._origin, self._stray = stamp - at, None
        return at, Gap(at, at, f"the source's clock jumps by {moved:+.1f} s")

    def notes(self) -> list[str]:
        """Return what was changed in the timestamps, for a person."""
        said = []
        if self.guessed:
            step = f"{self.step_s:.4f}"
            said.append(f"{self.guessed} frames without a timestamp, counted on by {step} s")
        if self.mended:
            said.append(f"{self.mended} timestamps that did not grow")
        if self.jumps:
            said.append(f"the source's clock jumps {self.jumps} times, losing a frame each time")
        if self.strays:
            said.append(f"{self.strays} frames out of their time, left out")
        return said
