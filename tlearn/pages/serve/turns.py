"""Turns of HTTP requests at the network and at the decoders; who finds no room is told to come again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from tlearn.base.machine import cores_allowed
from tlearn.pages.serve.batcher import Batcher, BusyError

Got = TypeVar("Got")

_RETRY = {"retry-after": "1"}
_LOOKS_S = 0.25  # between looks whether a client is still there


class Turns:
    """One thread computes, and few decode.

    Args:
        max_waiting: How many pictures may wait for the network.
    """

    def __init__(self, max_waiting: int) -> None:
        self.batcher: Batcher[Any, Any] = Batcher(max_waiting)
        self._decoders = CapacityLimiter(max(2, cores_allowed()))  # a large picture takes hundreds of megabytes

    @contextmanager
    def places(self, count: int) -> Iterator[None]:
        """Keep places before the network, as long as the context lasts.

        Raises:
            HTTPException: There are not so many; status 503.
        """
        try:
            self.batcher.reserve(count)
        except BusyError:
            raise HTTPException(503, "too many pictures wait for the network; try again in a second", _RETRY) from None
        try:
            yield
        finally:
            self.batcher.release(count)

    async def decoded(self, decode: Callable[..., Got], *given: object) -> Got:
        """Call what decodes a picture, in a thread."""
        return await run_sync(decode, *given, limiter=self._decoders)

    async def computed(self, compute: Callable[[Sequence[Any]], Sequence[Got]], at_once: int, given: object) -> Got:
        """Compute something for a picture, with others that wait for the same.

        Raises:
            HTTPException: The server ends; status 503.
        """
        try:
            got: Got = await asyncio.wrap_future(self.batcher.submit(compute, at_once, given))
        except (BusyError, asyncio.CancelledError):
            raise HTTPException(503, "the server ends") from None
        return got


async def unless_gone(request: Request, work: Coroutine[Any, Any, Got]) -> Got:
    """Await what a client has asked for; when it goes away, what of it waits is dropped, and others have their turn.

    Args:
        request: The client's, whose body has been read.
        work: What it waits for.

    Raises:
        ClientDisconnect: It has gone away.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=_LOOKS_S))[0]:
            if await request.is_disconnected():
                raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # its threads read the uploads, which are closed next
