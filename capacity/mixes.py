"""The ways to serve a demand: hosts that search, machines for the models, nodes of OpenSearch, and
the bill of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from capacity.demand import Demand
from capacity.fleet import USABLE, LoadCurve, Needed, host_of, load_curve, needed, pooled
from capacity.instances import BOUNDS, GIBI, End, Instance
from capacity.measurements import MachineFacts, Measurements
from capacity.prices import HOURS, Prices
from capacity.service_model import Elsewhere, Host, ServiceModel, constant, demand_passages
from capacity.simulator import Floats64, Played
from storage.opensearch.index.plan import Archive as IndexArchive
from storage.opensearch.index.plan import Graphs, Hardware
from storage.opensearch.index.plan import plan as index_plan

SECONDS = HOURS * 3600  # of a month
_MODEL_BUSY = 0.6  # of a model server's processors in a burst
_SLOW_NODE = 0.7  # a Graviton's thread against the measured one: an estimate's low end
_FUNCTION = 0.6  # the same of a function's thread, on an unknown processor
_FAR = 2.0  # times the best bill so far: what costs more without a queue is not played
_MOST_NODES = 40


class NotMetError(Exception):
    """A mix that can't meet the demand, with the reason."""


@dataclass(frozen=True, slots=True)
class Role:
    """Equal machines with one task. `busy` is the share of their processors in a burst with one
    missing; bytes of memory that each needs and has.
    """

    name: str
    type: str
    count: int
    busy: float
    memory: float
    of_memory: float
    how: str


@dataclass(frozen=True, slots=True)
class BillLine:
    """Dollars a month, and how they were reckoned."""

    name: str
    dollars: float
    why: str


@dataclass(frozen=True, slots=True)
class Mix:
    """One way to serve a demand. Latencies in milliseconds in a burst, with one host missing;
    `holds` is the most searches a second then. `loses` says why another one is better.
    """

    name: str
    roles: tuple[Role, ...]
    bill: tuple[BillLine, ...]
    p50: float
    p95: float
    p99: float
    holds: float
    cut: float
    binds: str
    notes: tuple[str, ...] = ()
    loses: str = ""
    curve: LoadCurve | None = field(default=None, repr=False, compare=False)

    @property
    def dollars(self) -> float:
        """Return the bill of a month."""
        return sum(line.dollars for line in self.bill)

    @property
    def largest(self) -> BillLine:
        """Return the largest line of the bill."""
        return max(self.bill, key=lambda line: line.dollars)


@dataclass(frozen=True, slots=True)
class _Pool:
    """Machines for the models alone, and how a search sees them."""

    role: Role
    bill: BillLine
    elsewhere: Elsewhere
    notes: tuple[str, ...] = ()


