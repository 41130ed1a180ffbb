"""The page of ``tlearn serve``, and what only it needs: pictures that no browser can show."""

from __future__ import annotations

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tlearn.base.machine import cores_allowed
from tlearn.data.decoding.decode import decode
from tlearn.data.decoding.reading_options import Reading
from tlearn.data.decoding.samples import UnreadableImageError
from tlearn.pages.server.app import page
from tlearn.pages.server.thumbnails import Thumbnail, thumbnail_of

PREVIEW_PX = 640  # as the page's own small copies, see static/serve/picture.js


def page_routes(title: str) -> list[BaseRoute]:
    """Return the routes of the page: itself, and ``/preview``.

    Args:
        title: What stands over it.
    """
    turns = CapacityLimiter(max(2, cores_allowed()))  # a large picture takes hundreds of megabytes

    async def _page(request: Request) -> Response:
        return page("serve.html.jinja", title=title)

    async def _preview(request: Request) -> Response:
        try:
            preview = await run_sync(preview_of, await request.body(), limiter=turns)
        except UnreadableImageError:
            return Response(status_code=204)  # why it gives no picture is in the answer of `/predict`
        return Response(preview.data, media_type=preview.media_type)

    return [Route("/", _page), Route("/preview", _preview, methods=["POST"])]


def preview_of(data: bytes) -> Thumbnail:
    """Make a picture that a browser shows of a picture file of any kind, upright; its longer side is `PREVIEW_PX`.

    Raises:
        UnreadableImageError: It gives no picture.
    """
    return thumbnail_of(decode(data, Reading(), PREVIEW_PX), PREVIEW_PX)
