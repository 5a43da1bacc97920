"""What the hosts of one archive do not share by their settings."""

from __future__ import annotations

from dateline.settings import Settings


def kept_apart(settings: Settings) -> list[str]:
    """Return what this host keeps to itself, each with the setting that shares it; empty if the
    record is a file, because then there is one host.
    """
    if not settings.record.get_secret_value():
        return []
    stills = "stills of pictures and videos lie in this host's folder (media_store)"
    found = {
        "cursors are known to the process that gave them out (cursors)": (
            settings.cursors == "memory"
        ),
        "signed addresses of media are known to the process that made them (media_secret)": (
            settings.media_secret is None
        ),
        stills: not settings.media_store,
        "orders of ingests and what captions cost lie in this host's folder (work_url)": (
            settings.work_url is None
        ),
    }
    return [says for says, applies in found.items() if applies]
