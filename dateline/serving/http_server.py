"""The HTTP server: uvicorn with limits, because uvicorn alone waits for a client without end.

A request's head has a deadline and a size, requests that come together have a number, and an answer
that nobody takes is given up. `api/access/bodies.py` limits the time of a body,
`dateline/serving/listener.py` the number of connections.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from time import monotonic
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
_TICKS_A_SECOND = 10  # ticks of uvicorn's main loop
_MORE_S = 1.0  # beyond the time in which uvicorn closes a connection without a request

Refused: TypeAlias = Callable[[Scope], Refusal | None]


def _nothing(_: Scope) -> None:
    return None


def _do_nothing() -> None:
    return None


class BoundedProtocol(HttpToolsProtocol):
    """HTTP over one connection of `listener`, which closes it when it is overdue. A request that
    `refused` has an answer for gets that at once.
    """

    def __init__(self, listener: Listener, refused: Refused, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._listener = listener
        self._refused = refused
        self._connection: Connection
        self._between = False  # requests; before the first one the time already runs
        self._unused = 0  # bytes that are not yet part of a whole head or of a body

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection; its time for the first head began when it was accepted."""
        super().connection_made(transport)
        handle = transport.get_extra_info("socket").fileno()
        self._connection = self._listener.connection(handle)

    def data_received(self, data: bytes) -> None:
        """Read on, within the time and size of a head."""
        if self._between:
            self._between = False
            self._connection.wait(self._listener.limits.head_seconds)
        self._unused += len(data)
        super().data_received(data)
        if self._unused > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or a trailer, up to the limit of their number."""
        if len(self.headers) >= HEADERS:
            raise ValueError("too many headers")  # the parser answers 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, and to wait for a body, which may be empty."""
        if len(self.pipeline) >= TOGETHER:
            raise ValueError("too many requests at once")
        self._unused = 0
        if not self.flow.write_paused:  # else the client has not taken an earlier answer yet
            self._connection.wait(self._listener.limits.body_seconds)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin to answer; a refusal is answered here."""
        if self._listener.leaving:
            cycle.keep_alive = False
        scope: Any = cycle.scope
        refusal = None if self.flow.write_paused else self._refused(scope)
        if refusal is None:
            super()._start_asgi_task(cycle, app)
            return
        lines = [b"%b: %b\r\n" % pair for pair in self.server_state.default_headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        # One write, as each is a system call, after which other threads may run first.
        self.transport.write(b"".join((refusal.head, *lines, b"\r\n", refusal.body)))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the wait for the client."""
        self._unused = 0
        super().on_message_complete()
        if self._busy and not self.flow.write_paused:
            self._connection.serve()

    def on_response_complete(self) -> None:
        """Wait for the next request, and until the client has taken this answer."""
        super().on_response_complete()
        if not self._busy:
            self._between = True  # uvicorn closes it if nothing comes after the answer was taken
            self._connection.wait(self._listener.limits.unread_seconds)

    def leave(self) -> None:
        """Let the answer under way be the last one of this connection, else the next."""
        if self._busy:
            self.cycle.keep_alive = False

    def pause_writing(self) -> None:
        """Wait for the client to take the sent data."""
        super().pause_writing()
        self._connection.wait(self._listener.limits.unread_seconds)

    def resume_writing(self) -> None:
        """Go on answering."""
        super().resume_writing()
        if self._busy and not self.cycle.more_body:
            self._connection.serve()


class HttpServer(uvicorn.Server):
    """Answers the connections of `listener` with `app`, over TLS with a `certificate`; `refused`
    has the answer to a request that `app` need not see. `ending` is called, in a thread, when it is
    told to end, so that requests that are held are answered; `started` when it accepts connections.
    """

    def __init__(
        self,
        app: Any,
        listener: Listener,
        certificate: Certificate | None,
        refused: Refused = _nothing,
        ending: Callable[[], object] = _do_nothing,
        started: Callable[[], object] = _do_nothing,
    ) -> None:
        self._ending = ending
        self._told_started = started
        self._listener = listener
        self._certificate = certificate
        context = None if certificate is None else certificate.context
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",  # other loops accept without asking the listener
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
        """Run until Ctrl-C or SIGTERM; then close the listener."""
        self.run(sockets=[self._listener])

    def leave(self, *_: object) -> None:
        """End without a failed request, because another process accepts connections of the same
        socket now: each connection may have one more answer, which says that it is the last.
        """
        self._listener.leaving = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        self._told_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the held requests, then wait for the answers under way."""
        if self._listener.leaving:
            await self._left_by_clients()
        await asyncio.to_thread(self._ending)
        await super().shutdown(sockets)

    async def _left_by_clients(self) -> None:
        """Accept nothing more; wait until each client has got its last answer, or has sent nothing
        for as long as a connection is kept between two requests.
        """
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            connection.leave()  # type: ignore[union-attr]  # all are a BoundedProtocol
        until = monotonic() + self.config.timeout_keep_alive + _MORE_S
        ended = asyncio.create_task(asyncio.to_thread(self._ending))
        while self.server_state.connections and monotonic() < until:
            await asyncio.sleep(1 / _TICKS_A_SECOND)
        await ended

    async def on_tick(self, counter: int) -> bool:
        """Check the connections and the certificate each second."""
        if counter % _TICKS_A_SECOND == 0:
            self._listener.drop_overdue()
            if self._certificate is not None:
                self._certificate.renew()
        return await super().on_tick(counter)
