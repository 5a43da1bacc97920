"""What one host holds, and what it needs: the parts that a plan puts together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capacity.demand import Backfill, Demand
from capacity.instances import GIBI, End, Instance, speeds_of
from capacity.measurements import Archive, Calls, MachineFacts, Measurements
from capacity.prices import Prices
from capacity.service_model import SEED, Elsewhere, Host, ServiceModel, constant
from capacity.simulator import Floats64, Played, poisson
from eval.tune.graphs.growth import fit

LOADS = (0.05, 0.3, 0.5, 0.65, 0.8, 0.92)  # of the most work that a host can do
REQUESTS = 1500
USABLE = 0.9  # of a host's memory
SYSTEM = 1.0 * GIBI
DISK_TIMES = 2.0  # an archive's files, and as much for merges and a migration
_REFUSED, _CUT = 0.001, 0.05  # shares of searches that may be refused, and lose their reranking
_BUSY = 0.8  # of a worker's processors, on average
MEDIA = {"photo": "photo_ms", "video second": "video_second_ms"}  # constants, if not measured
_SHOT_S = 10.0  # seconds of a video for each of its passages


@dataclass(frozen=True, slots=True)
class LoadCurve:
    """What one host answers by load: searches a second, milliseconds at 50, 95 and 99 %, the shares
    of searches cut and refused, of the reranking left undone, and of the processors that is busy;
    float64 [loads] each.
    """

    rates: Floats64
    p50: Floats64
    p95: Floats64
    p99: Floats64
    cut: Floats64
    refused: Floats64
    undone: Floats64
    busy: Floats64

    def most(self, p95: float) -> tuple[float, str]:
        """Return the most searches a second within `p95` milliseconds, and what binds."""
        limits = (
            ("latency", self.p95, p95),
            ("deadline", self.cut, max(_CUT, float(self.cut[0]) + _CUT)),
            ("processor", self.refused, _REFUSED),
        )
        found = [(_crossing(self.rates, values, limit), name) for name, values, limit in limits]
        rate, binds = min(found)
        return rate, "processor" if rate == self.rates[-1] else binds

    def at(self, values: Floats64, rate: float) -> float:
        """Return one of the columns at a rate between those that were played."""
        return float(np.interp(rate, self.rates, values))


def _crossing(rates: Floats64, values: Floats64, limit: float) -> float:
    """Return the largest rate at which rising `values` are within a limit; 0 if none is."""
    if values[0] > limit:
        return 0.0
    above = np.flatnonzero(values > limit)
    if not len(above):
        return float(rates[-1])
    n = int(above[0])
    share = (limit - values[n - 1]) / (values[n] - values[n - 1])
    return float(rates[n - 1] + share * (rates[n] - rates[n - 1]))


def load_curve(
    model: ServiceModel,
    host: Host,
    passages: float,
    *,
    remote: Elsewhere | None = None,
    nodes: Elsewhere | None = None,
    requests: int = REQUESTS,
) -> LoadCurve:
    """Play rising loads on a host. No figure falls as the load rises: what chance makes fall is
    raised to the one before.
    """
    mean = model.mean_work(host, passages, remote=remote, nodes=nodes)
    ceiling = max(host.speeds.curve(host.end)) / max(mean, 1e-9) * 1000
    rates = np.array(LOADS) * ceiling
    played: list[Played] = [
        model.play(host, passages, poisson(rate, requests, SEED), remote=remote, nodes=nodes)
        for rate in rates
    ]

    def rising(values: Sequence[float]) -> Floats64:
        return np.maximum.accumulate(np.array(values, np.float64))

    return LoadCurve(
        rates,
        rising([each.at(50) for each in played]),
        rising([each.at(95) for each in played]),
        rising([each.at(99) for each in played]),
        rising([each.cut for each in played]),
        rising([each.refused for each in played]),
        rising([1 - each.done for each in played]),
        rising([each.busy["host"] for each in played]),
    )


def pooled(curve: Sequence[float], copies: float) -> tuple[float, ...]:
    """Return the curve of several equal machines that share their work alike."""
    threads = np.arange(1, max(1, round(copies * len(curve))) + 1)
    places = np.arange(len(curve) + 1)
    done = copies * np.interp(threads / copies, places, (0.0, *curve))
    return tuple(float(each) for each in np.maximum(done, np.minimum(threads, 1.0)))


def host_of(
    instance: Instance, measured: Measurements, others: Sequence[MachineFacts], end: End
) -> Host:
    """Return an instance as a host, with a search process for each hardware thread."""
    speeds = speeds_of(instance, measured.machine, others)
    return Host(speeds, end, max(2, instance.vcpus))


# --- memory and disk


@dataclass(frozen=True, slots=True)
class Needed:
    """Bytes that a host needs: in memory, and on disk."""

    memory: float
    disk: float


def needed(
    archives: Sequence[Archive], passages: float, searches: int, *, lists: bool = False
) -> Needed:
    """Return what a host with an archive of `passages` needs: its processes' own memory, the mapped
    files, all of which searches read, and a gibibyte for the system. With inverted `lists` a graph
    is not mapped, and each process that searches has lists of its own.

    Own memory beyond the largest measured archive grows by a constant. Two small archives differ
    mostly in how full their caches are, and caches have limits.
    """
    largest = max(each.passages for each in archives)

    def at(values: Sequence[float], passages: float) -> float:
        sizes = [each.passages for each in archives]
        if len(set(sizes)) < 2:
            return values[-1] * max(1.0, passages / sizes[-1])
        law = fit("a + b n", sizes, [max(value, 1.0) for value in values])
        return max(min(values), law.at(passages))  # chance may make a larger archive smaller

    def own_at(values: Sequence[float]) -> float:
        beyond = max(0.0, passages - largest) * constant("own_bytes").high
        return at(values, min(passages, largest)) + beyond

    front = own_at([each.front for each in archives])
    own = front + searches * own_at([each.search for each in archives])
    mapped = at([each.mapped for each in archives], passages)
    if lists:
        own += passages * searches * constant("lists_own_bytes").high
        less = constant("graph_bytes").low - constant("lists_mapped_bytes").high
        mapped = max(0.0, mapped - passages * less)
    return Needed(
        SYSTEM + own + mapped,
        DISK_TIMES * at([each.disk for each in archives], passages),
    )


def most_passages(
    archives: Sequence[Archive], instance: Instance, searches: int, *, lists: bool = False
) -> float:
    """Return how many passages the memory of an instance holds."""
    low, high = 0.0, 1e10
    for _ in range(60):
        middle = (low + high) / 2
        fits = needed(archives, middle, searches, lists=lists).memory <= USABLE * instance.memory
        low, high = (middle, high) if fits else (low, middle)
    return low


# --- what has to be taken in


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers for one backfill: dollars for all of it, and how they were reckoned."""

    backfill: Backfill
    instance: Instance
    count: int
    dollars: float
    why: str


