"""What a client reads when something goes wrong: one line, and never where in the code it was."""

from __future__ import annotations

import os
import sys
import traceback
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tlearn.base.errors import one_line
from tlearn.pages.server.json_answers import JSONAnswer

_MOST_SHOWN = 80  # characters of an address
_SAID = "a fault in tlearn; the terminal where the page was started says more"


def fault_response(error: Exception) -> Response:
    """Say on the terminal what nobody expected, with its traceback only where ``TLEARN_DEBUG=1`` is set."""
    if os.environ.get("TLEARN_DEBUG") == "1":
        traceback.print_exception(error)
    else:
        said = f"{type(error).__name__}: {one_line(error)}"
        print(f"a page failed: {said}; TLEARN_DEBUG=1 shows where it came from", file=sys.stderr, flush=True)
    return JSONAnswer({"error": _SAID}, 500)


async def known_fault(request: Request, error: Exception) -> Response:
    """Answer a `TlearnError`: what was asked cannot be done."""
    return JSONAnswer({"error": one_line(error)}, 400)


async def http_fault(request: Request, error: Exception) -> Response:
    """Answer what a route, or Starlette, refused."""
    assert isinstance(error, HTTPException)
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=error.headers)
    said = error.detail
    if said == HTTPStatus(error.status_code).phrase:  # Starlette's own
        path = "".join(each if each.isprintable() else "?" for each in request.scope["path"])[:_MOST_SHOWN]
        said = f"there is nothing at {path}" if error.status_code == 404 else f"{said}: {request.method[:20]} {path}"
    return JSONAnswer({"error": one_line(said)}, error.status_code, headers=error.headers)
