"""Digests by which long texts are found in tables."""

from __future__ import annotations

import hashlib


def key_of(text: str) -> bytes:
    """Return the digest by which a uri or a story is found: 16 bytes of BLAKE2b. An index on the
    text itself would limit its length.
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
