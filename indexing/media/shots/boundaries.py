"""Turns two numbers a frame into the bounds of shots, as soon as they are known.

The first number says that a frame is the main one of a transition: the last before a cut, the
middle of a dissolve. The second says that it is any frame of one. Consecutive frames for which
either is high are one transition: a single frame is a cut, several are gradual and split halfway.
It has ended when both are low again, well below where it began, so that a dissolve that wavers is
not two. The model's numbers for the next frames (`foresee`) are enough to end a transition: waiting
for the next run would report a dissolve up to a stride later.

A fade through black often has no middle frame with a high first number. So a transition also counts
if the second number is high over several frames and the first is moderate.

Source: Soucek and Lokoc 2020, section 3 (the heads; .5 on the first). Measured on composed cuts of
the shared clips: every hard cut is one frame of the second number and every dissolve as long as it
was made; of 24 fades through black the first number reaches .5 in 20 and .43 in the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.items import FloatMatrix
from core.media import Seconds, ShotBounds, Transition


@dataclass(frozen=True, slots=True)
class BoundaryRule:
    """What counts as a transition. The values were chosen on the tuning clips of
    `benchmarks.media.clips`, which share no source with its test clips: at .5 flashes and shaking
    cameras gave 6 false cuts in ten minutes there, and 1 at these (2 by the int8 graph).

    - `cut`: a transition has a frame whose first number is at least this
    - `inside`: a frame belongs to a transition from this second number on
    - `outside`: it has ended when both numbers are below this
    - `sure`, `leaning`, `several`: it also counts if it is at least `several` frames long, its
      greatest second number is `sure` and its greatest first one `leaning`
    - `longest`: frames; a longer one is cut off there, so that memory is bounded
    - `foreseen`, `calm`: how many frames after the counted ones of a window may end a transition,
      and how many of them in a row must be below `outside`. More of them, or fewer calm ones, moved
      some boundaries by a frame.
    """

    cut: float = 0.7
    inside: float = 0.4
    outside: float = 0.1
    sure: float = 0.4
    leaning: float = 0.25
    several: int = 4
    longest: int = 250
    foreseen: int = 12
    calm: int = 4


@dataclass(slots=True)
class _Run:
    """A transition that has begun. Frames first to last are inside; `seconds` has the time of each
    frame from the first on, also after the last.
    """

    first: int
    last: int
    one: float = 0.0
    any: float = 0.0
    seconds: list[float] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return self.last - self.first + 1


class Boundaries:
    """The shots of one source, frame by frame. Its memory does not grow with the source.

    If a stretch begins or ends within a transition, there is no shot on the other side, so that is
    not a boundary.
    """

    def __init__(self, rule: BoundaryRule) -> None:
        self.rule = rule
        self._opened: tuple[int, float, Transition] | None = None  # the present shot
        self._next = Transition.START
        self._run: _Run | None = None
        self._cut_off = False  # a transition that was too long has not ended yet
        self._last = (0, 0.0, 0.0)  # the last frame: number, time, and seconds since the one before

    def push(self, scores: FloatMatrix, seconds: Seconds, first: int) -> list[ShotBounds]:
        """Return the shots that end in these frames: `scores` [n, 2], `seconds` [n], `first` the
        number of the first.
        """
        found: list[ShotBounds] = []
        for offset, ((one, any_), second) in enumerate(
            zip(scores.tolist(), seconds.tolist(), strict=True)
        ):
            found += self._frame(first + offset, float(second), float(one), float(any_))
        return found

    def foresee(self, scores: FloatMatrix, seconds: Seconds, first: int) -> list[ShotBounds]:
        """Return the shot before the present transition, if it ends in the frames after the pushed
        ones. The parameters are those of `push`, but with preliminary scores. The frames still have
        to be pushed.
        """
        if self._run is None:
            return []
        run = replace(self._run, seconds=list(self._run.seconds))
        calm = 0
        for offset, (one, any_) in enumerate(scores.tolist()):
            run.seconds.append(float(seconds[offset]))
            self._see(run, first + offset, one, any_)
            calm = calm + 1 if self._is_quiet(one, any_) else 0
            if calm == self.rule.calm:
                break
        if calm < self.rule.calm or not (found := self._judged(run)):
            return []
        self._run, self._cut_off = None, True
        return found

    def end(
        self, end_s: float | None = None, then: Transition = Transition.GAP
    ) -> list[ShotBounds]:
        """End the present shot at `end_s`, or when its last frame has been shown as long as the one
        before; the next begins as `then` says. Empty if no frame came.
        """
        self._run, self._cut_off = None, False
        opened, self._opened, self._next = self._opened, None, then
        if opened is None:
            return []
        first, start_s, transition = opened
        number, second, shown = self._last
        end_s = second + shown if end_s is None else max(end_s, second)
        return [ShotBounds(start_s, end_s, first, number, transition)]

    def _frame(self, number: int, second: float, one: float, any_: float) -> list[ShotBounds]:
        if self._opened is None:
            self._opened = (number, second, self._next)
            self._last = (number, second, 0.0)
        self._last = (number, second, second - self._last[1])
        run, quiet = self._run, self._is_quiet(one, any_)
        if self._cut_off:
            self._cut_off = not quiet
            return []
        if run is None:
            if not self._is_inside(one, any_):
                return []
            run = self._run = _Run(number, number)
        run.seconds.append(second)
        self._see(run, number, one, any_)
        too_long = len(run.seconds) > self.rule.longest
        if not quiet and not too_long:
            return []
        self._run, self._cut_off = None, not quiet
        return self._judged(run)

    def _is_inside(self, one: float, any_: float) -> bool:
        return any_ >= self.rule.inside or one >= self.rule.cut

    def _is_quiet(self, one: float, any_: float) -> bool:
        return any_ < self.rule.outside and one < self.rule.outside

    def _see(self, run: _Run, number: int, one: float, any_: float) -> None:
        """Extends a run up to a frame that is inside."""
        if self._is_inside(one, any_):
            run.last, run.one, run.any = number, max(run.one, one), max(run.any, any_)

    def _judged(self, run: _Run) -> list[ShotBounds]:
        """Return the shot before a run that has ended, if that is a transition."""
        rule = self.rule
        faded = run.frames >= rule.several and run.any >= rule.sure and run.one >= rule.leaning
        assert self._opened is not None
        first, start_s, transition = self._opened
        if not (run.one >= rule.cut or faded) or run.first == first:
            return []
        middle = (run.first + run.last) // 2
        end_s = run.seconds[middle + 1 - run.first]
        kind = Transition.CUT if run.frames == 1 else Transition.GRADUAL
        self._opened = (middle + 1, end_s, kind)
        return [ShotBounds(start_s, end_s, first, middle, transition)]
