"""Captions: what is asked about, and who shares an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import orjson
import pytest

from core.errors import ConflictError
from core.items import PubStatus
from core.media import Caption, ToCaption, Uncaptioned
from core.work import AssetState, Stage
from core.writes import SetStatus
from indexing.captions.rights import RIGHTS
from indexing.work.remembered import caption_tree, result_key
from tests.indexing.work.world import Describer, World, look_of


@pytest.fixture
def asking(world: World) -> Describer:
    world.captioner = Describer()
    return world.captioner


def test_near_duplicates_are_asked_about_once(world: World, asking: Describer) -> None:
    assert look_of("look.1") != look_of("look.22")
    for name in ("look.1", "look.22", "look.333", "other"):
        world.write(f"{name}.jpg", f"picture {name}")
    job = world.ingest()
    assert sorted(still.jpeg for still in asking.asked) == [b"jpeg of look.1", b"jpeg of other"]
    assert world.made(job)["captioned"] == 2
    assert world.made(job)["shared"] == 2
    world.write("later.jpg", "picture look.4444")
    later = world.ingest()
    assert len(asking.asked) == 2
    assert world.made(later)["shared"] == 1
    captions = {world.writer.newest(uri).item.caption for uri in world.writer.versions}
    assert captions == {"jpeg of look.1", "jpeg of other"}


def test_shots_share_with_pictures(world: World, asking: Describer) -> None:
    world.write("a.jpg", "picture harbour.1")
    world.ingest()
    world.write("clip.mp4", "video harbour.22 street harbour.333")
    job = world.ingest()
    assert world.made(job) == {
        "decoded": 1,
        "shots": 3,
        "captioned": 1,
        "shared": 2,
        "embedded": 1,
        "written": 1,
    }


def test_nothing_is_shared_across_products(world: World, asking: Describer) -> None:
    """A caption is made with the agency's text beside it, which only its own products may see."""
    world.write("a/look.jpg", "picture look.1")
    world.ingest("sports")
    world.write("b/like.jpg", "picture look.22")
    (world.folder / "in" / "a" / "look.jpg").unlink()
    world.ingest("politics")
    assert len(asking.asked) == 2


def test_nothing_is_shared_across_rights(world: World, asking: Describer) -> None:
    world.write("a.jpg", "picture look.1")
    world.write("b.jpg", "picture look.22")
    world.write("b.json", json.dumps({"external_processing": False}))
    world.ingest()
    assert sorted(still.may_leave for still in asking.asked) == [False, True]


@pytest.mark.parametrize("look", ["look.22", "look.1"], ids=["alike", "the same still"])
@pytest.mark.parametrize("embargoed_first", [True, False])
def test_nothing_is_shared_across_embargoes(
    world: World, asking: Describer, look: str, embargoed_first: bool
) -> None:
    """A caption is made with the text beside it, which nobody may see before the embargo ends."""
    first, second = ("kept", "open") if embargoed_first else ("open", "kept")
    for name, looks in ((first, "look.1"), (second, look)):
        embargo = {"embargoed": "2999-01-01T00:00:00Z"} if name == "kept" else {}
        world.write(f"{name}.jpg", f"picture {looks}")
        world.write(f"{name}.json", json.dumps({"uri": name, "headline": name} | embargo))
        world.ingest()
    assert [still.context for still in asking.asked] == [first, second]
    world.write("late.jpg", "picture look.333")
    world.write("late.json", json.dumps({"embargoed": "2999-01-01T00:00:00Z"}))
    world.ingest()
    assert len(asking.asked) == 2  # under the same embargo


def test_a_caption_from_before_embargoes_were_looked_at_is_not_paid_for_again(
    world: World, asking: Describer
) -> None:
    world.write("a.jpg", "picture a")
    still = world.store.put(b"jpeg of a", ".jpg")
    space = sha256(orjson.dumps([asking.digest, ["wire"], "en", True])).hexdigest()
    caption = Caption("From before", asking.digest)
    world.known.put({result_key(still, "caption", space, {}): caption_tree(caption)})
    world.ingest()
    assert asking.asked == []
    (uri,) = world.writer.versions
    assert world.writer.newest(uri).item.caption == "From before"


def test_a_packet_that_can_t_be_read_forbids(world: World, asking: Describer) -> None:
    world.write("a.jpg", "picture look.1 damaged-packet")
    world.ingest()
    assert [still.may_leave for still in asking.asked] == [False]


