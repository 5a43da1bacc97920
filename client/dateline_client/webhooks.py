"""Verifies webhooks by the Standard Webhooks specification.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping

from dateline_client.errors import SignatureError
from dateline_client.values import Entry, WebhookEvent

_PREFIX = "whsec_"


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance_s: float = 300.0,
    now: float | None = None,
) -> WebhookEvent:
    """Return the event of a webhook that was signed with `secret` within `tolerance_s` of now.
    `body` is the request's body as it came, before any parser. Raises SignatureError.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        name, stamp = lower["webhook-id"], lower["webhook-timestamp"]
        signatures = lower["webhook-signature"].split(" ")
        age = abs((time.time() if now is None else now) - int(stamp))
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (KeyError, ValueError, binascii.Error) as error:
        raise SignatureError("the headers are not those of a webhook") from error
    signed = f"{name}.{stamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    # Every one is compared, in constant time.
    if not any([hmac.compare_digest(expected.encode(), one.encode()) for one in signatures]):  # noqa: C419
        raise SignatureError("no signature was made with this secret")
    if age > tolerance_s:
        raise SignatureError(f"it was signed {age:.0f} s before or after the time of this machine")
    told = json.loads(body)
    data = told.get("data") or {}
    entry = Entry.of(data) if "item" in data else None
    return WebhookEvent(
        name, str(told.get("type", "")), str(told.get("timestamp", "")), entry, told
    )
