"""Counts requests in the quota of their account, and in what accounts use."""

from __future__ import annotations

from functools import partial

from fastapi import Request
from starlette.types import Scope

from api.access.services import Services
from api.problems import TooManyError
from core.callers import Caller
from core.customers.accounts import Method

_AP = "/media/v/"
_READS = frozenset({"GET", "HEAD"})
_CONTENT = {
    "search": Method.SEARCH,
    "feed": Method.FEED,
    "stream": Method.FEED,
    "rss": Method.OTHER,
    "ondemand": Method.FEED,
}
_ACCOUNT = {name: Method(name) for name in ("plans", "downloads", "quotas")}


def counted(request: Request, services: Services, caller: Caller) -> None:
    """Count a request that was let in. Raises TooManyError for one over its quota, except for a
    poll of a feed: that gets the ends of items only, as `request.state.quota` says
    (`customers.accounts.quotas`).
    """
    accounts = services.accounts
    method = method_of(request.scope) if accounts and accounts.counts else None
    if accounts is None or method is None:
        return
    account = caller.account
    use = accounts.quotas.take(account, method)
    request.state.quota = use
    if use is not None and use.is_refused:
        accounts.usage.add(account, method, refused=True)
        if method is not Method.FEED:
            raise TooManyError(
                f"The quota of {use.limit:,} requests for {method} is used up.", use.retry_after
            )
        return
    request.state.counted = partial(accounts.usage.add, account, method)


def method_of(scope: Scope) -> Method | None:
    """Return what a request counts as; None for requests outside of quotas: writes (so that no
    quota delays a kill), previews, completions, the models, and requests of operators.
    """
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    inner = path.removeprefix(_AP) if path.startswith(_AP) else path.lstrip("/")
    first, _, rest = inner.partition("/")
    if first == "content" and scope["method"] in _READS:
        if rest.endswith("/download"):
            return Method.DOWNLOADS
        return _CONTENT.get(rest.partition("/")[0], Method.CONTENT)
    if first == "account":
        return _ACCOUNT.get(rest, Method.ACCOUNT)
    if inner.startswith("v1/account"):
        return _ACCOUNT.get(inner.removeprefix("v1/account").strip("/"), Method.ACCOUNT)
    if inner.startswith("v1/media/original/"):
        return Method.DOWNLOADS
    return Method.OTHER if path.startswith(_AP) else None
