"""Media over HTTP: the key or a signature, ranges, what is hidden at once, and nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.access.keys import KeyRing
from api.content import media_routes
from api.content.byte_ranges import asked_range
from api.content.media_links import LIFETIME_SECONDS, MediaSigner
from api.contract import ResultMeta
from api.problems import RangeError
from core.errors import NotFoundError
from core.items import Item, MediaFile, PubStatus
from core.media_words import MEDIA_WORDS, Look, SeenText, Utterance
from core.writes import SetStatus
from storage.media.originals import ServedMedia
from tests.api.conftest import OTHER, READ
from tests.api.media_archive import (
    BY,
    PHOTO,
    VIDEO,
    MediaArchive,
    asking,
    media_archive,
    photo,
    put,
    still,
    video,
)
from tests.search.room import START

RENDITIONS = ("thumbnail", "preview", "original", "shot-1", "shot-3")


@pytest.fixture
def archive(folder: Path) -> Iterator[MediaArchive]:
    with media_archive(folder) as made:
        yield made


@pytest.fixture
def client(archive: MediaArchive) -> Iterator[TestClient]:
    with asking(archive) as asked:
        yield asked


def address(rendition: str, uri: str = VIDEO) -> str:
    return f"/v1/media/{rendition}/{quote(uri, safe='')}"


def with_key(client: TestClient, rendition: str, uri: str = VIDEO, **headers: str) -> Any:
    return client.get(address(rendition, uri), headers={"x-api-key": READ, **headers})


def hits(client: TestClient, **params: str) -> dict[str, dict[str, Any]]:
    answer = client.get("/content/search", params=params, headers={"x-api-key": READ})
    assert answer.status_code == 200, answer.text
    return {hit["item"]["uri"]: hit for hit in answer.json()["data"]["items"]}


# Answers


def test_a_hit_opens_at_the_shot_that_has_the_words(client: TestClient) -> None:
    hit = hits(client, q="ferry leaves")[VIDEO]
    ResultMeta.model_validate(hit["meta"])
    shot = hit["meta"]["shot"]
    assert (shot["number"], shot["start_s"], shot["end_s"]) == (2, 4.0, 8.0)
    assert shot["timecode"] == "00:00:04.000–00:00:08.000"
    assert "made_by" not in shot
    assert hit["meta"]["passage"].replace("\ue000", "").replace("\ue001", "") == (
        "The ferry leaves the quay"
    )
    assert [one["number"] for one in hit["meta"]["film_strip"]] == [1, 2, 3]
    assert client.get(shot["thumbnail"]).content == still("teal")


def test_a_machines_words_are_marked_with_its_name_wherever_they_are(client: TestClient) -> None:
    hit = hits(client, q="dogs beach")[PHOTO]
    assert hit["item"]["machine_caption"] == {"text": "Two dogs running on a beach", "made_by": BY}
    assert "description_caption" not in hit["item"]
    assert "\ue000dogs\ue001" in hit["meta"]["highlights"]["machine_caption"]
    strip = hits(client, q="gull")[VIDEO]["meta"]
    assert (strip["shot"]["number"], strip["shot"]["made_by"]) == (3, BY)
    assert [one.get("made_by") for one in strip["film_strip"]] == [None, None, BY]


def test_words_found_in_media_are_in_the_whole_item_with_their_makers(
    archive: MediaArchive, client: TestClient
) -> None:
    found = {
        "speech": (Utterance(1.5, 2.0, "Thank you", ((1.5, 2.0, "Thank"),), "en"),),
        "seen": (SeenText("PIER 4", (0.1, 0.25, 0.5, 0.125), 2.0, 0.75),),
        "seen_by": "reader-1",
        "looks": (Look("lakeside", 0.5, 2.0),),
        "looks_by": "classes-1",
    }
    forged = {name: {"lines": [{"text": "forged"}]} for name in MEDIA_WORDS}
    item = photo(archive.files, archive.originals / "c.jpg", version=3, source=forged, **found)
    put(archive.room, item)
    assert not {*MEDIA_WORDS} & hits(client, q="dogs")[PHOTO]["item"].keys()
    chosen = hits(client, q="dogs", include="uri,seen")[PHOTO]["item"]
    whole = client.get(f"/content/{quote(PHOTO, safe='')}", headers={"x-api-key": READ})
    told = whole.json()["data"]["item"]
    assert {name: told[name] for name in MEDIA_WORDS} == {
        "speech": {
            "lines": [{"start_s": 1.5, "end_s": 2.0, "text": "Thank you", "language": "en"}]
        },
        "seen": {
            "made_by": "reader-1",
            "lines": [
                {"at_s": 2.0, "text": "PIER 4", "box": [0.1, 0.25, 0.5, 0.125], "score": 0.75}
            ],
        },
        "looks": {
            "made_by": "classes-1",
            "lines": [{"at_s": 2.0, "text": "lakeside", "probability": 0.5}],
        },
    }
    assert chosen == {"uri": PHOTO, "seen": told["seen"]}


def test_a_hit_says_at_which_second_it_opens_and_who_found_it(
    archive: MediaArchive, client: TestClient
) -> None:
    said = (Utterance(1.5, 3.0, "Thank you"), Utterance(5.25, 6.5, "Good night"))
    path = archive.originals / "ferry.mp4"
    film = video(archive.files, path, archive.film, version=2, speech=said, speech_by="ear-1")
    put(archive.room, film)
    meta = hits(client, q='"good night"')[VIDEO]["meta"]
    ResultMeta.model_validate(meta)
    assert meta["opens_at"] == {
        "second": 5.25,
        "timecode": "00:00:05.250",
        "field": "speech",
        "text": "Good night",
        "shot": 2,
        "made_by": "ear-1",
    }
    assert (meta["shot"]["number"], meta["shot"]["start_s"]) == (2, 4.0)
    assert meta["found_in"] == [{"field": "speech", "made_by": "ear-1"}]
    assert meta["highlights"]["speech"] == "\ue000Good\ue001 \ue000night\ue001"
    gull = hits(client, q="gull")[VIDEO]["meta"]
    assert gull["found_in"] == [{"field": "machine", "made_by": BY}]
    assert (gull["opens_at"]["field"], gull["opens_at"]["second"]) == ("shots", 8.0)


def test_types_are_counted_over_all_kinds(client: TestClient) -> None:
    answer = client.get(
        "/content/search", params={"facets": "type"}, headers={"x-api-key": READ}
    ).json()["data"]
    counts = {entry["value"]: entry["count"] for entry in answer["facets"]["type"]}
    assert counts == {"picture": 1, "video": 1}


def test_renditions_are_in_aps_terms_and_each_address_answers(client: TestClient) -> None:
    item = hits(client, q="ferry")[VIDEO]["item"]
    assert {name: entry["rel"] for name, entry in item["renditions"].items()} == {
        "thumbnail": "Thumbnail",
        "preview": "Preview",
        "main": "Main",
    }
    main = item["renditions"]["main"]
    assert (main["mimetype"], main["duration"], main["type"]) == ("video/mp4", 12_000, "video")
    for entry in item["renditions"].values():
        assert client.get(entry["href"]).status_code == 200


def test_a_documents_own_renditions_stay_beside_ours(
    archive: MediaArchive, client: TestClient
) -> None:
    source = {
        "renditions": [{"name": "print", "href": "https://x.example/1"}],
        "machine_caption": "forged",
    }
    put(archive.room, photo(archive.files, archive.originals / "b.jpg", version=2, source=source))
    hit = hits(client, q="dogs")[PHOTO]["item"]
    assert {"print", "thumbnail", "main"} <= set(hit["renditions"])
    assert hit["machine_caption"]["made_by"] == BY


def test_the_whole_item_lists_every_shot_and_never_the_files_place(client: TestClient) -> None:
    answer = client.get(
        f"/content/{quote(VIDEO, safe='')}", params={"versions": "all"}, headers={"x-api-key": READ}
    )
    item = answer.json()["data"]["item"]
    assert [shot["description"] for shot in item["shots"]] == [
        "A wide shot of the harbour",
        "The ferry leaves the quay",
        "A gull",
    ]
    assert "originals" not in answer.text
    assert "location" not in item


# Ranges


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-99999999", 5, None),
        ("bytes=-10", -10, None),
        ("bytes=300000-", 300_000, None),
    ],
)
def test_a_range_is_answered_with_that_part(
    archive: MediaArchive, client: TestClient, asked: str, start: int, end: int | None
) -> None:
    answer = with_key(client, "original", range=asked)
    assert answer.status_code == 206
    assert answer.content == archive.film[start:end]
    size = len(archive.film)
    first = start % size
    assert (
        answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{size}"
    )
    assert answer.headers["content-type"] == "video/mp4"


def test_without_a_range_it_is_whole_and_says_that_ranges_can_be_asked(
    archive: MediaArchive, client: TestClient
) -> None:
    answer = with_key(client, "original")
    assert (answer.status_code, answer.content) == (200, archive.film)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-cache" in answer.headers["cache-control"]
    head = client.head(address("original"), headers={"x-api-key": READ})
    assert (head.content, head.headers["content-length"]) == (b"", str(len(archive.film)))


@pytest.mark.parametrize(
    "asked", ["bytes=700000-", "bytes=5-3", "bytes=-", "bytes=-0", "bytes=0-1,5-6", "bytes=a-b"]
)
def test_what_can_not_be_served_is_416(
    archive: MediaArchive, client: TestClient, asked: str
) -> None:
    answer = with_key(client, "original", range=asked)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(archive.film)}"
    assert answer.json()["error"]["code"] == "range_not_satisfiable"


def test_another_unit_is_no_range(archive: MediaArchive, client: TestClient) -> None:
    assert with_key(client, "original", range="seconds=1-2").content == archive.film


def test_a_changed_file_is_sent_whole_and_an_unchanged_one_not_at_all(
    archive: MediaArchive, client: TestClient
) -> None:
    etag = with_key(client, "original").headers["etag"]
    part = {"range": "bytes=0-9"}
    assert with_key(client, "original", **part, **{"if-range": etag}).content == archive.film[:10]
    for other in ('"old"', "Tue, 05 Mar 2024 07:30:00 GMT", f"W/{etag}"):
        answer = with_key(client, "original", **part, **{"if-range": other})
        assert (answer.status_code, answer.content) == (200, archive.film)
    for known in (etag, f'"a", W/{etag}', "*"):
        answer = with_key(client, "original", **{"if-none-match": known})
        assert (answer.status_code, answer.content) == (304, b"")


@given(st.text("bytes=0123456789-, ", max_size=24), st.integers(0, 2000))
def test_any_header_is_a_part_of_the_file_or_refused(header: str, size: int) -> None:
    try:
        part = asked_range(header, size)
    except RangeError:
        return
    assert 0 <= part.start <= part.end <= size
    assert part.partial or part.length == size
    assert not part.partial or part.length > 0


# Who may see it


def test_without_key_or_signature_there_is_nothing(client: TestClient) -> None:
    for rendition in RENDITIONS:
        assert client.get(address(rendition)).status_code == 401
        wrong = {"x-api-key": "wrong"}
        assert client.get(address(rendition), headers=wrong).status_code == 401


def test_another_plan_sees_no_more_than_of_what_never_was(client: TestClient) -> None:
    for rendition in RENDITIONS:
        told = client.get(address(rendition), headers={"x-api-key": OTHER})
        never = client.get(address(rendition, "urn:never"), headers={"x-api-key": OTHER})
        assert told.status_code == never.status_code == 404
        ours, theirs = (a.json()["error"]["message"] for a in (told, never))
        assert ours.replace(VIDEO, "") == theirs.replace("urn:never", "")


CHANGES: list[Callable[[MediaArchive], object]] = [
    lambda a: a.room.kill(VIDEO),
    lambda a: a.room.engine.set_status([SetStatus(VIDEO, PubStatus.WITHHELD)]),
    lambda a: a.room.engine.set_status([SetStatus(VIDEO, embargoed=START + timedelta(days=1))]),
]


@pytest.mark.parametrize("hide", CHANGES)
def test_what_is_hidden_is_gone_from_every_address_at_once(
    archive: MediaArchive, client: TestClient, hide: Callable[[MediaArchive], object]
) -> None:
    hit = hits(client, q="ferry")[VIDEO]
    signed = [entry["href"] for entry in hit["item"]["renditions"].values()]
    signed += [shot["thumbnail"] for shot in hit["meta"]["film_strip"]]
    etag = with_key(client, "original").headers["etag"]
    assert {client.get(one).status_code for one in signed} == {200}
    hide(archive)
    assert {client.get(one).status_code for one in signed} == {404}
    for rendition in RENDITIONS:
        headers = {"range": "bytes=0-1", "if-none-match": etag}
        assert with_key(client, rendition, **headers).status_code == 404
    assert VIDEO not in hits(client, q="ferry")


def test_an_embargo_that_lifts_brings_it_back(archive: MediaArchive, client: TestClient) -> None:
    until = START + timedelta(hours=1)
    archive.room.engine.set_status([SetStatus(VIDEO, embargoed=until)])
    assert with_key(client, "thumbnail").status_code == 404
    archive.room.now = until
    assert with_key(client, "thumbnail").status_code == 200


def test_a_newer_version_takes_its_predecessors_picture_away(
    archive: MediaArchive, client: TestClient
) -> None:
    before = with_key(client, "thumbnail", PHOTO)
    newer = photo(archive.files, archive.originals / "b.jpg", version=2)
    assert newer.media is not None
    other = replace(newer.media, thumbnail=archive.files.stills.put(still("pink"), ".jpg"))
    put(archive.room, replace(newer, media=other))
    known = {"if-none-match": before.headers["etag"]}
    after = with_key(client, "thumbnail", PHOTO, **known)
    assert (after.status_code, after.content) == (200, still("pink"))


@dataclass
class KillingFile:
    """Media whose file has the item killed as soon as some of it was read."""

    archive: MediaArchive

    def still(self, name: str) -> BinaryIO:
        return self.archive.files.still(name)

    def has_original(self, location: str) -> bool:
        return self.archive.files.has_original(location)

    def original(self, media: MediaFile) -> BinaryIO:
        stream: Any = self.archive.files.original(media)
        read = stream.read
        room = self.archive.room

        class Reading:
            seek, close = stream.seek, stream.close

            def read(self, size: int) -> bytes:
                data: bytes = read(size)
                room.kill(VIDEO)
                return data

        return Reading()  # type: ignore[return-value]


def test_a_film_that_is_killed_while_it_is_sent_stops(
    archive: MediaArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_routes, "LOOK_AGAIN_SECONDS", 0.0)
    with asking(archive, media=KillingFile(archive)) as client:
        answer = with_key(client, "original")
    assert len(answer.content) == media_routes.CHUNK_BYTES < len(archive.film)


# Signatures


def test_a_signature_is_for_one_rendition_of_one_item_by_one_key(
    archive: MediaArchive, client: TestClient
) -> None:
    href = hits(client, q="ferry")[VIDEO]["item"]["renditions"]["thumbnail"]["href"]
    parts = urlsplit(href)
    query = dict(parse_qsl(parts.query))
    assert client.get(href).status_code == 200
    for name, other in {
        "expires": str(int(query["expires"]) + 1),
        "for": query["for"][::-1],
        "signature": query["signature"][::-1],
    }.items():
        forged = urlencode({**query, name: other})
        assert client.get(f"{parts.path}?{forged}").status_code == 401
        missing = urlencode({n: v for n, v in query.items() if n != name})
        assert client.get(f"{parts.path}?{missing}").status_code == 401
    for path in (address("preview"), address("shot-1"), address("thumbnail", PHOTO)):
        assert client.get(f"{path}?{parts.query}").status_code == 401
    assert READ not in href
    with asking(archive, secret="another") as elsewhere:
        assert elsewhere.get(href).status_code == 401


def test_a_signature_ends_and_a_key_takes_its_signatures_with_it(archive: MediaArchive) -> None:
    app = archive.app()
    signer: MediaSigner = app.state.surface.signer
    keys: KeyRing = app.state.surface.services.keys
    now = [1_000_000.0]
    timed = replace(signer, clock=lambda: now[0])
    href = timed.links(READ).of(VIDEO, "thumbnail")
    assert timed.links(READ).of(VIDEO, "thumbnail") == href, "the browser may keep it"
    query = dict(parse_qsl(urlsplit(href).query))
    caller = timed.caller(keys, VIDEO, "thumbnail", query)
    assert caller is not None
    assert caller.name == "Morning Post"
    now[0] += LIFETIME_SECONDS - 1
    assert timed.caller(keys, VIDEO, "thumbnail", query) is not None
    now[0] += 1200
    assert timed.caller(keys, VIDEO, "thumbnail", query) is None
    now[0] = 1_000_000.0
    revoked = replace(keys, entries=keys.entries[1:])
    assert timed.caller(revoked, VIDEO, "thumbnail", query) is None


# Files


@pytest.mark.parametrize(
    "rendition",
    ["shot-0", "shot-4", "shot-01", "shot--1", "shot-99999999999", "shot-", "Original", "..", "x"],
)
def test_no_other_rendition_is_there(client: TestClient, rendition: str) -> None:
    assert with_key(client, rendition).status_code == 404


def test_a_store_without_the_still_is_a_404(archive: MediaArchive, client: TestClient) -> None:
    item = photo(archive.files, archive.originals / "b.jpg", version=2)
    assert item.media is not None
    for thumbnail in ("ab" * 32 + ".jpg", "../../../etc/passwd", ""):
        item = replace(
            item, version=item.version + 1, media=replace(item.media, thumbnail=thumbnail)
        )
        put(archive.room, item)
        assert with_key(client, "thumbnail", PHOTO).status_code == 404


def original_of(archive: MediaArchive, location: str, size: int) -> bytes | None:
    served = ServedMedia(archive.files.stills, lambda: (str(archive.originals), "s3://bucket/wire"))
    try:
        stream = served.original(MediaFile(location, "ab" * 32, "image/jpeg", size))
    except NotFoundError as error:
        told = str(error)
    else:
        with stream:
            return stream.read()
    assert str(archive.originals) not in told
    return None


def test_no_path_leads_out_of_the_roots(archive: MediaArchive, folder: Path) -> None:
    inside = archive.originals / "in.jpg"
    inside.write_bytes(b"inside")
    secret = folder / "secret.jpg"
    secret.write_bytes(b"secret")
    beside = folder / "originals-other"
    beside.mkdir()
    (beside / "a.jpg").write_bytes(b"secret")
    (archive.originals / "link.jpg").symlink_to(secret)
    (archive.originals / "folder").symlink_to(folder)
    os.mkfifo(archive.originals / "pipe.jpg")
    assert original_of(archive, str(inside), 6) == b"inside"
    for location in (
        str(secret),
        f"{archive.originals}/../secret.jpg",
        f"{archive.originals}/%2e%2e/secret.jpg",
        f"{archive.originals}/link.jpg",
        f"{archive.originals}/folder/secret.jpg",
        f"{archive.originals}/pipe.jpg",
        f"{beside}/a.jpg",
        str(archive.originals),
        f"{archive.originals}/",
        f"file://{inside}",
        f"s3://bucket/wire/../{inside}",
        "s3://other/a.jpg",
        "http://127.0.0.1/a.jpg",
        "",
        "\0",
    ):
        assert original_of(archive, location, 6) is None, location


def test_an_original_in_a_store_is_served_in_parts(archive: MediaArchive) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe_file("/wire/ferry.mp4", archive.film)
    (item,) = archive.room.engine.newest([VIDEO])
    assert item is not None
    assert item.media is not None
    there = replace(item.media, location="memory://wire/ferry.mp4")
    put(archive.room, replace(item, version=2, media=there))
    for place, status in (("memory://wire", 206), ("memory://wir", 404), ("memory://other", 404)):
        served = ServedMedia(archive.files.stills, partial(tuple, [place]))
        with asking(archive, media=served) as client:
            answer = with_key(client, "original", range="bytes=500-999")
        assert answer.status_code == status
        assert status == 404 or answer.content == archive.film[500:1000]


def test_a_file_that_is_not_the_one_that_was_ingested_is_not_served(
    archive: MediaArchive, client: TestClient
) -> None:
    path = archive.originals / "ferry.mp4"
    path.write_bytes(archive.film + b"more")
    assert with_key(client, "original").status_code == 404
    path.unlink()
    assert with_key(client, "original").status_code == 404
    assert with_key(client, "thumbnail").status_code == 200


def test_without_roots_no_original_is_served_or_told_of(archive: MediaArchive) -> None:
    with asking(archive, media=ServedMedia(archive.files.stills)) as client:
        assert set(hits(client, q="ferry")[VIDEO]["item"]["renditions"]) == {"thumbnail", "preview"}
        assert with_key(client, "original").status_code == 404


@pytest.mark.parametrize(
    ("mimetype", "shown"),
    [
        ("image/jpeg", True),
        ("video/webm", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("application/mxf", False),
        ("text/html\r\nx-evil: 1", False),
    ],
)
def test_what_a_browser_could_run_is_handed_over_as_a_file(
    archive: MediaArchive, client: TestClient, mimetype: str, shown: bool
) -> None:
    item: Item = photo(archive.files, archive.originals / "b.jpg", version=2)
    assert item.media is not None
    put(archive.room, replace(item, media=replace(item.media, mimetype=mimetype)))
    answer = with_key(client, "original", PHOTO)
    assert answer.status_code == 200
    assert ("content-disposition" not in answer.headers) == shown
    assert re.fullmatch(r"[\w.+/-]+", answer.headers["content-type"])
    assert "x-evil" not in answer.headers
