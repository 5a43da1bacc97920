"""The ways to serve a demand: hosts that search, machines for the models, nodes of OpenSearch, and
the bill of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from capacity.clusters import SHARES, Cluster, Clusters
from capacity.demand import Demand
from capacity.fleet import USABLE, LoadCurve, Needed, host_of, load_curve, needed
from capacity.instances import GIBI, End, Instance
from capacity.measurements import RERANK, MachineFacts, Measurements
from capacity.mix import BillLine, Mix, NotMetError, Role
from capacity.pools import Pools
from capacity.prices import HOURS, SECONDS, Prices
from capacity.service_model import Elsewhere, Growing, Host, ServiceModel, demand_passages
from capacity.simulator import Floats64, Played

_APART = 400  # searches that come one after the other, to see how long one takes alone
_RERANKS_MS = 1.0  # a profile that reranks nothing takes some hundredths for it
_FAR = 2.0  # times the best bill so far: what costs more without a queue is not played

_Asked: TypeAlias = tuple[str, str, str, float, float]


def _asked(demand: Demand) -> _Asked:
    """Return what of a demand decides how long a search takes among the same passages."""
    return demand.profile, demand.filter, demand.vectors, demand.deadline_ms, demand.rerank


@dataclass(frozen=True, slots=True)
class _Place:
    """What decides how a host answers: what is asked, its processor, threads and search processes,
    the archive, and what works for it elsewhere.
    """

    asked: _Asked
    kind: tuple[str, int, int]
    passages: int
    others: tuple[object, ...]


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
        self._pools = Pools(prices, some, self.host)
        self._clusters = Clusters(prices, 2 if measured.settings.get("second_encoder") else 1)
        self._curves: dict[_Place, LoadCurve] = {}
        self._models: dict[_Asked, ServiceModel] = {}
        self._alone: dict[_Place, float] = {}
        self._ceilings: dict[object, float] = {}

    def least_cost(self, demand: Demand, instance: Instance) -> float:
        """Return what an instance type costs at least: without any queue."""
        place = _asked(demand), instance.processor, instance.vcpus, demand_passages(demand)
        if place not in self._ceilings:
            host = self.host(instance)
            mean = self.model(demand).mean_work(host, demand_passages(demand))
            self._ceilings[place] = max(host.speeds.curve(host.end)) / mean * 1000
        ceiling = self._ceilings[place]
        return (math.ceil(demand.peak / ceiling) + 1) * self._hour(instance) * HOURS

    def embedded(self, demand: Demand, instance: Instance, count: int = 0) -> Mix:
        """Return hosts of one type that search their own copy of the archive."""
        host, need = self._room(instance, demand, needs_room=not count)
        curve = self._curve(demand, instance, host, needed=not count)
        mix = self._fleet(demand, ("search", instance, host, need.memory), curve, count=count)
        disk = self._disk(need.disk, mix.roles[0].count)
        bill = (*mix.bill, disk, *self._shared(demand, mix.roles[0].count))
        return self._noted(demand, replace(mix, bill=bill), instance.vcpus)

    def with_remote(self, demand: Demand, instance: Instance, kind: str) -> Mix:
        """Return hosts of one type whose models run elsewhere."""
        host, need = self._room(instance, demand)
        pool = self._pools.cheapest(demand, kind, self.model(demand))
        curve = self._curve(demand, instance, host, remote=pool.elsewhere)
        mix = self._fleet(demand, ("search", instance, host, need.memory), curve)
        disk = self._disk(need.disk, mix.roles[0].count)
        mix = replace(
            mix,
            name=f"{mix.name}, models on {pool.role.type}",
            roles=(*mix.roles, pool.role),
            bill=(*mix.bill, pool.bill, disk, *self._shared(demand, mix.roles[0].count)),
            notes=(*mix.notes, *pool.notes),
        )
        return self._noted(demand, mix, pool.elsewhere.threads)

    def _noted(self, demand: Demand, mix: Mix, threads: int) -> Mix:
        """Return a mix with what has to be set for it."""
        notes = [f"set threads = {threads}"] if self._more_threads(demand, threads) else []
        if demand.vectors != "lists":
            return replace(mix, notes=(*notes, *mix.notes))
        notes.append(
            "set hnsw_implementation = faiss-ivf, hnsw_precision = pq: inverted lists, recall@10 "
            ".97 to .99 where graphs have .99, and times that are dated constants"
        )
        name = f"{mix.name}, inverted lists"
        return replace(mix, name=name, vectors="lists", notes=(*notes, *mix.notes))

    def _more_threads(self, demand: Demand, threads: int) -> bool:
        """Return whether reranking may use more threads here than when it was measured."""
        return self._reranks(demand) and threads > self._threads

    def opensearch(self, demand: Demand) -> Mix:
        """Return hosts without an archive before nodes of OpenSearch Service: fewer hosts where the
        nodes answer sooner, or more.
        """
        found, short = list[Mix](), ""
        for share in SHARES:
            try:
                found.append(self._before(demand, self._clusters.cheapest(demand, share)))
            except NotMetError as error:
                short = short or str(error)
        if not found:
            raise NotMetError(short)
        return min(found, key=lambda mix: (mix.dollars, mix.name))

    def _before(self, demand: Demand, cluster: Cluster) -> Mix:
        """Return the cheapest hosts before a cluster."""
        best: Mix | None = None
        for instance in self._instances:
            if instance.vcpus > 8 or self._prices.instance_hour(instance) is None:
                continue
            if best is not None and self.least_cost(demand, instance) > best.dollars * _FAR:
                continue
            try:
                host, need = self.fitting(instance, 0)
                curve = self._curve(demand, instance, host, nodes=cluster.elsewhere)
                mix = self._fleet(demand, ("search", instance, host, need.memory), curve)
            except NotMetError:
                continue
            if best is None or mix.dollars < best.dollars:
                best = self._noted(replace(demand, vectors="nodes"), mix, instance.vcpus)
        if best is None:
            raise NotMetError(f"OpenSearch: p95 of {demand.p95_ms:g} ms is not held by any host")
        role = cluster.role
        return replace(
            best,
            name=f"{best.name}, {role.count} x {role.type}",
            roles=(*best.roles, role),
            bill=(*best.bill, *cluster.bill, *self._shared(demand, best.roles[0].count)),
            vectors="nodes",
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
        host, _ = self._room(instance, demand, needs_room=False)
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
            1 - curve.at(curve.undone, each),
            curve=curve,
        )

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
        key = _asked(demand)
        if key not in self._models:
            self._models[key] = ServiceModel(
                self._measured.machine,
                self._measured.of_profile(demand.profile),
                deadline=demand.deadline_ms or None,
                drawn=self._measured.narrowed(demand.profile, demand.filter),
                batch_ms=self._measured.batch_ms(),
                lists=demand.vectors == "lists",
                rerank=demand.rerank,
                threads=self._threads,
            )
        return self._models[key]

    def growing(self, demand: Demand) -> Growing:
        """Return how the stages of a demand's profile grow."""
        return self.model(demand).growing

    def parts(self, demand: Demand) -> dict[str, float]:
        """Return the milliseconds at p95 of the parts of a search among the asked passages on the
        measured machine, which does nothing else; the longest first, and in the end all of it.
        """
        stages = self.model(demand).scaled(demand_passages(demand))
        found = {name: float(np.percentile(ms, 95)) for name, ms in stages.items()}
        whole = float(np.percentile(sum(stages.values()), 95))
        longest = sorted(found.items(), key=lambda each: -each[1])
        return {**dict(longest), "all": whole}

    @property
    def _threads(self) -> int:
        """The threads that a reranking had when it was measured."""
        asked = int(self._measured.settings.get("threads", "0"))
        return min(asked or self._measured.machine.threads, self._measured.machine.threads)

    def _reranks(self, demand: Demand) -> bool:
        largest = self._measured.of_profile(demand.profile)[-1]
        return bool(largest.of(RERANK).mean() > _RERANKS_MS)

    def host(self, instance: Instance) -> Host:
        """Return an instance with a search process for each of its hardware threads."""
        return host_of(instance, self._measured, self._others, End.SLOW)

    def fitting(
        self, instance: Instance, passages: float, *, needs_room: bool = True, lists: bool = False
    ) -> tuple[Host, Needed]:
        """Return an instance with as many search processes as its memory holds, two at least, and
        what it needs. Raises NotMetError if the archive does not fit.
        """
        host = self.host(instance)
        for searches in range(host.searches, 1, -1):
            need = needed(self._measured.archives, passages, searches, lists=lists)
            if need.memory <= USABLE * instance.memory:
                return replace(host, searches=searches), need
        if needs_room:
            short = f"{need.memory / GIBI:,.0f} GiB"
            has = f"{instance.memory / GIBI:g} GiB"
            raise NotMetError(f"{instance.name}: {short} are needed, and it has {has}")
        return replace(host, searches=2), need

    def _room(
        self, instance: Instance, demand: Demand, *, needs_room: bool = True
    ) -> tuple[Host, Needed]:
        """Return an instance with the archive that is asked, as `fitting`."""
        lists = demand.vectors == "lists"
        return self.fitting(instance, demand_passages(demand), needs_room=needs_room, lists=lists)

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
        needed: bool = True,
    ) -> LoadCurve:
        """Return the load curve of a host: the same for all families of one processor. Raises
        NotMetError if p95 is `needed` and an idle host is too slow for it.
        """
        passages = demand_passages(demand)
        others = tuple(
            (o.name, len(o.curve), o.call_ms, o.work) if o else None for o in (remote, nodes)
        )
        kind = instance.processor, instance.vcpus, host.searches
        place = _Place(_asked(demand), kind, round(passages), others)
        if needed:
            self._check_alone(demand, place, instance, (host, remote, nodes))
        if place not in self._curves:
            self._curves[place] = load_curve(
                self.model(demand),
                host,
                passages,
                remote=remote,
                nodes=nodes,
                requests=self._requests,
            )
        return self._curves[place]

    def _check_alone(
        self,
        demand: Demand,
        place: _Place,
        instance: Instance,
        where: tuple[Host, Elsewhere | None, Elsewhere | None],
    ) -> None:
        """Raise NotMetError if searches that come one after the other are too slow already."""
        if place not in self._alone:
            host, remote, nodes = where
            apart = np.arange(_APART, dtype=np.float64) * 1e5
            played = self.model(demand).play(
                host, demand_passages(demand), apart, remote=remote, nodes=nodes
            )
            self._alone[place] = played.at(95)
        ms = self._alone[place]
        if ms > demand.p95_ms:
            raise NotMetError(f"{instance.name}: p95 is {ms:,.0f} ms even without other searches")
