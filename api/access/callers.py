"""Dependencies of the routes: the services, the caller of a key, and the key's rights.

All are coroutines, because FastAPI would send a plain function through a thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from api.access.counted import counted
from api.access.keys import HEADER, KeyRing
from api.access.locality import is_local
from api.access.pool import WorkPool
from api.access.services import Services
from api.access.shares import Shares
from api.content.media_links import MediaLinks, MediaSigner
from api.metrics import Metrics
from api.problems import UnknownKeyError
from core.callers import Caller, asking
from core.errors import AccessError

KEY_HEADER = APIKeyHeader(name=HEADER, auto_error=False, scheme_name="apikey")
_bearer = HTTPBearer(auto_error=False, scheme_name="bearer")
_NO_KEYS = KeyRing()
_MEND = f"Send your key in the header {HEADER}."


@dataclass(frozen=True, slots=True)
class Surface:
    """What all requests share: services, counters, callers' shares, one pool per kind of work."""

    services: Services
    metrics: Metrics
    shares: Shares
    reads: WorkPool
    writes: WorkPool
    bulks: WorkPool
    statuses: WorkPool
    models: WorkPool
    operations: WorkPool
    media: WorkPool
    accounts: WorkPool
    feeds: WorkPool
    signer: MediaSigner


async def surface_of(request: Request) -> Surface:
    """Return the surface that `create_app` made."""
    surface: Surface = request.app.state.surface
    return surface


SurfaceDep = Annotated[Surface, Depends(surface_of)]


def keys_for(request: Request, surface: Surface) -> KeyRing:
    """Return the keys that are valid for this request: the service's, or none where those are for
    this machine only and the request comes from elsewhere. Keys and signatures are looked up in
    this ring only.
    """
    keys = surface.services.keys
    if keys.local_only and not is_local(request, surface.services.settings):
        return _NO_KEYS
    return keys


def unknown_key() -> UnknownKeyError:
    """Return the error for a key that is not known."""
    return UnknownKeyError(
        "This key is not known.",
        mend="Check that it is whole, and neither expired nor revoked. The demo's keys work only"
        " for requests from the service's own machine.",
    )


async def known_caller_of(
    request: Request, surface: SurfaceDep, key: Annotated[str | None, Security(KEY_HEADER)]
) -> Caller:
    """Return the caller of the request's key, whatever its share; raises UnknownKeyError (401)."""
    if not key:
        raise UnknownKeyError("This request has no key.", mend=_MEND)
    keys = keys_for(request, surface)
    keys.at_least(
        getattr(request.state, "accounts", 0)
    )  # the changes that the process had that accepted the request
    caller = keys.caller(key)
    if caller is None:
        raise unknown_key()
    request.state.caller = caller.name
    asking.set(caller.name)
    request.state.known = caller  # for what is told in headers
    return caller


async def caller_of(
    request: Request, surface: SurfaceDep, key: Annotated[str | None, Security(KEY_HEADER)]
) -> Caller:
    """Return the caller of the request's key; raises UnknownKeyError (401), TooManyError (429)."""
    return admitted(request, surface, await known_caller_of(request, surface, key))


def admitted(request: Request, surface: Surface, caller: Caller) -> Caller:
    """Return the caller. This request counts in its share until it is answered
    (`middleware.Observed`), and in the quota of its account. Raises TooManyError.
    """
    request.state.leave = surface.shares.enter(caller)
    counted(request, surface.services, caller)
    return caller


CallerDep = Annotated[Caller, Depends(caller_of)]


async def model_caller_of(
    request: Request,
    surface: SurfaceDep,
    key: Annotated[str | None, Security(KEY_HEADER)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    """Return the caller of a model request. The key may also come as a bearer token, as clients of
    the published APIs send it. Raises UnknownKeyError (401) and AccessError (403).
    """
    sent = key or (bearer.credentials if bearer else None)
    caller = await caller_of(request, surface, sent)
    if not caller.may_use_models:
        raise AccessError(
            "This key may not use the models.",
            mend="Ask the operator for a key with models = true.",
        )
    return caller


ModelCallerDep = Annotated[Caller, Depends(model_caller_of)]


async def links_of(
    surface: SurfaceDep, key: Annotated[str | None, Security(KEY_HEADER)]
) -> MediaLinks | None:
    """Return addresses of media for the request's key; None if this service serves no media."""
    media = surface.services.media
    if media is None or not key:
        return None
    root = surface.services.settings.root_path
    return replace(surface.signer.links(key), originals=media.has_original, root_path=root)


LinksDep = Annotated[MediaLinks | None, Depends(links_of)]


async def uncounted_writer_of(caller: Annotated[Caller, Depends(known_caller_of)]) -> Caller:
    """Return a caller who may write, whatever its share: a kill is not refused for the key's other
    requests. Raises AccessError (403).
    """
    if not caller.may_write:
        raise AccessError("This key may not write.", mend="Use a key that may write.")
    return caller


UncountedWriterDep = Annotated[Caller, Depends(uncounted_writer_of)]
