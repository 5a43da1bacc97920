"""A background thread that works when it is woken, and at intervals."""

from __future__ import annotations

import threading
from collections.abc import Callable


class WokenThread:
    """Calls `step` whenever it is woken and at least every `interval_s`, until `stop`; then it
    calls `last` in the same thread. Both handle their own failures.
    """

    def __init__(
        self,
        name: str,
        interval_s: float,
        step: Callable[[], None],
        last: Callable[[], None] = lambda: None,
    ) -> None:
        self._interval_s = interval_s
        self._step = step
        self._last = last
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread, once everything that `step` needs is made."""
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """Whether the thread was told to end."""
        return self._stopped.is_set()

    @property
    def woken(self) -> bool:
        """Whether there is another step to do at once."""
        return self._wake.is_set()

    def wake(self) -> None:
        """Tell the thread that there is work."""
        self._wake.set()

    def pause(self, seconds: float) -> None:
        """Wait, within a step, for this many seconds or until the thread is told to end."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """End the thread after the step under way and `last`; a second call does nothing."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(self._interval_s)
            self._wake.clear()
            self._step()
        self._last()
