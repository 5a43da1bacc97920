"""Pools of threads whose work goes on in the context of whoever asked for it, such as its trace."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Given = ParamSpec("Given")


class Threads(ThreadPoolExecutor):
    """The pool that the program uses everywhere. Each piece of work runs in a copy of the context
    in which `submit` was called.
    """

    def submit(
        self, fn: Callable[Given, Result], /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Result]:
        """Have `fn` called in a thread; return what will hold its result."""
        work: Callable[..., Any] = copy_context().run
        return super().submit(work, fn, *args, **kwargs)


def carried(work: Callable[[], Result]) -> Callable[[], Result]:
    """Return `work` to be done in the present context, whoever does it. It can be done once."""
    return partial(copy_context().run, work)
