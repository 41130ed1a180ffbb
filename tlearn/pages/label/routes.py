"""The page of `label`: its addresses, each a thin one on the rounds and the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tlearn.base.errors import TlearnError
from tlearn.pages.label.rounds import Labelling, Rounds
from tlearn.pages.server.app import page, page_app
from tlearn.pages.server.image_route import image_route
from tlearn.pages.server.json_answers import JSONAnswer
from tlearn.pages.server.json_bodies import json_body
from tlearn.pages.server.options import ServerOptions
from tlearn.pages.server.pool_key import check_pool

MOST_AT_ONCE = 500  # pictures of a batch, and decisions of a request
_DECISIONS = ("label", "exclude", "unsure")


def label_app(session: Labelling, options: ServerOptions, command: str = "") -> Starlette:
    """Make the page that labels the pictures of a session.

    Args:
        session: What chooses the pictures and keeps the decisions.
        options: Who may ask.
        command: What to type when there are labels enough; the page shows it.
    """
    rounds = Rounds(session, command)

    async def index(request: Request) -> Response:
        return page("label/label.html.jinja", title="Label")

    async def state(request: Request) -> Response:
        return await _answer(rounds.state)

    async def batch(request: Request) -> Response:
        count, after = (request.query_params.get(name) for name in ("count", "after"))
        return await _answer(rounds.batch, None if count is None else _count(count), after)

    async def decide(request: Request) -> Response:
        return await _answer(rounds.decide, _decisions(await json_body(request, decisions=list)))

    async def undo(request: Request) -> Response:
        body = await json_body(request, ids=list | None, pool=str | None)
        ids = body["ids"]
        check_pool(body["pool"], session.key)
        return await _answer(rounds.undo, None if ids is None else [_id(each) for each in _list(ids)])

    async def add_class(request: Request) -> Response:
        return await _answer(rounds.add_class, (await json_body(request, name=str))["name"])

    routes = [
        Route("/", index),
        Route("/api/state", state),
        Route("/api/next", batch),
        Route("/api/decisions", decide, methods=["POST"]),
        Route("/api/undo", undo, methods=["POST"]),
        Route("/api/classes", add_class, methods=["POST"]),
    ]
    return page_app([*routes, image_route(session.path, session.reading)], options)


async def _answer(work: Callable[..., Any], *words: Any) -> Response:
    return JSONAnswer(await run_in_threadpool(work, *words))


def _decisions(body: dict[str, Any]) -> list[dict[str, Any]]:
    taken = []
    for each in _list(body.get("decisions")):
        if not isinstance(each, dict) or each.get("decision") not in _DECISIONS:
            raise TlearnError(f"expected a decision of {', '.join(_DECISIONS)}")
        one: dict[str, Any] = {"id": _id(each.get("id")), "decision": each["decision"]}
        if one["decision"] == "label":
            one["label"] = _text(each.get("label"))
        if each.get("name") is not None:
            one["name"] = _text(each["name"])
        taken.append(one)
    return taken


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_AT_ONCE:
        raise TlearnError(f"expected a list of 1 to {MOST_AT_ONCE}")
    return value


def _id(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TlearnError("expected the id of a picture, a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TlearnError("expected a text")
    return value


def _count(typed: str) -> int:
    if not typed.isascii() or not typed.isdigit() or not 0 < int(typed[:4]) <= MOST_AT_ONCE or len(typed) > 3:
        raise TlearnError(f"count: expected a number from 1 to {MOST_AT_ONCE}")
    return int(typed)
