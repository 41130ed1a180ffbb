"""How many bytes a client may send, and how slowly."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 2**22  # of a page that takes no pictures: what a lasso round 50,000 pictures sends
_AT_ONCE = 4  # as many bodies of the largest size as may be under way
_SMALL_BYTES = 2**20  # so much is taken from everybody, however much others send
_START_S, _LEAST_BYTES_S = 20.0, 4096  # a phone far from its router is quicker
_THROWN_AWAY_BYTES, _THROWN_AWAY_S = 2**24, 5.0


class BodyLimit:
    """An ASGI application round another: bodies end at a size, and in time.

    They are counted as they come: what a client says of their length may be a lie, or missing.

    Args:
        app: The other one.
        most_bytes: Of one body. Four times as many may be under way in all, beside small ones.
    """

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES) -> None:
        self._app, self._most_bytes = app, most_bytes
        self._held = 0  # bytes of all requests under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, headers)

        async def receive_within() -> Message:
            body.check_stated(self._most_bytes)
            before, message = body.count, await body.receive()
            self._held += body.count - before
            if body.count > self._most_bytes:
                raise _too_large(self._most_bytes)
            if self._held > _AT_ONCE * self._most_bytes and body.count > _SMALL_BYTES:
                raise HTTPException(503, "too much is being sent at once; try again later")
            return message

        async def send_when_read(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.is_read:
                held = body.count
                await body.throw_away()
                body.count = held
                if not body.is_read:
                    MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive_within, send_when_read)
        finally:
            self._held -= body.count


class _Body:
    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive, self._headers = receive, headers
        self._waited_s = 0.0
        self.count, self.is_read = 0, False

    def check_stated(self, most_bytes: int) -> None:
        stated = self._headers.get("content-length", "0")
        if not self.count and (len(stated) > 15 or int(stated) > most_bytes):  # h11 takes digits only
            raise _too_large(most_bytes)

    async def receive(self) -> Message:
        """Return the next part; only the time that is spent waiting for it counts."""
        if self.is_read:
            return await self._receive()
        return await self._within(_START_S + self.count / _LEAST_BYTES_S - self._waited_s)

    async def throw_away(self) -> None:
        """Read what nobody wants, a while: browsers look at an answer only when they have sent everything."""
        if "expect" in self._headers and not self.count:  # it waits for a word before it sends
            return
        end, most = time.monotonic() + _THROWN_AWAY_S, self.count + _THROWN_AWAY_BYTES
        while not self.is_read and self.count < most:
            try:
                await self._within(end - time.monotonic())
            except HTTPException:
                return

    async def _within(self, time_s: float) -> Message:
        start = time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(time_s, 0.001))
        except TimeoutError:
            raise HTTPException(408, "what was sent came too slowly") from None
        self._waited_s += time.monotonic() - start
        self.count += len(message.get("body", b""))
        self.is_read = not message.get("more_body", False)
        return message


def _too_large(most_bytes: int) -> HTTPException:
    size = f"{most_bytes / 2**20:g} MiB" if most_bytes >= 2**20 else f"{most_bytes:,} bytes"
    return HTTPException(413, f"expected at most {size} at once, got more")
