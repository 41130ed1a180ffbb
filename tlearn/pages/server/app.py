"""The application that a page is: its routes, the shared files, errors in one line, and the guard round all of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tlearn.base.errors import TlearnError
from tlearn.pages.server.body_limit import MOST_BYTES, BodyLimit
from tlearn.pages.server.faults import http_fault, known_fault
from tlearn.pages.server.guard import Guard
from tlearn.pages.server.options import ServerOptions

_STATIC = Path(str(files("tlearn.pages"))) / "static"
_REPORT_STYLE = Path(str(files("tlearn.reporting.card.html"))) / "templates" / "style.css"
_CHECKED = {"cache-control": "no-cache"}  # a browser may keep it, and asks whether it has changed


def page_app(
    routes: Sequence[BaseRoute], options: ServerOptions, lifespan: Any = None, most_bytes: int = MOST_BYTES
) -> Starlette:
    """Make the application of a page.

    Args:
        routes: Those of the page itself.
        options: Who may ask.
        lifespan: What runs round it, as Starlette takes it.
        most_bytes: The largest body that a client may send; 4 MiB are enough for all but pictures.
    """
    shared = [Route("/static/report.css", _report_style), Mount("/static", _StaticFiles(directory=_STATIC))]
    return Starlette(
        routes=[*shared, *routes],
        middleware=[Middleware(BodyLimit, most_bytes), Middleware(Guard, options)],
        exception_handlers={TlearnError: known_fault, HTTPException: http_fault},
        lifespan=lifespan,
    )


def page(template: str, **values: Any) -> HTMLResponse:
    """Fill in a template of `tlearn/pages/templates`; every value is text."""
    return HTMLResponse(_templates().get_template(template).render(**values))


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("tlearn.pages"), autoescape=True, undefined=StrictUndefined)


class _StaticFiles(StaticFiles):
    def file_response(
        self, full_path: Any, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_CHECKED)
        return response


async def _report_style(request: Request) -> Response:
    return Response(_REPORT_STYLE.read_bytes(), media_type="text/css", headers=_CHECKED)
