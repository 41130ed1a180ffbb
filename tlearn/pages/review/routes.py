"""The routes of ``review``: the page, and the decisions that it sends. What is known of pictures is the session's."""

from __future__ import annotations

from typing import Any, Literal, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tlearn.pages.review.json_types import Filters, GivenDecision
from tlearn.pages.review.session import ReviewSession
from tlearn.pages.server.app import page, page_app
from tlearn.pages.server.image_route import image_route, whole_number
from tlearn.pages.server.json_answers import JSONAnswer
from tlearn.pages.server.json_bodies import fields_of, json_body
from tlearn.pages.server.options import ServerOptions
from tlearn.pages.server.pool_key import check_pool

_MOST_ITEMS = 500  # in one answer; the page asks for 100
_MOST_BYTES = 2**24  # of decisions: some 200,000 at once
_DECISIONS = ("keep", "change", "exclude", "unsure")


def review_app(session: ReviewSession, options: ServerOptions) -> Starlette:
    """Make the page of a session.

    Args:
        session: The pictures, their order and what is decided.
        options: Who may ask.
    """
    answers = _Answers(session)
    routes = [
        Route("/", answers.page),
        Route("/api/state", answers.state),
        Route("/api/order", answers.order),
        Route("/api/pictures", answers.pictures),
        Route("/api/map", answers.map),
        Route("/api/marks", answers.marks),
        Route("/api/decisions", answers.decisions, methods=["POST"]),
        Route("/api/undo", answers.undo, methods=["POST"]),
        image_route(session.path, session.pool.framing.reading),
    ]
    return page_app(routes, options, most_bytes=_MOST_BYTES)


class _Answers:
    def __init__(self, session: ReviewSession) -> None:
        self._session = session

    async def page(self, request: Request) -> Response:
        state = await run_in_threadpool(self._session.state)
        return page("review.html.jinja", title=state["title"], folder=state["folder"])

    async def state(self, request: Request) -> Response:
        return JSONAnswer(await run_in_threadpool(self._session.state))

    async def order(self, request: Request) -> Response:
        return JSONAnswer(await run_in_threadpool(self._session.order, _filters(request)))

    async def pictures(self, request: Request) -> Response:
        start = whole_number(request.query_params.get("start", "0"), "start")
        count = whole_number(request.query_params.get("count", "50"), "count", 1, _MOST_ITEMS)
        return JSONAnswer(await run_in_threadpool(self._session.items, _filters(request), start, count))

    async def map(self, request: Request) -> Response:
        return JSONAnswer(await run_in_threadpool(self._session.map))

    async def marks(self, request: Request) -> Response:
        return JSONAnswer(await run_in_threadpool(self._session.marks))

    async def decisions(self, request: Request) -> Response:
        body = await json_body(request, decisions=list, pool=str | None)
        rows = body["decisions"]
        if not rows:
            raise HTTPException(400, "decisions: expected one or more")
        given = [_decision(row, number) for number, row in enumerate(rows)]
        check_pool(body["pool"], self._session.key)
        return JSONAnswer(await run_in_threadpool(self._session.decide, given))

    async def undo(self, request: Request) -> Response:
        body = await json_body(request, ids=list | None, pool=str | None)
        ids = body["ids"]
        if not all(_is_id(each) for each in ids or ()):
            raise HTTPException(400, "ids: expected whole numbers, or no ids for the last decision")
        check_pool(body["pool"], self._session.key)
        return JSONAnswer(await run_in_threadpool(self._session.undo, ids))


def _filters(request: Request) -> Filters:
    given = request.query_params
    decided = given.get("decided", "all")
    if decided not in ("yes", "no", "all"):
        raise HTTPException(400, f"decided: expected yes, no or all, got {decided[:40]!r}")
    ids = given.get("ids")
    return Filters(
        label=given.get("class") or None,
        proposal=given.get("proposal") or None,
        group=given.get("group") or None,
        decided=cast("Literal['yes', 'no', 'all']", decided),
        disagrees=given.get("disagree") == "1",
        ids=None if ids is None else tuple(whole_number(each, "ids") for each in ids.split(",") if each),
    )


def _decision(given: Any, number: int) -> GivenDecision:
    what = f"decisions[{number}]"
    row = fields_of(given, what, id=int, decision=str, label=str | None)
    if row["decision"] not in _DECISIONS or row["id"] < 0:
        raise HTTPException(400, f"{what}: expected the id of a picture and one of {', '.join(_DECISIONS)}")
    if row["decision"] == "change" and row["label"] is None:
        raise HTTPException(400, f"{what}: expected the label of the class that the picture is changed to")
    return {"id": row["id"], "decision": row["decision"], "label": row["label"]}


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
