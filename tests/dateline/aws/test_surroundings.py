"""Parts of a Batch array, and records that would lie on a disk that does not last."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InputError, SettingsError
from dateline.aws.surroundings import need_lasting, part_of
from dateline.build.media.desk import open_desk
from dateline.build.record import open_record
from dateline.build.service import archive_clock
from dateline.settings import Settings
from indexing.work.request import Shard

INDEX, SIZE = "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"


def test_an_index_from_0_is_a_part_from_1() -> None:
    parts = [part_of("array", {INDEX: str(n), SIZE: "8"}) for n in range(8)]
    assert parts == [Shard(n, 8) for n in range(1, 9)]
    names = [f"s3://bucket/{n}.jpg" for n in range(200)]
    assert all(sum(part.has(name) for part in parts) == 1 for name in names)
    assert part_of("3/16", {INDEX: "0", SIZE: "8"}) == Shard(3, 16)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {INDEX: "0"},
        {INDEX: "8", SIZE: "8"},
        {INDEX: "-1", SIZE: "8"},
        {INDEX: "0", SIZE: "0"},
        {INDEX: "one", SIZE: "8"},
    ],
)
def test_a_part_out_of_range_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(InputError):
        part_of("array", told)


@pytest.mark.parametrize("text", ["0/8", "9/8", "1/0", "8"])
def test_numbers_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        part_of(text, {})


@pytest.mark.parametrize("variable", ["AWS_BATCH_JOB_ID", "AWS_LAMBDA_FUNCTION_NAME"])
def test_a_record_on_the_local_disk_is_refused(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path / "data")
    need_lasting("record", {})
    monkeypatch.setenv(variable, "x")
    with pytest.raises(SettingsError) as refused:
        open_record(settings, {}, archive_clock(settings))
    assert refused.value.where == "record"
    with pytest.raises(SettingsError) as refused:
        open_desk(settings)
    assert refused.value.where == "work_url"
    assert not (tmp_path / "data" / "orders.sqlite").exists()
