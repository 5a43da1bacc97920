"""What this process's surroundings say: a job of a Batch array, and a disk that goes with it.

https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from core.errors import InputError, SettingsError
from indexing.work.request import Shard, shard_of

ARRAY = "array"  # in place of a part's numbers
_INDEX, _SIZE = "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"
_PASSING = {"AWS_BATCH_JOB_ID": "AWS Batch", "AWS_LAMBDA_FUNCTION_NAME": "AWS Lambda"}


def part_of(text: str, told: Mapping[str, str] = os.environ) -> Shard:
    """Return the part that `i/n` names, or for `array` the part of this job of a Batch array, whose
    index begins at 0. Raises InputError.
    """
    if text != ARRAY:
        return shard_of(text)
    index, size = told.get(_INDEX, ""), told.get(_SIZE, "")
    if not (index.isdecimal() and size.isdecimal()):
        raise InputError(
            "this process is no job of a Batch array",
            where=f"{_INDEX}={index!r}, {_SIZE}={size!r}",
            mend="submit it with arrayProperties, or name the part: --shard 3/16",
        )
    if not int(index) < int(size):
        raise InputError(
            f"an array of {int(size)} has no job {int(index)}",
            where=_INDEX,
            mend=f"0 to {int(size) - 1}" if int(size) else "submit it with a size",
        )
    return shard_of(f"{int(index) + 1}/{int(size)}")


def need_lasting(where: str, told: Mapping[str, str] = os.environ) -> None:
    """Raise SettingsError in Batch and Lambda: what is kept by the setting `where` would lie on a
    disk that goes with the job or the function.
    """
    for variable, service in _PASSING.items():
        if told.get(variable):
            mend = "set record and work_url to postgresql://..., and media_store to s3://..."
            raise SettingsError(f"{service} keeps no local disk", where=where, mend=mend)
