"""Signatures of webhooks by the Standard Webhooks specification, version 1 (HMAC-SHA256).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a new random secret, as receivers' libraries take it."""
    return PREFIX + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, name: str, timestamp: int, body: bytes) -> str:
    """Return the signature of one message by one secret: `v1,` and base64."""
    key = b64decode(secret.removeprefix(PREFIX))
    signed = f"{name}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()


def headers(secrets_: Sequence[str], name: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message: with a signature for each secret, the newest first."""
    signatures = (signature(secret, name, timestamp, body) for secret in secrets_)
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
