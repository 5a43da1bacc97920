"""Machines that run only the models: servers on EC2 or SageMaker, or functions paid by call."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from capacity.demand import Demand
from capacity.fleet import pooled
from capacity.instances import BOUNDS, GIBI, End, Instance
from capacity.mix import BillLine, NotMetError, Role
from capacity.prices import HOURS, SECONDS, Prices
from capacity.service_model import Elsewhere, Host, ServiceModel, constant, demand_passages

_BUSY = 0.6  # of a model server's processors in a burst
_FUNCTION = 0.6  # a function's thread against the measured one, on an unknown processor


@dataclass(frozen=True, slots=True)
class Pool:
    """Machines that run only the models, and how a search sees them."""

    role: Role
    bill: BillLine
    elsewhere: Elsewhere
    notes: tuple[str, ...] = ()


class Pools:
    """Finds machines for models among `some` instances, by their prices."""

    def __init__(
        self, prices: Prices, some: Sequence[Instance], host: Callable[[Instance], Host]
    ) -> None:
        self._prices = prices
        self._instances = tuple(some)
        self._host = host

    def cheapest(self, demand: Demand, kind: str, model: ServiceModel) -> Pool:
        """Return the cheapest machines of a kind. Raises NotMetError."""
        if kind in ("ec2", "sagemaker"):
            return self._servers(demand, kind, model)
        return self._functions(demand, kind, model)

    def _servers(self, demand: Demand, kind: str, model: ServiceModel) -> Pool:
        """Return the cheapest servers of models, on EC2 or as a real-time endpoint."""
        found: list[Pool] = []
        for instance in self._instances:
            hour = (
                self._prices.instance_hour(instance)
                if kind == "ec2"
                else self._prices.sagemaker_hour(instance)
            )
            if hour is None or instance.vcpus > 8:
                continue
            host = self._host(instance)
            call = constant("network_ms" if kind == "ec2" else "endpoint_ms").high
            speed = {bound: host.speeds.of(bound, End.SLOW) for bound in BOUNDS}
            one = Elsewhere(
                instance.name, host.speeds.curve(End.SLOW), speed, call, threads=instance.vcpus
            )
            work = model.model_work(host, demand_passages(demand), one)
            need = demand.peak * work / 1000 / (max(one.curve) * _BUSY)
            count = math.ceil(need) + 1
            busy = demand.peak * work / 1000 / max(one.curve) / (count - 1)
            type_ = instance.name if kind == "ec2" else f"ml.{instance.name}"
            why = f"{count} x ${hour:g} x {HOURS:g} h: {work:.1f} ms of models a search, and one"
            bill = BillLine("models", count * hour * HOURS, why)
            role = Role("models", type_, count, busy, 2 * GIBI, instance.memory, host.speeds.how)
            share = replace(one, curve=pooled(one.curve, count - 1))
            found.append(Pool(role, bill, share))
        if not found:
            raise NotMetError(f"models on {kind}: no price")
        return min(found, key=lambda pool: (pool.bill.dollars, pool.role.type))

    def _functions(self, demand: Demand, kind: str, model: ServiceModel) -> Pool:
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
        host = self._host(self._instances[0])
        work = model.model_work(host, demand_passages(demand), other)
        seconds = work / 1000 / max(1.0, min(threads, model.width)) + call / 1000
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
        return Pool(role, BillLine("models", dollars, why), other, (note,))
