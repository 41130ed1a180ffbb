"""The route that shows pictures by their number: no path ever comes from a client."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tlearn.base.machine import cores_allowed
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.files.reading import UnreadableImageError
from tlearn.pages.server.thumbnails import LEAST_PX, MOST_PX, THUMBNAIL_PX, Thumbnail, Thumbnails

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def image_route(
    path_of: Callable[[int], Path | None], reading: Reading | None = None, where: str = "/image/{id}"
) -> Route:
    """Make the route ``/image/{id}?size_px=320``.

    Args:
        path_of: Gives the file of a picture by its number, from 0; ``None``, or an ``IndexError``, for no such number.
        reading: What the files' numbers mean; that of the network, where there is one.
        where: The path, with ``{id}`` in it.
    """
    thumbnails = Thumbnails(reading)
    # A large picture takes hundreds of megabytes while it is decoded, so few are at a time.
    turns = CapacityLimiter(max(2, cores_allowed()))

    async def answer(request: Request) -> Response:
        path = _path(path_of, whole_number(request.path_params["id"], "the number of a picture"))
        size_px = whole_number(request.query_params.get("size_px", str(THUMBNAIL_PX)), "size_px", LEAST_PX, MOST_PX)
        try:
            headers = {"etag": f'"{thumbnails.tag_of(path, size_px)}"', "cache-control": "private, no-cache"}
            if request.headers.get("if-none-match") == headers["etag"]:
                return Response(status_code=304, headers=headers)
            async with turns:
                if await request.is_disconnected():  # it has scrolled on
                    return Response(status_code=499)
                made: Thumbnail = await run_in_threadpool(thumbnails.get, path, size_px)
        except UnreadableImageError as error:
            raise HTTPException(404, f"{path.name} cannot be shown: {error}") from error
        return Response(made.data, headers=headers, media_type=made.media_type)

    return Route(where, answer, name=where)


def whole_number(text: str, what: str, least: int = 0, most: int = 10**9 - 1) -> int:
    """Return the number that a client wrote in an address.

    Raises:
        HTTPException: It is none, or out of bounds; status 400.
    """
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise HTTPException(400, f"{what}: expected a whole number from {least} to {most}, got {text[:40]!r}")
    return int(text)


def _path(path_of: Callable[[int], Path | None], number: int) -> Path:
    try:
        path = path_of(number)
    except IndexError:
        path = None
    if path is None:
        raise HTTPException(404, f"there is no picture {number}")
    return path
