"""Which machines, how many, what they cost, and what binds.

Every figure takes the slow end of its interval, the load of a burst, and one host fewer than there
are. So a plan holds while a burst and a failure come together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from capacity.changes import Change, changes
from capacity.demand import Demand
from capacity.fleet import MEDIA, REQUESTS, Workers, most_passages, workers
from capacity.instances import Instance, instances
from capacity.measurements import MachineFacts, Measurements
from capacity.mix import BillLine, Mix, NotMetError
from capacity.mixes import Mixes
from capacity.prices import Prices
from capacity.service_model import SEED, constant, constant_source, demand_passages
from capacity.simulator import bursty, from_log
from core.errors import InputError
from storage.embedded.vectors.merge_plan import ProjectionSettings

REMOTES = ("ec2", "sagemaker", "serverless", "lambda")
_FAR = 2.0  # times the best bill so far: what costs more even without a queue is not played
_TRIED = 3  # instance types whose models are also tried elsewhere
_MUCH_LESS = 0.8  # times the dollars of a change that is smaller
_BURSTY = 6000  # arrivals
_MONTHS = (0, 6, 12)
_DECODED = {"photos": "photo", "videos": "video second"}  # a measured call, by kind
_USED = {  # constants, by the role that they are for
    "models": ("network_ms", "endpoint_ms", "call_work_ms"),
    "nodes": (
        "opensearch_here_ms",
        "opensearch_node_ms",
        "opensearch_million_ms",
        "opensearch_spelling_ms",
        "opensearch_graph_ms",
    ),
}


@dataclass(frozen=True, slots=True)
class Nearest:
    """One change of the demand, and the cheapest mix that holds the changed demand."""

    change: Change
    mix: Mix


@dataclass(frozen=True, slots=True)
class Plan:
    """The best mix and the next three, those that can't do it, backfills, and what growth costs:
    (months from now, passages, dollars a month). If no mix holds the demand, `nearest` are the
    cheapest mixes for demands that differ in one thing. `alone` are the milliseconds at p95 of a
    search's parts on the measured machine without other searches, the longest first.
    """

    demand: Demand
    mixes: tuple[Mix, ...]
    impossible: tuple[str, ...]
    backfills: tuple[Workers, ...]
    captions: tuple[BillLine, ...]
    growth: tuple[tuple[int, float, float], ...]
    estimates: tuple[str, ...]
    alone: tuple[tuple[str, float], ...]
    replayed: str = ""
    nearest: tuple[Nearest, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether a mix holds the demand as it was asked."""
        return bool(self.mixes)

    @property
    def best(self) -> Mix:
        """Return the cheapest mix that holds, or the cheapest of the nearest."""
        return self.mixes[0] if self.mixes else self.nearest[0].mix