def test_what_the_agency_describes_is_not_asked_about(world: World, asking: Describer) -> None:
    world.write("a.jpg", "picture a")
    world.write("a.json", json.dumps({"description_caption": "The ferry leaves."}))
    world.write("clip.mp4", "video one two")
    lines = [{"start": "0", "end": "4", "description": "A quay"}]
    world.write("clip.shots.json", json.dumps(lines))
    world.ingest()
    assert [still.jpeg for still in asking.asked] == [b"jpeg of two"]


def test_the_agency_s_words_go_along_as_context(world: World, asking: Describer) -> None:
    world.write("a.jpg", "picture a")
    world.write("a.json", json.dumps({"headline": "Ferry aground", "language": "de"}))
    world.ingest()
    (still,) = asking.asked
    assert "Ferry aground" in still.context
    assert still.language == "de"


def test_black_stills_are_not_asked_about(world: World, asking: Describer) -> None:
    world.write("clip.mp4", "video black one black")
    world.ingest()
    assert [still.jpeg for still in asking.asked] == [b"jpeg of one"]


def test_a_killed_picture_stays_killed_when_it_is_described_anew(
    world: World, asking: Describer
) -> None:
    world.write("a.jpg", "picture a")
    world.ingest()
    (uri,) = world.writer.versions
    world.writer.set_status([SetStatus(uri, PubStatus.CANCELED)])
    world.captioner = Describer("captioner-2")
    world.ingest()
    newest = world.writer.newest(uri).item
    assert newest.caption_by == "captioner-2"
    assert newest.pubstatus is PubStatus.CANCELED
    assert world.made(world.ingest()) == {}
    assert [still.may_leave for still in world.captioner.asked] == [False]


@pytest.mark.parametrize("how", ["canceled", "withheld", "document", "rule"])
def test_what_the_record_forbids_does_not_leave(world: World, how: str) -> None:
    """Its file says nothing of that, and was ingested when nobody described pictures."""
    for name in ("open", "kept"):
        world.write(f"{name}.jpg", f"picture {name}")
        world.write(f"{name}.json", json.dumps({"uri": name, "external_processing": True}))
    world.ingest()
    kept = world.writer.newest("kept")
    if how == "document":
        source = {**kept.item.source, "external_processing": False}
        again = replace(kept.item, version=kept.item.version + 1, source=source)
        world.writer.put([replace(kept, item=again)])
    elif how == "rule":
        world.rule = "only_allowed"
        said = {k: v for k, v in kept.item.source.items() if k != "external_processing"}
        again = replace(kept.item, version=kept.item.version + 1, source=said)
        world.writer.put([replace(kept, item=again)])
    else:
        world.writer.set_status([SetStatus("kept", PubStatus(how))])
    world.captioner = Describer()
    world.ingest()
    assert {(still.jpeg, still.may_leave) for still in world.captioner.asked} == {
        (b"jpeg of open", True),
        (b"jpeg of kept", False),
    }


class Gated(Describer):
    """A provider: what may not leave is refused."""

    def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
        answers = super().caption(stills)
        refused = Uncaptioned(RIGHTS, again=False)
        return tuple(a if s.may_leave else refused for a, s in zip(answers, stills, strict=True))


@pytest.mark.parametrize("second", ["look.22", "look.1"], ids=["alike", "the same still"])
@pytest.mark.parametrize("held", ["a", "b"])
def test_what_looks_like_a_picture_that_is_held_back_is_asked_about(
    world: World, second: str, held: str
) -> None:
    looks = {"a": "look.1", "b": second}
    for name, look in looks.items():
        withheld = {"pubstatus": "withheld"} if name == held else {}
        world.write(f"{name}.jpg", f"picture {look}")
        world.write(f"{name}.json", json.dumps({"uri": name, "headline": name} | withheld))
    world.captioner = Gated()
    world.ingest()
    (open_,) = set(looks) - {held}
    assert [s.context for s in world.captioner.asked if s.may_leave] == [open_]
    assert world.writer.newest(open_).item.caption == f"jpeg of {looks[open_]}"


@pytest.mark.parametrize("again", [True, False])
def test_what_looks_like_a_picture_without_a_caption_says_why_and_is_asked_about_later(
    world: World, asking: Describer, again: bool
) -> None:
    for name in ("look.1", "look.22", "look.333"):
        world.write(f"{name}.jpg", f"picture {name}")
    world.write("copy/look.1.jpg", "picture look.1")
    world.write("copy/look.1.json", json.dumps({"uri": "copy"}))
    asking.refusing = Uncaptioned("the provider is away", again=again)
    job = world.ingest()
    assert len(asking.asked) == 1
    assert world.jobs.remarks(job.id) == {"not described: the provider is away": 4}
    asking.refusing = None
    world.ingest()
    described = {uri for uri in world.writer.versions if world.writer.newest(uri).item.caption}
    assert len(described) == (4 if again else 2)


