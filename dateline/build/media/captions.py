"""Composition of captions: the captioner that the settings name.

Only this module names these classes. Packages of extras are imported where they are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import SettingsError
from dateline.archive_folder import archive_folder
from dateline.build.models.runtimes import model_store
from dateline.settings import SPENT, Settings
from indexing.captions.batch import BatchCaptioner
from indexing.captions.bedrock import BedrockProvider
from indexing.captions.calls import Calls, Paid, Provided, ProviderCaptioner, Rates
from indexing.captions.provider import Provider, need_packages
from indexing.captions.spending import Prices, SpendBook, Spending
from inference.picture_captioner import PictureCaptioner

if TYPE_CHECKING:
    from storage.databases import Database
    from storage.work.spend import StoredSpend

PROVIDER, BEDROCK = "openai", "bedrock"


OwnedCaptioner = ProviderCaptioner | PictureCaptioner


def captioner_of(
    settings: Settings, book: SpendBook | None = None, paid: Paid | None = None
) -> OwnedCaptioner | None:
    """Return the captioner of the settings, None without one. `book` records spending; without it
    `open_book` opens one. `paid` hears of each answer.

    Raises SettingsError for settings that contradict each other, ModelError for a model that is
    missing or does not fit.
    """
    if not settings.captioner:
        return None
    if settings.captioner in (PROVIDER, BEDROCK):
        calls: Calls[Any] = (
            _calls(settings, book, _provider)
            if settings.captioner == PROVIDER
            else _calls(settings, book, _bedrock)
        )
        calls = calls if paid is None else replace(calls, paid=paid)
        return ProviderCaptioner(calls, settings.caption_edge, settings.caption_at_once)
    folder = model_store(settings).find(settings.captioner)
    return PictureCaptioner.open(folder, threads=settings.threads, device=settings.device)


def asked_in_batches(settings: Settings) -> bool:
    """Return whether pictures wait for a batch. Raises SettingsError if the captioner has none."""
    if settings.caption_mode != "batch":
        return False
    if settings.captioner != PROVIDER:
        raise SettingsError(
            "only a provider of OpenAI's protocol takes batches",
            where="caption_mode",
            mend=f"set captioner to {PROVIDER}, or caption_mode to calls",
        )
    return True


def batch_captioner_of(
    settings: Settings, book: SpendBook | None = None, paid: Paid | None = None
) -> BatchCaptioner | None:
    """Return the provider's batches, None if the captioner is not a provider. `paid` hears of each
    batch that has ended. Raises SettingsError.
    """
    if settings.captioner != PROVIDER:
        return None
    calls = _calls(settings, book, _provider)
    calls = calls if paid is None else replace(calls, paid=paid)
    return BatchCaptioner(calls, settings.caption_edge)


def _provider(settings: Settings) -> Provider:
    key = settings.caption_key.get_secret_value() if settings.caption_key else ""
    return Provider.open(
        settings.caption_url, settings.caption_model, key=key, seconds=settings.caption_seconds
    )


def _bedrock(settings: Settings) -> BedrockProvider:
    need_packages()
    return BedrockProvider.open(
        settings.caption_url, settings.caption_model, seconds=settings.caption_seconds
    )


def _calls(
    settings: Settings, book: SpendBook | None, opened: Callable[[Settings], Provided]
) -> Calls[Provided]:
    _check(settings)
    provider = opened(settings)
    prices = Prices(
        settings.caption_price_in, settings.caption_price_out, settings.caption_price_batch
    )
    owned: list[Callable[[], None]] = []
    if book is None:
        own = open_book(settings)
        owned.append(own.close)
        book = own
    rates = _rates(settings, owned)
    spending = Spending(book, prices, settings.caption_daily_spend)
    return Calls(provider, rates, spending, owned=tuple(owned))


def _rates(settings: Settings, owned: list[Callable[[], None]]) -> Rates:
    """Return the provider's limits, which all workers of an archive or a database share."""
    requests, tokens = settings.caption_rpm, settings.caption_tpm
    if not (requests or tokens):
        return Rates()
    from storage.work.rates import StoredRates

    log = StoredRates(_shared(settings, synced=False))
    owned.append(log.close)
    parts = f"{settings.caption_url} {settings.caption_model}"
    return Rates(log, hashlib.sha256(parts.encode()).hexdigest(), requests, tokens)


def open_book(settings: Settings) -> StoredSpend:
    """Return the record of spending, in the archive's folder or in the database of the orders."""
    from storage.work.spend import StoredSpend

    return StoredSpend(_shared(settings))


def _shared(settings: Settings, *, synced: bool = True) -> Database:
    from storage.databases import open_database  # sqlalchemy comes with the extra

    url = settings.work_url
    place = archive_folder(settings) / SPENT if url is None else url.get_secret_value()
    return open_database(place, synced=synced)


def _check(settings: Settings) -> None:
    if not settings.caption_model:
        mend = "name one of the provider's models that take pictures"
        raise SettingsError("no model is named", where="caption_model", mend=mend)
    free = settings.caption_price_in == 0 or settings.caption_price_out == 0
    if settings.caption_daily_spend is not None and free:
        raise SettingsError(
            "a spend cap can't hold without prices",
            where="caption_daily_spend",
            mend="set caption_price_in and caption_price_out from the provider's list",
        )
