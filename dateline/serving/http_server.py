"""The HTTP server: uvicorn, which by itself waits for a client for as long as the client likes.

A request's head has a deadline and a size, what comes together has a number, and an answer that
nobody takes is given up. How long a body may take is `api/access/bodies.py`, how many may be
connected `dateline/serving/listener.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.access.admission import Refusal
from dateline.serving.listener import Connection, Listener
from dateline.serving.tls import Certificate

HEAD_BYTES = 64 * 1024
HEADERS = 128
TOGETHER = 16  # requests that a client may send before the first is answered
_TICKS_A_SECOND = 10  # of uvicorn's main loop

Refused: TypeAlias = Callable[[Scope], Refusal | None]


def _nothing(_: Scope) -> None:
    return None


class BoundedProtocol(HttpToolsProtocol):
    """HTTP over one connection of `listener`, which ends it when it is overdue. What `refused` has
    an answer for gets that at once.
    """

    def __init__(self, listener: Listener, refused: Refused, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._listener = listener
        self._refused = refused
        self._connection: Connection
        self._between = False  # requests; before the first one the time runs already
        self._unused = 0  # bytes that came and are no part of a whole head or of a body

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The time for the first head has begun when it was accepted, before any TLS."""
        super().connection_made(transport)
        handle = transport.get_extra_info("socket").fileno()
        self._connection = self._listener.connection(handle)

    def data_received(self, data: bytes) -> None:
        """Reads on, within what a head may take of time and bytes."""
        if self._between:
            self._between = False
            self._connection.wait(self._listener.limits.head_seconds)
        self._unused += len(data)
        super().data_received(data)
        if self._unused > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header, or a trailer, of which there may be so many."""
        if len(self.headers) >= HEADERS:
            raise ValueError("too many headers")  # the parser makes a 400 of it
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begins to answer, and to wait for a body, which may be none."""
        if len(self.pipeline) >= TOGETHER:
            raise ValueError("too many requests at once")
        self._unused = 0
        if not self.flow.write_paused:  # else an earlier answer still waits to be taken
            self._connection.wait(self._listener.limits.body_seconds)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begins to answer, which a refusal is done with."""
        scope: Any = cycle.scope
        refusal = None if self.flow.write_paused else self._refused(scope)
        if refusal is None:
            super()._start_asgi_task(cycle, app)
            return
        lines = [b"%b: %b\r\n" % pair for pair in self.server_state.default_headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        # One write, as each is a call to the system, after which other threads may run first.
        self.transport.write(b"".join((refusal.head, *lines, b"\r\n", refusal.body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        """What came was of use."""
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Waits for the client no more."""
        self._unused = 0
        super().on_message_complete()
        if self._busy and not self.flow.write_paused:
            self._connection.serve()

    def on_response_complete(self) -> None:
        """Waits for the next request, and for this answer to be taken whole."""
        super().on_response_complete()
        if not self._busy:
            self._between = True  # uvicorn ends it if nothing comes, once the answer is taken
            self._connection.wait(self._listener.limits.unread_seconds)

    def pause_writing(self) -> None:
        """Waits for the client to take what it was sent."""
        super().pause_writing()
        self._connection.wait(self._listener.limits.unread_seconds)

    def resume_writing(self) -> None:
        """Goes on to answer."""
        super().resume_writing()
        if self._busy and not self.cycle.more_body:
            self._connection.serve()


class HttpServer(uvicorn.Server):
    """Answers by `app` what comes to `listener`, by TLS with a `certificate`; `refused` has the
    answer to a request that `app` need not see.
    """

    def __init__(
        self,
        app: Any,
        listener: Listener,
        certificate: Certificate | None,
        refused: Refused = _nothing,
    ) -> None:
        self._listener = listener
        self._certificate = certificate
        context = None if certificate is None else certificate.context
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",  # others accept without asking the listener
                http=partial(BoundedProtocol, listener, refused),  # type: ignore[arg-type]
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # api/access/forwarding.py reads them
                ssl_context_factory=None if context is None else (lambda _, __: context),
                timeout_graceful_shutdown=10,
            )
        )

    def serve_until_told(self) -> None:
        """Runs until Ctrl-C or SIGTERM; the listener is closed at the end."""
        self.run(sockets=[self._listener])

    async def on_tick(self, counter: int) -> bool:
        """Looks after the connections and the certificate, each second."""
        if counter % _TICKS_A_SECOND == 0:
            self._listener.drop_overdue()
            if self._certificate is not None:
                self._certificate.renew()
        return await super().on_tick(counter)
