"""The contents of a profile: times by operator and by group, and where there is most to gain."""

from dataclasses import dataclass

from inference.measuring.machine import MachineLimits
from inference.measuring.node_times import OperatorTime
from inference.measuring.operators import Group


@dataclass(frozen=True, slots=True)
class GroupTime:
    """One group's share of a round. `bound` is 0 if nothing is known to need the time."""

    group: Group
    calls: int
    seconds: float
    share: float
    operations: float
    bytes: float
    bound: float

    @property
    def gflop_per_s(self) -> float:
        """Billions of operations a second."""
        return self.operations / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gb_per_s(self) -> float:
        """Billions of bytes a second."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A place that takes longer than the machine's bounds explain. `saving` is the share of the
    whole that would be saved if `place` ran at its bound.
    """

    place: str
    share: float
    seconds: float
    bound: float
    saving: float


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """Seconds of a round: of the `whole` from texts to results, of `tokenise`, of the `graph`
    unwatched and of it `watched` by the profiler. The times of `operators` add up to `graph` or
    less.
    """

    model: str
    texts: int
    tokens: int
    batches: int
    rounds: int
    whole: float
    tokenise: float
    graph: float
    watched: float
    operators: tuple[OperatorTime, ...]
    limits: MachineLimits

    @property
    def shape(self) -> str:
        """Texts by tokens, such as `64 x 128`."""
        return f"{self.texts} x {self.tokens}"

    @property
    def total(self) -> float:
        """What shares are taken of: the whole, or its parts where noise made them longer."""
        return max(self.whole, self.tokenise + self.graph)

    @property
    def overhead(self) -> float:
        """How much the profiler adds to the graph's time, as a share."""
        return self.watched / self.graph - 1.0

    def groups(self) -> tuple[GroupTime, ...]:
        """Return every group that has anything, in the order in which a text passes them."""
        inside = sum(operator.seconds for operator in self.operators)
        rest = {
            Group.TOKENISE: self.tokenise,
            Group.BETWEEN: max(0.0, self.graph - inside),
            Group.PYTHON: max(0.0, self.whole - self.tokenise - self.graph),
        }
        found = [
            self._around(group, rest[group]) if group in rest else self._inside(group)
            for group in Group
        ]
        return tuple(each for each in found if each.calls)

    def opportunities(self, count: int = 3) -> tuple[Opportunity, ...]:
        """Return the places with most to gain, the greatest gain first."""
        around = [
            (str(each.group), each.seconds, 0.0)
            for each in self.groups()
            if each.group in (Group.TOKENISE, Group.BETWEEN, Group.PYTHON)
        ]
        inside = [
            (f"{each.place} ({each.kind})", each.seconds, each.bound) for each in self.operators
        ]
        found = [
            Opportunity(
                place,
                seconds / self.total,
                seconds,
                bound,
                max(0.0, seconds - bound) / self.total,
            )
            for place, seconds, bound in (*around, *inside)
        ]
        return tuple(sorted(found, key=lambda each: -each.saving)[:count])

    def _around(self, group: Group, seconds: float) -> GroupTime:
        return GroupTime(group, 1, seconds, seconds / self.total, 0.0, 0.0, 0.0)

    def _inside(self, group: Group) -> GroupTime:
        parts = [each for each in self.operators if each.group is group]
        seconds = sum(each.seconds for each in parts)
        return GroupTime(
            group,
            sum(each.calls for each in parts),
            seconds,
            seconds / self.total,
            sum(each.work.operations for each in parts),
            sum(each.work.bytes for each in parts),
            sum(each.bound for each in parts),
        )
