"""A server that answers as `tlearn serve` does, without a network: what it says of a picture is in the file's name."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tlearn.pages.serve.page_routes import page_routes
from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions

CLASSES = ["ants", "bees", "wasps"]
BROKEN = {"error": "broken or cut short: image file is truncated"}


@dataclass
class FakeServe:
    """What it answers, and what it was asked.

    Attributes:
        runs: Their names; the last answers "bees" for a name with ``differ`` where the others answer "ants".
        class_names: What it tells apart; the first is answered unless another stands in the picture's name.
        health: More of what `/health` says of each run.
        held_after: So many requests of `/predict` are answered, the others wait until it is ``None``.
        queries: Those of `/predict`, in order.
        uploads: Names in each request.
        corrections: What was kept.
        refuses: A line that `/predict` answers with status 400, while it is not empty.
    """

    runs: list[str] = field(default_factory=lambda: ["version_0"])
    class_names: list[str] = field(default_factory=lambda: list(CLASSES))
    health: dict[str, Any] = field(default_factory=dict)
    held_after: int | None = None
    queries: list[dict[str, str]] = field(default_factory=list)
    uploads: list[list[str]] = field(default_factory=list)
    corrections: list[dict[str, str]] = field(default_factory=list)
    refuses: str = ""

    def app(self, title: str = "ants and bees") -> Starlette:
        """Return it as an application, with the real page."""
        routes = [
            Route("/predict", self._predict, methods=["POST"]),
            Route("/health", self._health),
            Route("/grad_cam", self._grad_cam, methods=["POST"]),
            Route("/nearest/{run:path}/{row}", self._nearest),
            Route("/corrections", self._correct, methods=["POST"]),
            Route("/corrections/undo", self._undo, methods=["POST"]),
        ]
        return page_app([*page_routes(title), *routes], ServerOptions(), most_bytes=2**26)

    async def _health(self, request: Request) -> Response:
        about = {
            "task": "classification",
            "class_names": self.class_names,
            "network": "efficientnet_lite0 at 128 px",
            "trained": "2026-11-29T09:04:23+00:00",
            "pictures": 244,
            "score": "val/acc 0.9412",
            "reached": "test accuracy 96.1 % [91.7, 98.2], 147 of 153 test images",
        }
        return JSONResponse({"corrections": True, "runs": [about | {"run": name} | self.health for name in self.runs]})

    async def _predict(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.queries.append(query)
        async with request.form() as form:
            names = [str(getattr(each, "filename", each)) for each in form.getlist("pictures")]
        self.uploads.append(names)
        place = len(self.uploads)
        if self.refuses:
            return JSONResponse({"error": self.refuses}, 400)
        while self.held_after is not None and place > self.held_after:
            await asyncio.sleep(0.01)
        answers = [
            answer
            for name in names
            for answer in (
                [BROKEN | {"name": name}] if "broken" in name else (self._answer(name, query, r) for r in self.runs)
            )
        ]
        return JSONResponse({"answers": answers})

    def _answer(self, name: str, query: dict[str, str], run: str) -> dict[str, Any]:
        surest = next((known for known in self.class_names if known in name), self.class_names[0])
        if "differ" in name and run == self.runs[-1] != self.runs[0]:
            surest = self.class_names[1]
        sure = 0.58 if "unsure" in name else 0.971
        rest = [known for known in self.class_names if known != surest]
        shares = [(surest, sure), *((known, (1 - sure) * 0.75 / 2**place) for place, known in enumerate(rest))]
        why = ["confidence"] * ("unsure" in name and "min_accuracy" in query)
        why += ["stranger"] * ("stranger" in name and query.get("unknown") == "true")
        said = {
            "class": "unknown" if why else surest,
            "probability": sure,
            "probabilities": [{"class": known, "probability": share} for known, share in shares],
            "set": ([surest, rest[0]] if "unsure" in name else [surest]) if "coverage" in query else None,
        }
        if self.health.get("task") == "multilabel":
            said |= {"classes": [] if why else CLASSES[:2], "unknown_classes": CLASSES[:1] if why else []}
        if self.health.get("task") == "regression":
            ends = (3.5, 5.125) if "coverage" in query else (None, None)
            said = {"value": None if why else 4.25, "values": {}, "low": ends[0], "high": ends[1], "intervals": {}}
        return said | {
            "name": name,
            "run": run,
            "unknown": bool(why),
            "why_unknown": why,
            "stranger": 0.99 if "stranger" in name else 0.42,
            "is_stranger": "stranger" in name,
            "nearest": [_neighbour(run, surest, place) for place in range(int(query.get("nearest", 0)))],
            "remark": "numbers outside the range of the training pictures" if "remark" in name else "",
        }

    async def _grad_cam(self, request: Request) -> Response:
        # Laid over the whole upright picture: transparent where nothing speaks for the class, and outside of what the
        # network sees. The picture of the field `picture`; `run` and `class` in the address.
        return _png(Image.radial_gradient("L").point(lambda level: 255 - level).convert("RGBA"))

    async def _nearest(self, request: Request) -> Response:
        return _png(Image.new("RGB", (64, 64), (40 * int(request.path_params["row"]), 120, 90)))

    async def _correct(self, request: Request) -> Response:
        async with request.form() as form:
            kept = {key: str(value) for key, value in form.items() if key != "picture"}
        self.corrections.append(dict(request.query_params) | kept)
        return JSONResponse({"kept": "version_0/corrections/a-0123.jpg", "undo": "/corrections/undo?name=a-0123.jpg"})

    async def _undo(self, request: Request) -> Response:
        self.corrections.pop()
        return JSONResponse({})


def _neighbour(run: str, label: str, place: int) -> dict[str, Any]:
    name, image = f"train/{label}/{place}.jpg", f"/nearest/{quote(run, safe='')}/{place}"
    return {"name": name, "label": label, "distance": 0.1 + place / 50, "image": image}


def _png(image: Image.Image) -> Response:
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return Response(file.getvalue(), media_type="image/png")
