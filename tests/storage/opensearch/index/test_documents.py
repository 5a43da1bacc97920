"""What an index is told of the time to come is what stories show when it comes."""

from __future__ import annotations

import shutil
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.items import Item, PubStatus
from core.writes import PutItem, SetStatus
from storage.embedded.record.archive import Record
from storage.opensearch.index.documents import Stretch, shown_of
from storage.record.item_rows import to_micros
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.world import HOUR, NOW, SetClock, make_item

HOURS = st.none() | st.integers(-2, 6)
STATES = st.sampled_from((PubStatus.USABLE, PubStatus.USABLE, PubStatus.CANCELED))


@st.composite
def histories(draw: st.DrawFn) -> list[Item]:
    """Versions of a few items in two stories, some of which change their story."""
    found: list[Item] = []
    for number in range(draw(st.integers(1, 10))):
        embargo, expiry = draw(HOURS), draw(HOURS)
        found.append(
            make_item(
                draw(st.sampled_from("abc")),
                number + 1,
                chain=draw(st.sampled_from(("one", "two"))),
                pubstatus=draw(STATES),
                versioncreated=NOW - draw(st.integers(0, 3)) * HOUR,
                embargoed=None if embargo is None else NOW + embargo * HOUR,
                expires=None if expiry is None else NOW + expiry * HOUR,
            )
        )
    return found


def holds(stretches: list[Stretch], moment: int) -> bool:
    return any(
        (since is None or since <= moment) and (until is None or moment < until)
        for since, until in stretches
    )


@PROPERTY
@given(histories(), st.sets(st.sampled_from("abc")))
def test_stretches_are_what_stories_will_show(items: list[Item], killed: set[str]) -> None:
    folder = new_folder()
    record = Record(folder, {}, SetClock())
    try:
        record.put([PutItem(item) for item in items])
        record.set_status([SetStatus(uri, PubStatus.WITHHELD) for uri in sorted(killed)])
        chains = [change.chain for change in record.reads.changes_after(0, 1000)]
        shown = shown_of(record.reads, chains, to_micros(NOW))
        for step in range(8):
            for tick in (timedelta(), -timedelta(microseconds=1)):
                moment = to_micros(NOW + step * HOUR + tick)
                if moment < to_micros(NOW):
                    continue
                views = dict(record.reads.all_views(moment))
                heads = {view.head: chain for chain, view in views.items() if view.head}
                held = {seq for seq, some in shown.stretches.items() if holds(some, moment)}
                assert held == set(heads)
                assert {seq: shown.chains[seq] for seq in held} == heads
        every = set(record.reads.items_by_seq(range(1, 50)))
        assert shown.hidden | set(shown.stretches) == every
        assert not shown.hidden & set(shown.stretches)
    finally:
        record.close()
        shutil.rmtree(folder)
