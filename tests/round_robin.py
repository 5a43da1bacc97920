"""One port before several: each connection goes to the next that takes it, as a plain balancer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count


class RoundRobin:
    """Forwards bytes both ways. `taken` counts each port's connections; one that refuses is passed
    over, for that is all a balancer without health checks knows.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self.taken = dict.fromkeys(ports, 0)
        self.port = 0
        self._ports = ports
        self._turn = count()

    async def serve(self) -> asyncio.Server:
        """Starts to listen on a free port."""
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            there, back = await self._next()
            ends.append(back)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        except OSError:
            pass
        finally:  # also when the loop ends
            for end in ends:
                end.close()

    async def _next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        turn = next(self._turn)
        for step in range(len(self._ports)):
            port = self._ports[(turn + step) % len(self._ports)]
            with suppress(OSError):
                found = await asyncio.open_connection("127.0.0.1", port)
                self.taken[port] += 1
                return found
        raise ConnectionRefusedError


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def round_robin(*ports: int) -> Iterator[RoundRobin]:
    """A balancer that runs in a thread."""
    balancer, ready = RoundRobin(ports), threading.Event()
    ended: list[Callable[[], object]] = []

    async def run() -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        ended.append(lambda: loop.call_soon_threadsafe(over.set))
        server = await balancer.serve()
        ready.set()
        await over.wait()
        server.close()  # the tasks of connections that are left are cancelled with the loop

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(120)
        yield balancer
    finally:
        ended[0]()
        thread.join()