def unit_ms(measured: Measurements, kind: str, demand: Demand) -> tuple[float, str]:
    """Return the work of one thread for one story, photo or video, in milliseconds on the measured
    machine, and its parts in words.
    """
    passages = {"stories": demand.passages, "photos": 1.0}.get(kind, demand.video_s / _SHOT_S)
    embed = sum(_a_unit(measured.call(f"embed {n}")) for n in (1, 2))
    rest = _a_unit(measured.call("import")) + passages * _a_unit(measured.call("graph"))
    media = _media_ms(measured, kind, demand.video_s)
    why = (
        f"{media:.0f} ms decoding and models of media, {passages:g} x {embed:.1f} ms embedding, "
        f"{rest:.1f} ms indexing"
    )
    return media + passages * embed + rest, why


def _media_ms(measured: Measurements, kind: str, video_s: float) -> float:
    """Return what decoding takes, and each model of media that was measured: text and looks for a
    picture or a shot, shots and speech for each second of a video.
    """
    seen = _a_unit(measured.call("text in pictures")) + _a_unit(measured.call("looks"))
    if kind == "photos":
        return _media_unit(measured, "photo") + seen
    if kind == "videos":
        second = _media_unit(measured, "video second") + _a_unit(measured.call("speech"))
        return video_s * second + video_s / _SHOT_S * seen
    return 0.0


def _media_unit(measured: Measurements, what: str) -> float:
    """Return the milliseconds of a photo, or of a second of video with its shots; the high end of
    the dated constant where this was not measured.
    """
    found = measured.call(what)
    if found is None:
        return constant(MEDIA[what]).high
    return _a_unit(found) + (_a_unit(measured.call("shots")) if what != "photo" else 0.0)


def _a_unit(calls: Calls | None) -> float:
    """Return the milliseconds of one thread for a unit; 0 for what was not measured."""
    return 0.0 if calls is None else calls.mean / calls.batch


def workers(
    measured: Measurements,
    others: Sequence[MachineFacts],
    some: Sequence[Instance],
    prices: Prices,
    asked: tuple[Backfill, Demand],
) -> Workers | None:
    """Return the cheapest spot instances of Batch that end a backfill in time; None without any."""
    backfill, demand = asked
    each_ms, why = unit_ms(measured, backfill.kind, demand)
    hours = backfill.count * each_ms / 3.6e6
    share = float(prices.by_name["spot"]["share"][2])
    found: list[Workers] = []
    for instance in some:
        price = prices.instance_hour(instance)
        if price is None or instance.vcpus > 16:
            continue
        host = host_of(instance, measured, others, End.SLOW)
        speed = min(host.speeds.of(bound, End.SLOW) for bound in ("int8", "python"))
        pace = speed * max(host.speeds.curve(End.SLOW)) * _BUSY
        count = math.ceil(hours / pace / backfill.hours)
        dollars = hours / pace * price * share
        said = (
            f"{backfill.count:,.0f} x {each_ms:.0f} ms ({why}) = {hours:,.0f} thread-hours / "
            f"{pace:.2f} an instance / {backfill.hours:g} h; spot at {share:g} of ${price:g}"
        )
        found.append(Workers(backfill, instance, count, dollars, said))
    return min(found, key=lambda each: (each.dollars, each.count), default=None)