class Planner:
    """Plans from one file of measurements and one of prices. `others` are machines whose peaks were
    measured, too. `say` hears what is tried.
    """

    def __init__(
        self,
        measured: Measurements,
        prices: Prices,
        others: Sequence[MachineFacts] = (),
        some: Sequence[Instance] | None = None,
        requests: int = REQUESTS,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._say = say
        known = instances() if some is None else some
        self._instances = tuple(i for i in known if prices.instance_hour(i) is not None)
        self._measured = measured
        self._prices = prices
        self._others = tuple(others)
        self._requests = requests
        self._mixes = Mixes(measured, prices, others, self._instances, requests)

    def plan(self, demand: Demand, log: Sequence[float] = ()) -> Plan:
        """Return the plan for a demand; `log` has moments of real arrivals, in seconds, to play on
        the best mix. Raises InputError if nothing here meets it.
        """
        demand.check()
        mixes, impossible = self._every(demand)
        alone = tuple(self._mixes.parts(demand).items())
        nearest = () if mixes else tuple(sorted(self._nearest(demand), key=_nearest_rank))
        if not mixes and not nearest:
            raise InputError(
                "no mix of instances meets the demand: " + "; ".join(impossible[:3]),
                mend="allow a longer --p95, another --profile, or fewer --items",
            )
        ranked = _ranked(mixes) if mixes else ()
        shown = ranked or tuple(each.mix for each in nearest)
        found = [
            workers(self._measured, self._others, self._instances, self._prices, (each, demand))
            for each in demand.ingest
        ]
        return Plan(
            demand,
            ranked,
            tuple(impossible),
            tuple(each for each in found if each is not None),
            tuple(self._captions(demand)),
            self._growth(demand, ranked),
            self._estimates(demand, shown),
            alone,
            self._replayed(demand if mixes else nearest[0].change.demand, shown[0], log),
            nearest,
        )

    def holds(self, demand: Demand, fleet: Mapping[str, int]) -> Mix:
        """Return what a fleet of one type holds: its searches a second within the demand's p95, and
        in a note the items that its memory holds. Raises InputError for an unknown type.
        """
        if len(fleet) != 1:
            raise InputError("a fleet is of one type", where="--fleet", mend="3xr6i.2xlarge")
        ((name, number),) = fleet.items()
        known = {each.name: each for each in self._instances}
        if name not in known:
            mend = f"one of {', '.join(sorted(known)[:6])}, …"
            raise InputError(f"there is no {name} in the table", where="--fleet", mend=mend)
        instance = known[name]
        lists = demand.vectors == "lists"
        most = most_passages(self._measured.archives, instance, 2, lists=lists)
        mix = self._mixes.embedded(demand, instance, number)
        items = most / demand.passages
        return replace(mix, notes=(*mix.notes, f"its memory holds {items:,.0f} items"))

    def _nearest(self, demand: Demand) -> Iterator[Nearest]:
        """Yield for each thing that could be changed the first value of it that a mix holds, and
        the next one if that costs much less; each mix once.
        """
        told: list[Mix] = []
        for values in changes(demand, self._measured):
            first: Mix | None = None
            for change in values:
                self._say(f"with {change.what}")
                mixes, _ = self._every(change.demand)
                if not mixes:
                    continue
                less = first is None or mixes[0].dollars < _MUCH_LESS * first.dollars
                if less and mixes[0] not in told:
                    told.append(mixes[0])
                    yield Nearest(change, mixes[0])
                if first is not None:
                    break
                first = mixes[0]

    # --- every mix

    def _every(self, demand: Demand) -> tuple[list[Mix], list[str]]:
        """Return the mixes that hold, the cheapest first, and why the others don't."""
        found: list[Mix] = []
        impossible: list[str] = []
        for kind, instance, asked in self._ways(demand, found):
            try:
                found.append(self._made(asked, kind, instance))
            except NotMetError as error:
                impossible.append(str(error))
        if demand.remote not in ("", "any"):
            found = [mix for mix in found if any(role.name == "models" for role in mix.roles)]
        return sorted(found, key=_rank), list(dict.fromkeys(impossible))

    def _ways(self, demand: Demand, found: Sequence[Mix]) -> Iterator[tuple[str, Instance, Demand]]:
        """Yield what to try; `found` is what was made of it so far."""
        if demand.engine != "opensearch":
            least = {
                (asked, instance): self._mixes.least_cost(asked, instance)
                for asked in _by_vectors(demand)
                for instance in self._instances
            }
            for asked, instance in sorted(least, key=lambda way: least[way]):
                best = min((mix.dollars for mix in found), default=math.inf)
                if least[asked, instance] <= _FAR * best:
                    yield "", instance, asked
            known = {each.name: each for each in self._instances}
            for mix in sorted(found, key=_rank)[:_TRIED]:
                for kind in REMOTES if demand.remote == "any" else (demand.remote,):
                    if kind:
                        asked = replace(demand, vectors=mix.vectors)
                        yield kind, known[mix.roles[0].type], asked
        if demand.engine != "embedded":
            yield "opensearch", self._instances[0], demand

    def _made(self, demand: Demand, kind: str, instance: Instance) -> Mix:
        if kind == "opensearch":
            return self._mixes.opensearch(demand)
        if kind:
            return self._mixes.with_remote(demand, instance, kind)
        return self._mixes.embedded(demand, instance)

    def _captions(self, demand: Demand) -> Iterator[BillLine]:
        """Yield what captions of the photos and videos cost, once, by provider."""
        pictures = sum(
            each.count * (1 if each.kind == "photos" else demand.video_s / 10)
            for each in demand.ingest
            if each.kind != "stories"
        )
        for name, row in self._prices.by_name["captions"].items():
            if not pictures or (demand.caption and demand.caption != name):
                continue
            each = row["tokens_in"] * row["million_in"] + row["tokens_out"] * row["million_out"]
            dollars = pictures * each / 1e6
            hours = pictures / row["requests_minute"] / 60
            why = (
                f"{pictures:,.0f} x ${each / 1e6:.6f}; {dollars * row['batch_share']:,.0f} in "
                f"batches; {hours:,.0f} h at {row['requests_minute']:,} requests a minute"
            )
            yield BillLine(f"captions by {name}", dollars, why)

    def _growth(self, demand: Demand, mixes: Sequence[Mix]) -> tuple[tuple[int, float, float], ...]:
        """Return what the cheapest mix costs later, of the families that are the cheapest now and
        those with more memory.
        """
        if not demand.grows:
            return ()
        named = {role.type.partition(".")[0] for mix in mixes for role in mix.roles}
        kinds = {each.processor for each in self._instances if each.family in named}
        some = [each for each in self._instances if each.processor in kinds]
        later = Planner(self._measured, self._prices, self._others, some, self._requests)
        found = []
        for month in _MONTHS:
            times = (1 + demand.grows) ** (month / 12)
            grown = replace(demand, qps=demand.qps * times, items=demand.items * times)
            every, _ = later._every(grown)
            dollars = every[0].dollars if every else math.inf
            found.append((month, demand_passages(grown), dollars))
        return tuple(found)

    def _replayed(self, demand: Demand, best: Mix, log: Sequence[float]) -> str:
        """Return what becomes of a log's arrivals, or of calm times and bursts that take turns."""
        if not log and demand.burst <= 1:
            return ""
        what = f"the {len(log):,} arrivals of the log" if log else "a minute's burst in ten minutes"
        arrivals = from_log(log) if log else bursty(demand.qps, demand.burst, _BURSTY, SEED)
        played = self._mixes.replayed(demand, best, arrivals)
        if played is None:
            return ""
        return (
            f"With {what}: p50 {played.at(50):.0f}, p95 {played.at(95):.0f}, "
            f"p99 {played.at(99):.0f} ms, {played.refused:.1%} refused"
        )

    def _estimates(self, demand: Demand, mixes: Sequence[Mix]) -> tuple[str, ...]:
        """Return what is not measured in a plan, and where it comes from."""
        said = [
            f"{role.type}: its speed is an estimate, of which the slow end was taken"
            for mix in mixes
            for role in mix.roles
            if role.how == "estimate"
        ]
        largest = max(each.passages for each in self._measured.archives)
        times = demand_passages(demand) / largest
        if times > 1:
            laws = self._mixes.growing(demand).laws
            by = ", ".join(f"{stage} by {each.law}" for stage, each in laws.items())
            by = by or "without growth, as one size was measured"
            said.append(f"the archive is {times:,.0f} times the measured one: {by}")
        kinds = {each.kind for each in demand.ingest}
        decoded = [what for kind, what in _DECODED.items() if kind in kinds]
        names = [MEDIA[what] for what in decoded if self._measured.call(what) is None]
        roles = {role.name for mix in mixes for role in mix.roles}
        names += [name for role, used in _USED.items() if role in roles for name in used]
        said += [f"{name}: {constant(name)}, {constant_source(name)}" for name in names]
        return tuple(dict.fromkeys(said))


def _by_vectors(demand: Demand) -> tuple[Demand, ...]:
    """Return a demand for each way to search vectors: lists are for a million passages or more."""
    if demand.vectors != "any":
        return (demand,)
    large = demand_passages(demand) >= ProjectionSettings().most_rows
    return tuple(replace(demand, vectors=name) for name in ("graphs", "lists")[: 1 + large])


def _ranked(mixes: Sequence[Mix]) -> tuple[Mix, ...]:
    """Return the best mix and the next three of other kinds, which say why they lose."""
    best = mixes[0]
    return (best, *(replace(mix, loses=_loses(mix, best)) for mix in _distinct(mixes)[1:4]))


def _nearest_rank(nearest: Nearest) -> tuple[float, str]:
    return _rank(nearest.mix)


def _rank(mix: Mix) -> tuple[float, str]:
    return mix.dollars, mix.name


def _distinct(mixes: Sequence[Mix]) -> list[Mix]:
    """Return the cheapest mix of each pair of families and remotes, so that the next three are
    others, and not the same in another size.
    """
    seen: dict[tuple[str, ...], Mix] = {}
    for mix in mixes:
        kinds = (role.type.partition(".")[0] for role in mix.roles)
        seen.setdefault((mix.vectors, *kinds), mix)
    return list(seen.values())


def _loses(mix: Mix, best: Mix) -> str:
    """Return why a mix is not the best: what it costs more, and its largest line."""
    more = mix.dollars - best.dollars
    line = max(
        mix.bill,
        key=lambda each: (
            each.dollars - next((b.dollars for b in best.bill if b.name == each.name), 0.0)
        ),
    )
    said = f"${more:,.0f} a month more, most of it for {line.name}"
    return f"{said}; {mix.notes[0]}" if mix.notes else said