def test_what_it_did_not_get_to_is_left_with_every_copy(world: World) -> None:
    for name in "ab":
        world.write(f"{name}.jpg", "picture a")
        world.write(f"{name}.json", json.dumps({"uri": name}))
    assets = world.assets(world.ingest()).values()
    world.captioner = Describer()
    asking = world.asking()
    assert asking is not None
    ready = [prepared for asset in assets if (prepared := world.preparing().prepare(asset))]
    assert asking.ask(ready, lambda: True).left == {asset.id for asset in assets}
    assert len(assets) == 2


def test_what_is_killed_while_others_are_described_does_not_leave(world: World) -> None:
    """The record is asked before each call, not once for a chunk."""
    for name in "ab":
        world.write(f"{name}.jpg", f"picture {name}")
        world.write(f"{name}.json", json.dumps({"uri": name}))
    world.ingest()

    class Killing(Describer):
        def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
            world.writer.set_status([SetStatus("b", PubStatus.CANCELED)])
            return super().caption(stills)

    world.captioner, world.at_once = Killing(), 1
    world.ingest()
    assert [still.may_leave for still in world.captioner.asked] == [True, False]


def test_a_dated_document_with_other_content_is_a_conflict(world: World) -> None:
    world.write("a.jpg", "picture a")
    world.write("a.json", json.dumps({"version": 3, "headline": "One"}))
    world.ingest()
    world.write("a.json", json.dumps({"version": 3, "headline": "Another"}))
    job = world.ingest()
    asset = world.assets(job)["a.jpg"]
    assert (asset.state, asset.stage) == (AssetState.DEAD, Stage.APPLY)
    assert "higher version" in asset.cause
    assert ConflictError.code == "conflict"
    world.write("a.json", json.dumps({"version": 2, "headline": "Older"}))
    older = world.ingest()
    assert world.assets(older)["a.jpg"].state is AssetState.DONE
    assert "older than the recorded" in world.assets(older)["a.jpg"].cause
    (versions,) = world.writer.versions.values()
    assert versions[max(versions)].item.headline == "One"


def test_hashes_of_one_name_differ_by_a_few_bits_only() -> None:
    """The tests above mean near-duplicates, not the same hash."""
    first, second = (
        np.frombuffer(bytes.fromhex(look_of(name)), np.uint8) for name in ("look.1", "look.333")
    )
    apart = int(np.bitwise_count(first ^ second).sum())
    assert 0 < apart <= 31


def test_a_shared_caption_names_whom_the_items_own_text_names(
    world: World, asking: Describer
) -> None:
    """Of a picture with another text the caption may be the same, the name in it is made up."""
    for name, uri, headline in (("Ana.1", "named", "Ana smiles"), ("Ana.22", "not", "A smile")):
        world.write(f"{name}.jpg", f"picture {name}")
        world.write(f"{name}.json", json.dumps({"uri": uri, "headline": headline}))
    world.ingest()
    assert len(asking.asked) == 1
    captions = {uri: world.writer.newest(uri).item.caption for uri in world.writer.versions}
    assert {uri: text.partition(".")[0] for uri, text in captions.items()} == {
        "named": "jpeg of Ana",
        "not": "jpeg of …",
    }


@pytest.mark.parametrize("version", [{}, {"version": 3}], ids=["undated", "dated"])
def test_what_was_recorded_with_a_made_up_name_is_not_refused(
    world: World, asking: Describer, version: dict[str, int]
) -> None:
    """An archive of before: the name is in the record, and left out of what is read of it."""
    world.write("Ana.jpg", "picture Ana")
    world.write("Ana.json", json.dumps({"uri": "a", **version}))
    world.ingest()
    write = world.writer.newest("a")
    assert write.item.caption == "jpeg of …"
    recorded = replace(write, item=replace(write.item, caption="jpeg of Ana"))
    world.writer.versions["a"][write.item.version] = recorded
    read = replace(recorded.item, caption="jpeg of …")
    world.newest = lambda uris: tuple(read for _ in uris)  # type: ignore[method-assign]
    job = world.ingest()
    assert [asset.state for asset in world.assets(job).values()] == [AssetState.DONE]
    assert world.writer.newest("a") == recorded
