"""What is asked beside answers: where the network looked, training pictures, and corrections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tlearn.data.files.reading import Framing, reason_of
from tlearn.pages.serve.attention import attention_png, looked_at
from tlearn.pages.serve.corrections import FOLDER, Corrections
from tlearn.pages.serve.queries import check_names, run_named
from tlearn.pages.serve.served_run import ServedRun
from tlearn.pages.serve.turns import Turns, unless_gone
from tlearn.pages.serve.uploads import Upload, decoded, safe_name, uploads_of
from tlearn.pages.server.image_route import image_route
from tlearn.pages.server.json_answers import JSONAnswer

Got = TypeVar("Got")


def grad_cam_route(runs: Sequence[ServedRun], turns: Turns) -> Route:
    """Make ``POST /grad_cam?run=&class=``: a PNG to be laid over the picture that was sent."""

    async def answer(request: Request) -> Response:
        check_names(request.query_params, ("run", "class", "name"))
        run = run_named(runs, request.query_params.get("run"))
        output = _output(run, request.query_params.get("class"))
        async with uploads_of(request, 1) as uploads:
            with turns.places(1):
                picture = await _read(turns, looked_at, uploads.pictures[0], run)
                compute = partial(attention_png, run.predictor.module, run.predictor.framing, output)
                made = await unless_gone(request, turns.computed(compute, 1, picture))
        return Response(made, media_type="image/png")

    return Route("/grad_cam", answer, methods=["POST"])


def nearest_routes(runs: Sequence[ServedRun]) -> list[Route]:
    """Make ``GET /nearest/RUN/ROW``: a training picture that the run has named, small."""
    return [image_route(run.path_of, run.predictor.framing.reading, f"/nearest/{run.name}/{{id}}") for run in runs]


def correction_routes(runs: Sequence[ServedRun], turns: Turns) -> list[BaseRoute]:
    """Make ``POST /corrections`` and ``POST /corrections/undo``."""
    kept = {run.name: Corrections(run.folder, run.predictor.class_names) for run in runs}

    async def keep(request: Request) -> Response:
        check_names(request.query_params, ("run",))
        run = run_named(runs, request.query_params.get("run"))
        if run.predictor.module.task != "classification":
            raise HTTPException(400, "corrections are kept where a picture has one class")
        async with uploads_of(request, 1) as uploads:
            upload, fields = uploads.pictures[0], uploads.fields
            odd = sorted(fields.keys() - {"name", "class", "label"})
            if odd or "label" not in fields:
                got = repr(odd[0][:40]) if odd else "no label"
                raise HTTPException(400, f"expected the fields picture, label, class and name, got {got}")
            await _read(turns, decoded, upload, run)
            name = safe_name(fields.get("name", "")) if fields.get("name") else upload.name
            given = name, upload.data(), fields["label"], fields.get("class", "")
            file = await run_in_threadpool(kept[run.name].keep, *given)
        query = urlencode({"run": run.name, "name": file})
        return JSONAnswer({"kept": f"{run.folder.name}/{FOLDER}/{file}", "undo": f"/corrections/undo?{query}"})

    async def undo(request: Request) -> Response:
        check_names(request.query_params, ("run", "name"))
        run, file = run_named(runs, request.query_params.get("run")), request.query_params.get("name", "")
        await run_in_threadpool(kept[run.name].undo, file)
        return JSONAnswer({"undone": file})

    return [Route("/corrections", keep, methods=["POST"]), Route("/corrections/undo", undo, methods=["POST"])]


def _output(run: ServedRun, name: str | None) -> int | None:
    """Return the number of the output of a class or column; ``None`` for the surest class."""
    names = run.predictor.class_names
    if name is None:
        return 0 if run.predictor.module.task == "regression" else None
    if name not in names:
        raise HTTPException(400, f"class: expected a class of the run, got {name[:80]!r}")
    return names.index(name)


async def _read(turns: Turns, read: Callable[[Upload, Framing], Got], upload: Upload, run: ServedRun) -> Got:
    try:
        return await turns.decoded(read, upload, run.predictor.framing)
    except Exception as error:  # decoders fail in every way that there is
        raise HTTPException(400, f"{upload.name}: {reason_of(error)}") from error
