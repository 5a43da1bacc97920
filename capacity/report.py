"""A plan as Markdown, as a page with plots, and as values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from capacity.demand import Demand
from capacity.instances import GIBI
from capacity.mix import Mix, Role
from capacity.plan import Plan
from capacity.service_model import demand_passages
from capacity.simulator import Floats64
from eval.report import need_packages

if TYPE_CHECKING:
    from eval.report.parts import Part

_LARGE = 0.05  # of a search's time: what takes less is not named
_PARTS = {"lexical": "words", "http": "HTTP", "rerank": "reranking"}
_SHORT = (1.0, 1.5, 2.0, 3.0, 5.0)  # times the demand's p95, in the plot of cost


def plan_tree(plan: Plan) -> dict[str, Any]:
    """Return a plan as values for JSON."""
    return {
        "demand": asdict(plan.demand),
        "holds": plan.holds,
        "mixes": [mix_tree(mix) for mix in plan.mixes],
        "alone_ms": dict(plan.alone),
        "nearest": [
            {"change": each.change.what, "mix": mix_tree(each.mix)} for each in plan.nearest
        ],
        "impossible": plan.impossible,
        "backfills": [asdict(each) for each in plan.backfills],
        "captions": [asdict(each) for each in plan.captions],
        "growth": [
            {"month": month, "passages": passages, "dollars": dollars}
            for month, passages, dollars in plan.growth
        ],
        "estimates": plan.estimates,
        "replayed": plan.replayed,
    }


def mix_tree(mix: Mix) -> dict[str, Any]:
    """Return a mix as values for JSON."""
    names = (
        *("name", "p50", "p95", "p99", "holds", "cut", "reranked", "binds", "vectors"),
        *("notes", "loses", "dollars"),
    )
    return {
        **{name: getattr(mix, name) for name in names},
        "roles": [asdict(role) for role in mix.roles],
        "bill": [asdict(line) for line in mix.bill],
    }


def plan_markdown(plan: Plan, about: Sequence[str]) -> str:
    """Return the plan as Markdown; `about` says what was measured, and how old the prices are."""
    return "\n".join(
        [*_head(plan), *_roles(plan), *_bill(plan), *_others(plan), *_rest(plan, about)]
    )


def _head(plan: Plan) -> Iterator[str]:
    best = plan.best
    yield f"# {headline(plan)}"
    yield ""
    yield asked(plan.demand)
    yield ""
    yield binding(plan)
    yield ""
    if not plan.holds:
        yield from _nearest(plan)
        yield f"The first of them, {plan.nearest[0].change.what}:"
    yield (
        f"In a burst with one host missing: p50 {best.p50:.0f}, p95 {best.p95:.0f}, "
        f"p99 {best.p99:.0f} ms. It holds {best.holds:.1f} searches a second; {best.binds} binds. "
        f"The largest line of the bill is {best.largest.name}."
    )
    if plan.replayed:
        yield f"{plan.replayed}."
    if best.cut > 0:
        yield (
            f"The deadline cuts the reranking of {best.cut:.1%} of the searches; "
            f"{best.reranked:.0%} of it is done."
        )
    for note in best.notes:
        yield f"Note: {note}."
    yield ""


def headline(plan: Plan) -> str:
    """Return the answer in one line."""
    if plan.holds:
        return f"{plan.best.name}: ${plan.best.dollars:,.0f} a month"
    first = plan.nearest[0]
    dollars = f"${first.mix.dollars:,.0f} a month"
    return f"No mix holds it as asked; with {first.change.what}: {first.mix.name}, {dollars}"


def binding(plan: Plan) -> str:
    """Return what takes a search's time, without other searches, on the measured machine."""
    *parts, (_, whole) = plan.alone
    named = [(_PARTS.get(name, name), ms) for name, ms in parts if ms >= _LARGE * whole]
    said = (
        f"Alone on the measured machine, a search of the embedded engine among "
        f"{demand_passages(plan.demand):,.0f} passages takes {whole:,.0f} ms at p95: "
        f"{', '.join(f'{name} {ms:,.0f}' for name, ms in named)}."
    )
    above = [f"{name} alone" for name, ms in named if ms > plan.demand.p95_ms]
    if not above:
        return said
    takes = "takes" if len(above) == 1 else "take"
    return f"{said} So {' and '.join(above)} {takes} more than the {plan.demand.p95_ms:g} ms asked."


