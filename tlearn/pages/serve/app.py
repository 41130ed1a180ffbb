"""The application of ``serve``: pictures in, answers out, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from torch import Tensor

from tlearn.base.errors import TlearnError
from tlearn.data.files.reading import Framing, reason_of
from tlearn.pages.serve.answer_json import answer_of
from tlearn.pages.serve.further_routes import correction_routes, grad_cam_route, nearest_routes
from tlearn.pages.serve.openapi import openapi
from tlearn.pages.serve.options import ServeOptions
from tlearn.pages.serve.page_routes import page_routes
from tlearn.pages.serve.queries import Asked, asked_of
from tlearn.pages.serve.served_run import Compute, ServedRun, about_run, name_runs
from tlearn.pages.serve.turns import Turns, unless_gone
from tlearn.pages.serve.uploads import Upload, decoded, uploads_of
from tlearn.pages.server.app import page_app
from tlearn.pages.server.json_answers import JSONAnswer
from tlearn.pages.server.options import ServerOptions
from tlearn.version import __version__


def app(
    runs: str | Path | Sequence[str | Path],
    options: ServeOptions | None = None,
    server: ServerOptions | None = None,
    *,
    device: str = "cpu",
) -> Starlette:
    """Make an ASGI application that answers for pictures, as ``tlearn serve`` does, for a server of your own.

    Args:
        runs: A run folder, whose best checkpoint is taken, a checkpoint, or several of them.
        options: Limits of what clients may send.
        server: Who may ask. By default only who calls the host ``127.0.0.1`` or ``localhost``; with another `host` a
            `token` is needed. Where it listens is your server's matter.
        device: Where it computes, as torch names it.

    Raises:
        TlearnError: There is no checkpoint, it cannot be read, or there is no such device.
    """
    given = [runs] if isinstance(runs, (str, Path)) else list(runs)
    if not given:
        raise TlearnError("expected one or more runs to serve, got none")
    served = [ServedRun(run, device) for run in given]
    name_runs(served)
    return serve_app(served, options or ServeOptions(), server or ServerOptions())


def serve_app(runs: Sequence[ServedRun], options: ServeOptions, server: ServerOptions) -> Starlette:
    """Make the application of runs that are open.

    Args:
        runs: What is served.
        options: Limits of what clients may send.
        server: Who may ask.
    """
    turns = Turns(options.max_waiting)
    answers = _Answers(runs, options, server, turns)
    described = openapi(runs, options)

    async def description(request: Request) -> Response:
        return JSONAnswer(described)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(turns.batcher.end)

    routes: list[BaseRoute] = [
        *page_routes(", ".join(run.name for run in runs)),
        Route("/predict", answers.predict, methods=["POST"]),
        Route("/health", answers.health),
        Route("/openapi.json", description),
        grad_cam_route(runs, turns),
        *nearest_routes(runs),
        *(correction_routes(runs, turns) if options.corrects else ()),
    ]
    return page_app(routes, server, lifespan, options.max_bytes)


class _Answers:
    def __init__(self, runs: Sequence[ServedRun], options: ServeOptions, server: ServerOptions, turns: Turns) -> None:
        self._runs, self._options, self._server, self._turns = runs, options, server, turns

    async def predict(self, request: Request) -> Response:
        """Answer for the pictures of a request."""
        asked = asked_of(request.query_params, self._runs)
        computes = [await run_in_threadpool(run.compute_for, asked.options) for run in asked.runs]
        async with uploads_of(request, self._options.max_pictures) as uploads:
            with self._turns.places(len(uploads.pictures) * len(asked.runs)):
                found = await unless_gone(request, self._all_answered(uploads.pictures, asked, computes))
        return JSONAnswer({"answers": [answer for answers in found for answer in answers]})

    async def health(self, request: Request) -> Response:
        """Say what is served, and how it goes."""
        return JSONAnswer(
            {
                "status": "ok",
                "versions": {"tlearn": __version__, "torch": torch.__version__},
                "runs": [about_run(run) for run in self._runs],
                "answered": self._turns.batcher.done,
                "waiting": self._turns.batcher.waiting,
                "limits": {
                    "pictures": self._options.max_pictures,
                    "bytes": self._options.max_bytes,
                    "waiting": self._options.max_waiting,
                },
                "needs_token": self._server.token is not None,
                "corrections": self._options.corrects,
            }
        )

    async def _all_answered(
        self, pictures: Sequence[Upload], asked: Asked, computes: Sequence[Compute]
    ) -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(self._answered(each, asked, computes) for each in pictures))

    async def _answered(self, upload: Upload, asked: Asked, computes: Sequence[Compute]) -> list[dict[str, Any]]:
        """Return the answers of all runs for a picture, or why there is none."""
        framing: Framing | None = None
        read: tuple[Tensor, str] | None = None
        answers = []
        for run, compute in zip(asked.runs, computes, strict=True):
            if read is None or run.predictor.framing != framing:
                framing = run.predictor.framing
                try:
                    read = await self._turns.decoded(decoded, upload, framing)
                except Exception as error:  # decoders fail in every way that there is
                    return [{"name": upload.name, "error": reason_of(error)}]
            prediction = await self._turns.computed(compute, run.at_once, read[0])
            answers.append(answer_of(run, upload.name, prediction, read[1], asked.top_k))
        return answers
