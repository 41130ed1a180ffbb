"""The end of the server's patience: with clients that send or read too slowly, and with too many at once."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from tlearn.pages.server.guard import HEADERS

MOST_CONNECTIONS = 128  # half of the files that macOS lets a process open
_TICK_S = 5.0
_HEAD_TICKS = 3  # to send the lines before a body, also those of the next request
IDLE_S = 15  # as many ticks
_STUCK_TICKS = 4  # to read at least a little of an answer
_LEAST_READ_BYTES = 2**14


class PatientProtocol(H11Protocol):
    """uvicorn's connection, which ends when its client keeps it waiting. uvicorn itself waits for ever.

    How slowly a body may come is the matter of `BodyLimit`.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin to look at the clock."""
        super().connection_made(transport)
        self._last: tuple[Any, int] = (None, 0)  # the request under way, and what is left to be read by the client
        self._idle_ticks = self._stuck_ticks = 0
        self._heard_s = self.loop.time()
        self._has_read = False
        self._tick_task = self.loop.call_later(_TICK_S, self._tick)
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to look at the clock."""
        self._tick_task.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what a client sends; what h11 cannot answer in its state ends the connection."""
        self._heard_s = self.loop.time()
        try:
            super().data_received(data)
        except Exception:  # else asyncio would print a traceback for each
            self.transport.abort()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._has_read = True
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, in one line."""
        self._end(400, "this is no request that an HTTP server understands")

    def _make_room(self) -> None:
        """Let the one go that has been silent for longest; who waits for an answer stays."""
        others = [each for each in self.connections if isinstance(each, PatientProtocol) and each is not self]
        silent = min((each for each in others if not each._is_answered), key=lambda each: each._heard_s, default=None)
        if silent is None:
            self._end(503, "too many requests at once; try again later")
        else:
            silent.transport.abort()
            self.connections.discard(silent)

    @property
    def _is_answered(self) -> bool:
        """Tell whether a whole request came whose answer is not complete."""
        return not (getattr(self.cycle, "response_complete", True) or self.cycle.more_body)

    def _end(self, status: int, why: str) -> None:
        body = json.dumps({"error": why}).encode()
        lines = {**HEADERS, "content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
        head = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            *(f"{name}: {value}" for name, value in lines.items()),
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()

    def _tick(self) -> None:
        waiting = getattr(self.cycle, "response_complete", True)  # there is no cycle before the first request
        left = self.transport.get_write_buffer_size()
        is_same = self.cycle is self._last[0]
        self._idle_ticks = self._idle_ticks + 1 if waiting and is_same else 0
        has_read = self._has_read or left <= self._last[1] - _LEAST_READ_BYTES
        self._stuck_ticks = self._stuck_ticks + 1 if left and not has_read else 0
        self._last, self._has_read = (self.cycle, left), False
        if self._stuck_ticks >= _STUCK_TICKS or (self._idle_ticks >= _HEAD_TICKS and not left):
            self.transport.abort()
        else:
            self._tick_task = self.loop.call_later(_TICK_S, self._tick)
