"""The keys in force, or those of the demo if there are none."""

import hashlib
import secrets
from collections.abc import Sequence
from itertools import combinations

from pydantic import SecretStr

from api.access.keys import AccountKeys, KeyRing
from core.callers import EVERY_PRODUCT, Caller
from core.errors import SettingsError
from core.limits import Share
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_PRODUCTS, DEMO_READ_KEY
from dateline.settings import KeySetting, Settings


def key_ring(
    settings: Settings, accounts: AccountKeys | None = None, *, has_more: bool = False
) -> KeyRing:
    """Return the keys in force, with those of `accounts`. Raises SettingsError if there are none,
    because such a service would refuse everybody, and for a key whose rights make no sense. The
    demo's keys are only for its service on this machine. `has_more` says that accounts have keys.
    """
    if settings.keys or (has_more and not settings.demo):
        _check_reserves(settings.keys)
        entries = tuple(_key_entry(key, settings) for key in settings.keys)
        return KeyRing(entries, accounts=accounts)
    if not (settings.demo and settings.on_loopback):
        raise SettingsError(
            "no keys are configured",
            where="keys",
            mend="set keys in dateline.toml or DATELINE_KEYS, as docs/operating.md shows, create "
            "one by `dateline accounts key create`, or try the demo's with --demo on 127.0.0.1",
        )
    demo = frozenset(DEMO_PRODUCTS)
    share = Share(settings.key_rate, settings.key_concurrency)
    return KeyRing.of(
        {
            DEMO_READ_KEY: Caller("demo reader", demo, share=share),
            DEMO_INGEST_KEY: Caller(
                "demo desk",
                demo,
                writes=demo,
                may_inspect=True,
                may_use_models=True,
                share=share,
            ),
        },
        local_only=True,
        accounts=accounts,
    )


def _key_entry(key: KeySetting, settings: Settings) -> tuple[bytes, Caller]:
    if key.sha256:
        digest = bytes.fromhex(key.sha256)
    elif key.key:  # an empty key would admit requests without one
        digest = hashlib.sha256(key.key.get_secret_value().encode()).digest()
    else:
        raise SettingsError(f"key {key.name!r} has neither key nor sha256", where="keys")
    others = (other for other in settings.keys if other.name != key.name)
    return digest, Caller(
        key.name,
        frozenset(key.products),
        writes=_writes(key),
        reserved=tuple(prefix for other in others for prefix in other.reserves),
        may_inspect=key.inspect,
        may_use_models=key.models,
        may_administer=key.administer,
        share=Share(key.rate or settings.key_rate, key.concurrency or settings.key_concurrency),
    )


def _writes(key: KeySetting) -> frozenset[str]:
    """Return the product codes that the key may write. Raises SettingsError if it may write, but no
    product.
    """
    if key.write is False:
        return frozenset()
    if key.write is True:
        codes, mend = key.products, 'give it products to read, or name them: write = ["news"]'
    else:
        codes, mend = key.write, 'name product codes, or every item by write = ["*"]'
        if "*" in codes:
            return EVERY_PRODUCT
    if not codes or any(code.strip() in ("", "*") for code in codes):
        raise SettingsError(f"key {key.name!r} is to write, but nothing", where="keys", mend=mend)
    return frozenset(codes)


def _check_reserves(keys: Sequence[KeySetting]) -> None:
    """Raise SettingsError unless each reserved uri prefix belongs to one owner, whose keys (an old
    and a new one, for example) share it.
    """
    owners = [(prefix, key) for key in keys for prefix in key.reserves]
    for prefix, key in owners:
        if not prefix.strip() or key.write is False:
            raise SettingsError(
                f"key {key.name!r} reserves uris that begin with {prefix!r}",
                where="keys",
                mend="name a prefix such as urn:desk: for a key that may write",
            )
    for (prefix, key), (other, its) in combinations(owners, 2):
        if key.name != its.name and (prefix.startswith(other) or other.startswith(prefix)):
            raise SettingsError(
                f"keys {key.name!r} and {its.name!r} reserve the same uris: {prefix!r}, {other!r}",
                where="keys",
                mend="give each prefix to one of them",
            )


def with_media_secret(settings: Settings) -> Settings:
    """Return the settings with a secret for addresses of media, shared by all processes."""
    if settings.media_secret is not None:
        return settings
    return settings.model_copy(update={"media_secret": SecretStr(secrets.token_urlsafe(32))})