class Mixes:
    """Makes the mixes of one file of measurements and one of prices. `others` are machines whose
    peaks were measured, too; each load is played with `requests`.
    """

    def __init__(
        self,
        measured: Measurements,
        prices: Prices,
        others: Sequence[MachineFacts],
        some: Sequence[Instance],
        requests: int,
    ) -> None:
        self._measured = measured
        self._prices = prices
        self._others = tuple(others)
        self._instances = tuple(some)
        self._requests = requests
        self._curves: dict[object, LoadCurve] = {}
        self._models: dict[tuple[str, str], ServiceModel] = {}

    def least_cost(self, demand: Demand, instance: Instance) -> float:
        """Return what an instance type costs at least: without any queue."""
        host = self.host(instance)
        mean = self.model(demand).mean_work(host, demand_passages(demand))
        ceiling = max(host.speeds.curve(host.end)) / mean * 1000
        return (math.ceil(demand.peak / ceiling) + 1) * self._hour(instance) * HOURS

    def embedded(self, demand: Demand, instance: Instance, count: int = 0) -> Mix:
        """Return hosts of one type that search their own copy of the archive."""
        host, need = self.fitting(instance, demand_passages(demand), needs_room=not count)
        curve = self._curve(demand, instance, host)
        mix = self._fleet(demand, ("search", instance, host, need.memory), curve, count=count)
        disk = self._disk(need.disk, mix.roles[0].count)
        return replace(mix, bill=(*mix.bill, disk, *self._shared(demand, mix.roles[0].count)))

    def with_remote(self, demand: Demand, instance: Instance, kind: str) -> Mix:
        """Return hosts of one type whose models run elsewhere."""
        host, need = self.fitting(instance, demand_passages(demand))
        pool = self._pool(demand, kind)
        curve = self._curve(demand, instance, host, remote=pool.elsewhere)
        mix = self._fleet(demand, ("search", instance, host, need.memory), curve)
        disk = self._disk(need.disk, mix.roles[0].count)
        return replace(
            mix,
            name=f"{mix.name}, models on {pool.role.type}",
            roles=(*mix.roles, pool.role),
            bill=(*mix.bill, pool.bill, disk, *self._shared(demand, mix.roles[0].count)),
            notes=(*mix.notes, *pool.notes),
        )

    def opensearch(self, demand: Demand) -> Mix:
        """Return hosts without an archive before nodes of OpenSearch Service."""
        nodes, hardware = self._nodes(demand)
        best: Mix | None = None
        for instance in self._instances:
            if instance.vcpus > 8 or self._prices.instance_hour(instance) is None:
                continue
            if best is not None and self.least_cost(demand, instance) > best.dollars * _FAR:
                continue
            try:
                host, need = self.fitting(instance, 0)
                curve = self._curve(demand, instance, host, nodes=hardware)
                mix = self._fleet(demand, ("search", instance, host, need.memory), curve)
            except NotMetError:
                continue
            if best is None or mix.dollars < best.dollars:
                best = mix
        if best is None:
            raise NotMetError(f"OpenSearch: p95 of {demand.p95_ms:g} ms is not held by any host")
        role, lines = nodes
        return replace(
            best,
            name=f"{best.name}, {role.count} x {role.type}",
            roles=(*best.roles, role),
            bill=(*best.bill, *lines, *self._shared(demand, best.roles[0].count)),
            notes=(*best.notes, "OpenSearch's times are dated constants"),
        )

    def replayed(self, demand: Demand, mix: Mix, arrivals: Floats64) -> Played | None:
        """Return what becomes of arrivals, float64 [n] rising milliseconds, of which each host of a
        mix gets an equal share while one is missing; None if something else works for the hosts.
        """
        role, *others = mix.roles
        if others:
            return None
        instance = next(each for each in self._instances if each.name == role.type)
        host, _ = self.fitting(instance, demand_passages(demand), needs_room=False)
        share = arrivals[:: max(1, role.count - 1)]
        return self.model(demand).play(host, demand_passages(demand), share)

    # --- the parts of a mix

    def _fleet(
        self,
        demand: Demand,
        role: tuple[str, Instance, Host, float],
        curve: LoadCurve,
        *,
        count: int = 0,
    ) -> Mix:
        """Return as many hosts as hold a burst with one of them missing."""
        name, instance, host, memory = role
        rate, binds = curve.most(demand.p95_ms)
        if rate <= 0:
            alone = f"p95 is {curve.p95[0]:,.0f} ms even without other searches"
            raise NotMetError(f"{instance.name}: {alone}")
        least = math.ceil(demand.peak / rate) + 1
        number = count or max(2, least)
        serving = max(1, number - 1)
        each = demand.peak / serving
        if not count and least <= 2 and memory > USABLE * instance.memory / 2:
            binds = "memory"
        busy = curve.at(curve.busy, min(each, rate))
        hour = self._hour(instance)
        line = BillLine(
            "search hosts",
            number * hour * HOURS,
            f"{number} x ${hour:g} x {HOURS:g} h: {demand.peak:g}/s / {rate:.1f}/s a host, and one",
        )
        how = host.speeds.how
        roles = (Role(name, instance.name, number, busy, memory, instance.memory, how),)
        return Mix(
            f"{number} x {instance.name}",
            roles,
            (line,),
            curve.at(curve.p50, each),
            curve.at(curve.p95, each),
            curve.at(curve.p99, each),
            serving * rate,
            curve.at(curve.cut, each),
            binds,
            curve=curve,
        )

    def _pool(self, demand: Demand, kind: str) -> _Pool:
        """Return machines for the models alone."""
        return (
            self._servers(demand, kind)
            if kind in ("ec2", "sagemaker")
            else self._functions(demand, kind)
        )

    def _servers(self, demand: Demand, kind: str) -> _Pool:
        """Return the cheapest servers of models, on EC2 or as a real-time endpoint."""
        found: list[_Pool] = []
        for instance in self._instances:
            hour = (
                self._prices.instance_hour(instance)
                if kind == "ec2"
                else self._prices.sagemaker_hour(instance)
            )
            if hour is None or instance.vcpus > 8:
                continue
            host = self.host(instance)
            call = constant("network_ms" if kind == "ec2" else "endpoint_ms").high
            speed = {bound: host.speeds.of(bound, End.SLOW) for bound in BOUNDS}
            one = Elsewhere(instance.name, host.speeds.curve(End.SLOW), speed, call)
            work = self.model(demand).model_work(host, demand_passages(demand), one)
            need = demand.peak * work / 1000 / (max(one.curve) * _MODEL_BUSY)
            count = math.ceil(need) + 1
            busy = demand.peak * work / 1000 / max(one.curve) / (count - 1)
            type_ = instance.name if kind == "ec2" else f"ml.{instance.name}"
            why = f"{count} x ${hour:g} x {HOURS:g} h: {work:.1f} ms of models a search, and one"
            bill = BillLine("models", count * hour * HOURS, why)
            role = Role("models", type_, count, busy, 2 * GIBI, instance.memory, host.speeds.how)
            share = replace(one, curve=pooled(one.curve, count - 1))
            found.append(_Pool(role, bill, share))
        if not found:
            raise NotMetError(f"models on {kind}: no price")
        return min(found, key=lambda pool: (pool.bill.dollars, pool.role.type))

    def _functions(self, demand: Demand, kind: str) -> _Pool:
        """Return functions that are paid by the call: a copy for each call at the same time."""
        tree = self._prices.by_name["lambda"]
        if kind == "serverless":
            tree = self._prices.by_name["sagemaker"]["serverless"]
        size = 4 if 4 in tree["memory_gb"] else max(tree["memory_gb"])
        threads = (
            size * tree["threads_per_gb"] if kind == "serverless" else size / tree["gb_per_thread"]
        )
        speed = dict.fromkeys(BOUNDS, _FUNCTION)
        copies = int(tree["concurrency"])
        curve = tuple(float(n) for n in range(1, min(copies, 64) + 1))
        call = constant("endpoint_ms").high
        other = Elsewhere(kind, curve, speed, call)
        host = self.host(self._instances[0])
        work = self.model(demand).model_work(host, demand_passages(demand), other)
        seconds = work / 1000 / max(1.0, min(threads, self.model(demand).width)) + call / 1000
        monthly = demand.qps * SECONDS
        dollars = monthly * seconds * size * tree["gb_second"]
        dollars += monthly / 1e6 * tree.get("million_requests", 0.0)
        running = demand.peak * seconds
        if running > copies:
            raise NotMetError(f"models on {kind}: {running:,.0f} calls at once, {copies} allowed")
        start = tree["start_ms"]
        note = (
            f"a copy that starts takes {start[0] / 1000:g} to {start[2] / 1000:g} s: a burst from "
            f"{demand.qps * seconds:.1f} to {running:.1f} calls at once misses its p95 at first"
        )
        why = f"{monthly:,.0f} searches x {seconds:.3f} s x {size} GB x ${tree['gb_second']:g}"
        name = f"{kind} of {size} GB"
        role = Role("models", name, math.ceil(running), 0.0, 2 * GIBI, size * 1e9, "estimate")
        return _Pool(role, BillLine("models", dollars, why), other, (note,))

    def _nodes(self, demand: Demand) -> tuple[tuple[Role, tuple[BillLine, ...]], Elsewhere]:
        """Return the cheapest nodes that hold the index with one of them missing, by the sizes of
        `dateline index plan`.
        """
        fields = 2 if self._measured.settings.get("second_encoder") else 1
        archive = IndexArchive(round(demand.items), demand.characters, demand.passages, 384, fields)
        work = constant("opensearch_node_ms").high
        best: tuple[float, Role, tuple[BillLine, ...], Elsewhere] | None = None
        for name, row in self._prices.by_name["opensearch"].items():
            for count in range(2, _MOST_NODES + 1):
                left = Hardware(count - 1, int(row["memory"] * GIBI))  # one node may be missing
                index = index_plan(archive, left, Graphs())
                busy = demand.peak * work / 1000 / ((count - 1) * row["vcpus"] * _SLOW_NODE)
                if not index.fits or busy > _MODEL_BUSY:
                    continue
                disk = 2 * index.primary_bytes * (index.replicas + 1) / 1e9
                gb = self._prices.of("disk", "gp3_search_gb_month")
                lines = (
                    BillLine(
                        "nodes of OpenSearch",
                        count * row["hour"] * HOURS,
                        f"{count} x ${row['hour']:g} x {HOURS:g} h",
                    ),
                    BillLine("disks of nodes", disk * gb, f"{disk:,.0f} GB x ${gb:g}"),
                )
                dollars = sum(line.dollars for line in lines)
                role = Role(
                    "nodes",
                    name,
                    count,
                    busy,
                    index.memory_of_node,
                    row["memory"] * GIBI,
                    "estimate",
                )
                curve = tuple(float(n) for n in range(1, (count - 1) * row["vcpus"] + 1))
                other = Elsewhere(name, curve, dict.fromkeys(BOUNDS, _SLOW_NODE), 0.0)
                if best is None or dollars < best[0]:
                    best = dollars, role, lines, other
                break
        if best is None:
            raise NotMetError(f"OpenSearch: {_MOST_NODES} nodes don't hold the index")
        return (best[1], best[2]), best[3]

    def _disk(self, size: float, hosts: int) -> BillLine:
        gb, price = size / 1e9, self._prices.of("disk", "gp3_gb_month")
        why = f"{hosts} x {gb:,.0f} GB x ${price:g}: the archive twice"
        return BillLine("disks", hosts * gb * price, why)

    def _shared(self, demand: Demand, hosts: int) -> tuple[BillLine, ...]:
        """Return what every mix pays for: the balancer, traffic, the record of several hosts."""
        out = demand.qps * SECONDS * demand.answer_kb / 1e6
        price, free = self._prices.of("traffic", "out_gb"), self._prices.of("traffic", "free_gb")
        hour = self._prices.of("balancer", "hour") + self._prices.of("balancer", "unit_hour")
        lines = [
            BillLine("balancer", hour * HOURS, f"${hour:g} x {HOURS:g} h, one unit"),
            BillLine(
                "traffic out",
                max(0.0, out - free) * price,
                f"({out:,.0f} GB - {free:g}) x ${price:g}: {demand.answer_kb:g} KB an answer",
            ),
        ]
        if hosts > 1:
            gb = demand.items * demand.characters * 2 / 1e9
            base, disk = (
                self._prices.of("postgres", "hour"),
                self._prices.of("postgres", "gb_month"),
            )
            why = f"${base:g} x {HOURS:g} h, {gb:,.0f} GB x ${disk:g}: the record of {hosts} hosts"
            lines.append(BillLine("Postgres", base * HOURS + gb * disk, why))
        return tuple(lines)

    # --- what is reckoned once

    def model(self, demand: Demand) -> ServiceModel:
        """Return the model of the demand's profile. Raises InputError."""
        key = demand.profile, demand.filter
        if key not in self._models:
            self._models[key] = ServiceModel(
                self._measured.machine,
                self._measured.of_profile(demand.profile),
                drawn=self._measured.narrowed(*key),
                batch_ms=self._measured.batch_ms(),
            )
        return self._models[key]

    def host(self, instance: Instance) -> Host:
        """Return an instance with a search process for each of its hardware threads."""
        return host_of(instance, self._measured, self._others, End.SLOW)

    def fitting(
        self, instance: Instance, passages: float, *, needs_room: bool = True
    ) -> tuple[Host, Needed]:
        """Return an instance with as many search processes as its memory holds, two at least, and
        what it needs. Raises NotMetError if the archive does not fit.
        """
        host = self.host(instance)
        for searches in range(host.searches, 1, -1):
            need = needed(self._measured.archives, passages, searches)
            if need.memory <= USABLE * instance.memory:
                return replace(host, searches=searches), need
        if needs_room:
            short = f"{need.memory / GIBI:,.0f} GiB"
            has = f"{instance.memory / GIBI:g} GiB"
            raise NotMetError(f"{instance.name}: {short} are needed, and it has {has}")
        return replace(host, searches=2), need

    def _hour(self, instance: Instance) -> float:
        return self._prices.instance_hour(instance) or math.inf

    def _curve(
        self,
        demand: Demand,
        instance: Instance,
        host: Host,
        *,
        remote: Elsewhere | None = None,
        nodes: Elsewhere | None = None,
    ) -> LoadCurve:
        """Return the load curve of a host: the same for all families of one processor."""
        passages = demand_passages(demand)
        asked = demand.profile, demand.filter
        place = (*asked, instance.processor, instance.vcpus, host.searches, round(passages))
        others = tuple((o.name, len(o.curve), o.call_ms) if o else None for o in (remote, nodes))
        key = (*place, *others)
        if key not in self._curves:
            self._curves[key] = load_curve(
                self.model(demand),
                host,
                passages,
                remote=remote,
                nodes=nodes,
                requests=self._requests,
            )
        return self._curves[key]
