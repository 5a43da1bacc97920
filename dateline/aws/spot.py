"""The warning that a spot instance gets two minutes before it is taken away.

The instance's metadata service is asked every few seconds (IMDSv2: a token, then the question). It
answers 404 as long as nothing is planned. A container that sits one hop further away reaches it
only with `HttpPutResponseHopLimit` 2, which our launch template sets.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import httpx
import orjson

METADATA = "http://169.254.169.254"
EVERY_S = 5.0
_TOKEN_S = 21_600
_WAIT_S = 2.0
log = logging.getLogger(__name__)


def metadata_address() -> str:
    """Return the metadata service's address, which AWS's own variable may change."""
    return (os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or METADATA).rstrip("/")


class SpotWatch:
    """Asks for the warning in a thread, and calls `warned` once with what will be done and when."""

    def __init__(
        self, warned: Callable[[str], object], *, url: str = "", every_s: float = EVERY_S
    ) -> None:
        self._warned = warned
        self._every_s = every_s
        self._token = ""
        self._silent = False
        self._closed = threading.Event()
        # No proxy: a proxy would tell of its own instance.
        self._client = httpx.Client(
            base_url=url or metadata_address(), timeout=_WAIT_S, trust_env=False
        )
        self._thread = threading.Thread(target=self._watch, name="spot", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()
        self._client.close()

    def _watch(self) -> None:
        while not self._closed.is_set():
            warning = self._warning()
            if warning:
                self._warned(warning)
                return
            self._closed.wait(self._every_s)

    def _warning(self) -> str:
        """Return what is planned, "" for nothing or if the service can't be asked."""
        try:
            answer = self._asked()
            if answer.status_code == 401:  # the token has ended
                self._token = ""
                answer = self._asked()
        except httpx.HTTPError as error:
            if not self._silent:
                log.warning("no metadata service answers: %s", type(error).__name__)
            self._silent = True
            return ""
        if answer.status_code != 200:
            return ""
        try:
            plan: Any = orjson.loads(answer.content)
            return f"{plan['action']} at {plan['time']}"[:100]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return "the instance will be taken away"

    def _asked(self) -> httpx.Response:
        if not self._token:
            ttl = {"x-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_S)}
            given = self._client.put("/latest/api/token", headers=ttl)
            given.raise_for_status()
            self._token = given.text
        headers = {"x-aws-ec2-metadata-token": self._token}
        return self._client.get("/latest/meta-data/spot/instance-action", headers=headers)