def _nearest(plan: Plan) -> Iterator[str]:
    yield "| what would hold, with one change | machines | $ a month | p95 ms | reranked | binds |"
    yield "|---|---|---|---|---|---|"
    for cells in nearest_cells(plan):
        yield "| " + " | ".join(cells) + " |"
    yield ""


def nearest_cells(plan: Plan) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each nearest plan."""
    for each in plan.nearest:
        mix, reranks = each.mix, each.change.demand.profile.endswith("rerank")
        done = f"{mix.reranked:.0%}" if reranks else "no"
        money = f"{mix.dollars:,.0f}"
        yield each.change.what, mix.name, money, f"{mix.p95:.0f}", done, mix.binds


def asked(demand: Demand) -> str:
    """Return a demand in words."""
    grows = f", growing by {demand.grows:.0%} a year" if demand.grows else ""
    return (
        f"Asked: {demand.qps:g} searches a second, {demand.peak:g} in a burst, p95 of "
        f"{demand.p95_ms:g} ms, {demand.items:,.0f} items of {demand.passages:g} passages, "
        f"profile {demand.profile}{grows}."
    )


def _roles(plan: Plan) -> Iterator[str]:
    yield "| role | machines | busy in a burst | memory needed, GiB | its speed |"
    yield "|---|---|---|---|---|"
    for role in plan.best.roles:
        yield "| " + " | ".join(_role(role)) + " |"
    yield ""


def _role(role: Role) -> tuple[str, ...]:
    memory = f"{role.memory / GIBI:.1f} of {role.of_memory / GIBI:g}"
    return role.name, f"{role.count} x {role.type}", f"{role.busy:.0%}", memory, role.how


def _bill(plan: Plan) -> Iterator[str]:
    yield "| a month | $ | how |"
    yield "|---|---|---|"
    for line in plan.best.bill:
        yield f"| {line.name} | {line.dollars:,.2f} | {line.why} |"
    yield f"| all | {plan.best.dollars:,.2f} | |"
    yield ""
    if plan.backfills or plan.captions:
        yield "| once | $ | how |"
        yield "|---|---|---|"
        for each in plan.backfills:
            name = f"{each.count} x {each.instance.name}, Batch on spot"
            yield f"| {each.backfill.kind}: {name} | {each.dollars:,.2f} | {each.why} |"
        for line in plan.captions:
            yield f"| {line.name}, if wanted | {line.dollars:,.2f} | {line.why} |"
        yield ""


def _others(plan: Plan) -> Iterator[str]:
    if len(plan.mixes) > 1:
        yield "| next | $ a month | p95 ms | why it loses |"
        yield "|---|---|---|---|"
        for mix in plan.mixes[1:]:
            yield f"| {mix.name} | {mix.dollars:,.0f} | {mix.p95:.0f} | {mix.loses} |"
        yield ""
    if plan.growth:
        yield "| months from now | passages | $ a month |"
        yield "|---|---|---|"
        for month, passages, dollars in plan.growth:
            yield f"| {month} | {passages:,.0f} | {dollars:,.0f} |"
        yield ""


def _rest(plan: Plan, about: Sequence[str]) -> Iterator[str]:
    yield from (f"- {line}" for line in about)
    yield from (f"- Not measured: {line}." for line in plan.estimates)
    if plan.impossible:
        some = "; ".join(plan.impossible[:3])
        yield f"- Can't do it: {some}{'; …' if len(plan.impossible) > 3 else ''}."


def plan_page(plan: Plan, about: Sequence[str]) -> str:
    """Return the plan as an HTML file with plots. Raises InputError without the extra `report`."""
    need_packages()
    from eval.report.page import draw_page
    from eval.report.parts import Section, Table, said, sentences, word

    best = plan.best
    bill = Table(
        ("a month", "$", "how"),
        tuple(
            (word(line.name), said(line.dollars, f"{line.dollars:,.2f}"), word(line.why))
            for line in best.bill
        ),
        "The bill",
        f"The largest line is {best.largest.name}.",
    )
    roles = Table(
        ("role", "machines", "busy in a burst", "memory needed, GiB", "its speed"),
        tuple(tuple(word(text) for text in _role(role)) for role in best.roles),
        "Machines",
    )
    mixes = Table(
        ("mix", "$ a month", "p50 ms", "p95 ms", "p99 ms", "holds a second", "binds", "why not"),
        tuple(
            (
                word(mix.name),
                *(
                    said(value, f"{value:,.0f}")
                    for value in (mix.dollars, mix.p50, mix.p95, mix.p99, mix.holds)
                ),
                word(mix.binds),
                word(mix.loses or "it is the cheapest"),
            )
            for mix in plan.mixes
        ),
        "The cheapest mix, and the next",
    )
    once = [f"{each.backfill.kind}: ${each.dollars:,.2f}, {each.why}" for each in plan.backfills]
    once += [f"{line.name}: ${line.dollars:,.2f}, {line.why}" for line in plan.captions]
    played = [plan.replayed] if plan.replayed else []
    sections = [
        Section(
            "Answer",
            (
                *sentences((binding(plan),), ""),
                *_nearest_table(plan),
                roles,
                bill,
                *sentences(once, "Once"),
                *sentences(played, "Played"),
            ),
        ),
        Section(
            "Mixes",
            (*((mixes,) if plan.holds else ()), *sentences(plan.impossible[:10], "Can't do it")),
        ),
        Section("Plots", tuple(_plots(plan))),
        Section("How this was made", sentences((*about, *plan.estimates), "")),
    ]
    return draw_page(headline(plan), asked(plan.demand), sections)


def _nearest_table(plan: Plan) -> Iterator[Part]:
    """Yield what would hold where nothing holds the demand."""
    from eval.report.parts import Table, word

    if not plan.nearest:
        return
    names = ("one change", "machines", "$ a month", "p95 ms", "reranked", "binds")
    cells = nearest_cells(plan)
    rows = tuple(tuple(word(text) for text in row) for row in cells)
    said = f"The machines and the bill below are those of {plan.nearest[0].change.what}."
    yield Table(names, rows, "No mix holds it as asked: what would, with one change", said)


def _plots(plan: Plan) -> Iterator[Part]:
    from eval.report.plots import Line, Point, curves

    curve = plan.best.curve
    if curve is not None:
        named = (("p50", curve.p50), ("p95", curve.p95), ("p99", curve.p99))
        lines = [
            Line(name, tuple(Point(f"{x:.1f} a second", x, y) for x, y in _pairs(curve.rates, ms)))
            for name, ms in named
        ]
        note = f"One host of {plan.best.roles[0].type}, without failures."
        yield curves(lines, ("searches a second", "ms"), "Latency against load", note=note)
    costs = [
        Line(mix.name, tuple(_costs(mix, plan.demand)), predicted=n > 0)
        for n, mix in enumerate(plan.mixes or (plan.best,))
        if mix.curve is not None
    ]
    if costs:
        note = "As many searching hosts as hold the burst with one missing; the rest as planned."
        yield curves(costs, ("p95 in ms", "$ a month"), "Cost against p95", note=note)
    if plan.growth:
        points = tuple(Point(f"month {m}", float(m), cost) for m, _, cost in plan.growth)
        line = Line("cheapest mix", points)
        yield curves([line], ("months from now", "$ a month"), "Growth over a year")


def _pairs(rates: Floats64, ms: Floats64) -> Iterator[tuple[float, float]]:
    return zip(rates.tolist(), ms.tolist(), strict=True)


def _costs(mix: Mix, demand: Demand) -> Iterator[Any]:
    """Yield what a mix costs at other targets, with other numbers of searching hosts."""
    from eval.report.plots import Point

    if mix.curve is None:
        return
    each = mix.bill[0].dollars / mix.roles[0].count
    rest = mix.dollars - mix.bill[0].dollars
    for times in _SHORT:
        rate, _ = mix.curve.most(demand.p95_ms * times)
        if rate > 0:
            count = max(2, math.ceil(demand.peak / rate) + 1)
            target = demand.p95_ms * times
            yield Point(f"{count} hosts within {target:g} ms", target, each * count + rest)
