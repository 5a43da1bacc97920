"""Times in the form that people write."""

from __future__ import annotations


def timecode(seconds: float) -> str:
    """Return `00:01:02.345`: hours, minutes, seconds and thousandths from the first
    frame.

    Unlike SMPTE 12M's it has no frame number: rates vary, and times are presentation times.
    """
    thousandths = round(max(0.0, seconds) * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{thousandths // 1000:02}.{thousandths % 1000:03}"
