"""Routes of the page, its files, its configuration, and the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.access.callers import SurfaceDep, keys_for
from api.access.keys import HEADER
from api.access.locality import is_local
from api.envelope import Json
from core.errors import NotFoundError

router = APIRouter(include_in_schema=False)
docs_router = APIRouter(include_in_schema=False)  # in every service, with or without an archive
FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


def _load() -> dict[str, tuple[bytes, str]]:
    """Return every file of the page by name. A name that is not here is not served, so dots in it
    do no harm.
    """
    return {
        path.relative_to(FOLDER).as_posix(): (path.read_bytes(), _TYPES[path.suffix])
        for path in FOLDER.rglob("*")
        if path.suffix in _TYPES
    }


_FILES = _load()


def _file(name: str) -> Response:
    found = _FILES.get(name)
    if found is None:
        raise NotFoundError("There is no such file.", mend="The page is at /.")
    content, kind = found
    # A font file never changes. Browsers ask again for all other files, so that an update is
    # visible.
    cache = "public, max-age=31536000, immutable" if name.endswith(".woff2") else "no-cache"
    return Response(content, headers={"content-type": kind, "cache-control": cache})


@router.api_route("/", methods=["GET", "HEAD"])
async def page() -> Response:
    """The search page."""
    return _file("index.html")


@docs_router.api_route("/docs", methods=["GET", "HEAD"])
async def docs() -> Response:
    """The API's documentation, drawn from /openapi.json by a script of this service."""
    return _file("docs.html")


@router.get("/page/config")
async def config(request: Request, surface: SurfaceDep) -> Json:
    """What the page needs to open with an answered query, and what the request's key may do.

    It has keys in the demo only, and only for a browser on this machine.
    """
    settings = surface.services.settings
    demo = settings.demo and is_local(request, settings)
    key = request.headers.get(HEADER, "") or (settings.demo_read_key if demo else "")
    caller = keys_for(request, surface).caller(key) if key else None
    use = surface.services.use
    logged = use if use and caller and use.rules.agreed(caller) else None
    body: dict[str, Any] = {
        "examples": [
            {"label": example.label, "params": dict(example.params), "why": example.why}
            for example in settings.examples
        ],
        "profiles": list(settings.profiles),
        "default_profile": settings.default_profile,
        "demo": demo,
        "demo_key": settings.demo_read_key if demo else "",
        "demo_ingest_key": settings.demo_ingest_key if demo else "",
        "desk": bool(caller and caller.may_write) or bool(demo and settings.demo_ingest_key),
        "use_log_days": logged.rules.days if logged else 0,  # the page asks its reader, too
    }
    return Json(body)


@docs_router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
async def page_file(name: str) -> Response:
    """A file of the page."""
    return _file(name)
