"""All of AP's routes, and the parameters that each takes, by path. Those of items come last: their
path fits every other one below `/content`.
"""

from __future__ import annotations

from pydantic import BaseModel

from api.media import (
    account_routes,
    content_routes,
    feed_routes,
    monitor_routes,
    ondemand_routes,
    rss_routes,
)

ROUTERS = (
    account_routes.router,
    feed_routes.router,
    monitor_routes.router,
    ondemand_routes.router,
    rss_routes.router,
    content_routes.router,
)
PARAMETERS: dict[str, type[BaseModel]] = {
    **account_routes.PARAMETERS,
    **feed_routes.PARAMETERS,
    **monitor_routes.PARAMETERS,
    **ondemand_routes.PARAMETERS,
    **rss_routes.PARAMETERS,
    **content_routes.PARAMETERS,
}
