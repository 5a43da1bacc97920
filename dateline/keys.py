"""Who may ask: the keys in force, and the demo's where there are none."""

import hashlib

from api.keys import KeyRing
from core.callers import Caller
from core.errors import SettingsError
from dateline.demo import DEMO_INGEST_KEY, DEMO_PRODUCTS, DEMO_READ_KEY
from dateline.settings import KeySetting, Settings


def key_ring(settings: Settings) -> KeyRing:
    """The keys in force. Raises SettingsError where the service would be open to a network
    without any.
    """
    if settings.keys:
        return KeyRing(tuple(_key_entry(key) for key in settings.keys))
    if not settings.on_loopback:
        raise SettingsError(
            f"no keys are configured and {settings.host} can be reached by others",
            where="keys",
            mend="set DATELINE_KEYS, or serve on 127.0.0.1",
        )
    return KeyRing.of(
        {
            DEMO_READ_KEY: Caller("demo reader", frozenset(DEMO_PRODUCTS)),
            DEMO_INGEST_KEY: Caller(
                "demo desk",
                frozenset(DEMO_PRODUCTS),
                may_write=True,
                may_inspect=True,
                may_use_models=True,
            ),
        }
    )


def _key_entry(key: KeySetting) -> tuple[bytes, Caller]:
    if key.sha256:
        digest = bytes.fromhex(key.sha256)
    elif key.key:  # an empty one would open to requests without any
        digest = hashlib.sha256(key.key.get_secret_value().encode()).digest()
    else:
        raise SettingsError(f"key {key.name!r} has neither key nor sha256", where="keys")
    return digest, Caller(
        key.name,
        frozenset(key.products),
        may_write=key.write,
        may_inspect=key.inspect,
        may_use_models=key.models,
    )
