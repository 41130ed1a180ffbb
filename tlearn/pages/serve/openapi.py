"""The description of the programming interface in OpenAPI 3.1, made for the runs that are served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlearn.base.types import Task
from tlearn.pages.serve.options import ServeOptions
from tlearn.pages.serve.served_run import ServedRun
from tlearn.version import __version__

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_PICTURE: Schema = {"type": "string", "contentMediaType": "image/*"}
_ERRORS = {
    "400": "what was asked or sent means nothing",
    "401": "the token is missing",
    "404": "there is no such run or picture",
    "408": "what was sent came too slowly",
    "413": "too many bytes or pictures at once",
    "503": "too many pictures wait; try again after the seconds of Retry-After",
}


def openapi(runs: Sequence[ServedRun], options: ServeOptions) -> dict[str, Any]:
    """Describe what is served, as the content of ``/openapi.json``."""
    run = _query("run", {"type": "string", "enum": [each.name for each in runs]}, "who answers; by default the first")
    every = run | {"description": "who answers, several times for several; by default all", "explode": True}
    every["schema"] = {"type": "array", "items": run["schema"]}
    paths: dict[str, Any] = {
        "/predict": {"post": _predict([*_questions(), every], options)},
        "/health": {"get": _get("Say what is served, and how it goes.", _json(_health()))},
        "/openapi.json": {"get": _get("This description.", _json({"type": "object"}))},
        "/grad_cam": {"post": _grad_cam(run)},
        "/nearest/{run}/{row}": {"get": _nearest(run)},
    }
    if options.corrects:
        paths |= {"/corrections": {"post": _correct(run)}, "/corrections/undo": {"post": _undo(run)}}
    tasks = dict.fromkeys(each.predictor.module.task for each in runs)
    answers = {f"Answer_{task}": _answer(task) for task in tasks}
    failed = _object({"name": _TEXT, "error": _TEXT})
    known = [{"$ref": f"#/components/schemas/{name}"} for name in (*answers, "Failed")]
    given = _object({"answers": {"type": "array", "items": {"anyOf": known}}})
    schemas = {**answers, "Failed": failed, "Answers": given, "Error": _object({"error": _TEXT})}
    return {
        "openapi": "3.1.0",
        "info": {"title": "tlearn serve", "version": __version__, "summary": "A trained network answers for pictures."},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }


def _questions() -> list[Schema]:
    share: Schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    return [
        _query("coverage", share, "in this share of pictures the set, or interval, holds the truth"),
        _query("coverage_by", {"enum": ["all", "class", "group"]}, "whom that is promised"),
        _query("min_accuracy", share, "of the answers given are right; the rest is unknown"),
        _query("unknown", _FLAG, "pictures like none of the training pictures are unknown"),
        _query("nearest", {"type": "integer", "minimum": 0, "maximum": 100}, "training pictures named for each"),
        _query("top_k", {"type": "integer", "minimum": 1}, "classes that are listed; by default all"),
        _query("name", _TEXT, "of the picture, where its bytes alone are sent"),
    ]


def _predict(parameters: list[Schema], options: ServeOptions) -> Schema:
    most = {"type": "array", "items": _PICTURE, "maxItems": options.max_pictures}
    form: Schema = {"type": "object", "properties": {"pictures": most}, "required": ["pictures"]}
    body = {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": _PICTURE}}
    said = f"Answer for pictures, at most {options.max_pictures} and {options.max_mb} MiB at once; each by each run."
    good = {"application/json": {"schema": {"$ref": "#/components/schemas/Answers"}}}
    return {"summary": said, "parameters": parameters, "requestBody": _body(body), "responses": _responses(good)}


def _grad_cam(run: Schema) -> Schema:
    form: Schema = {"type": "object", "properties": {"picture": _PICTURE}, "required": ["picture"]}
    parameters = [
        run,
        _query("class", _TEXT, "that is explained; by default the surest"),
        _query("name", _TEXT, "of it"),
    ]
    body = {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": _PICTURE}}
    said = "Where the network looked, as a PNG to be laid over the picture (Grad-CAM)."
    return {
        "summary": said,
        "parameters": parameters,
        "requestBody": _body(body),
        "responses": _responses({"image/png": {}}),
    }


def _nearest(run: Schema) -> Schema:
    places = [_in_path("run", run["schema"]), _in_path("row", _COUNT)]
    size = _query("size_px", {"type": "integer", "minimum": 16, "maximum": 2048}, "of the longer side")
    answer = _get("A training picture, small.", {"image/jpeg": {}, "image/png": {}})
    return {**answer, "parameters": [*places, size]}


def _correct(run: Schema) -> Schema:
    fields = {"picture": _PICTURE, "label": _TEXT, "class": _TEXT, "name": _TEXT}
    form: Schema = {"type": "object", "properties": fields, "required": ["picture", "label"]}
    good = _json(_object({"kept": _TEXT, "undo": _TEXT}))
    said = "Keep a picture with the label that it should have had, in the folder of the run."
    body = _body({"multipart/form-data": {"schema": form}})
    responses = _responses(good) | {"507": _error("no more corrections fit")}
    return {"summary": said, "parameters": [run], "requestBody": body, "responses": responses}


def _undo(run: Schema) -> Schema:
    parameters = [run, {**_query("name", _TEXT, "of the file that was kept"), "required": True}]
    good = _json(_object({"undone": _TEXT}))
    return {"summary": "Take a correction back.", "parameters": parameters, "responses": _responses(good)}


def _answer(task: Task) -> Schema:
    neighbour = _object({"name": _TEXT, "label": _TEXT, "distance": _NUMBER, "image": _or_null(_TEXT)})
    shared = {
        "name": _TEXT,
        "run": _TEXT,
        "unknown": _FLAG,
        "why_unknown": {"type": "array", "items": {"enum": ["confidence", "stranger"]}},
        "stranger": _or_null(_SHARE),
        "is_stranger": _FLAG,
        "nearest": {"type": "array", "items": neighbour},
        "remark": _TEXT,
    }
    if task == "regression":
        ends = {"type": "object", "additionalProperties": _object({"low": _NUMBER, "high": _NUMBER})}
        numbers = {"type": "object", "additionalProperties": _NUMBER}
        ends_of_one = {"low": _or_null(_NUMBER), "high": _or_null(_NUMBER)}
        return _object(shared | {"value": _or_null(_NUMBER), "values": numbers, **ends_of_one, "intervals": ends})
    names: Schema = {"type": "array", "items": _TEXT}
    listed = {"type": "array", "items": _object({"class": _TEXT, "probability": _SHARE})}
    answer = shared | {"class": _TEXT, "probability": _SHARE, "probabilities": listed, "set": _or_null(names)}
    return _object(answer | ({"classes": names, "unknown_classes": names} if task == "multilabel" else {}))


def _health() -> Schema:
    flags = dict.fromkeys(("coverage", "min_accuracy", "strangers", "nearest"), _FLAG)
    texts = dict.fromkeys(("run", "task", "network", "fingerprint", "checkpoint", "score"), _TEXT)
    names = {"class_names": {"type": "array", "items": _TEXT}}
    texts |= dict.fromkeys(("trained", "reached"), _or_null(_TEXT))
    run = _object(texts | names | {"pictures": _or_null(_COUNT)} | flags)
    return _object(
        {
            "status": {"const": "ok"},
            "versions": _object({"tlearn": _TEXT, "torch": _TEXT}),
            "runs": {"type": "array", "items": run},
            "answered": _COUNT,
            "waiting": _COUNT,
            "limits": _object({"pictures": _COUNT, "bytes": _COUNT, "waiting": _COUNT}),
            "needs_token": _FLAG,
            "corrections": _FLAG,
        }
    )


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _query(name: str, schema: Schema, said: str) -> Schema:
    return {"name": name, "in": "query", "description": said, "schema": schema}


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _body(content: Schema) -> Schema:
    return {"required": True, "content": content}


def _get(said: str, content: Schema) -> Schema:
    return {"summary": said, "responses": _responses(content)}


def _responses(content: Schema) -> Schema:
    good = {"200": {"description": "as asked", "content": content}}
    return good | {status: _error(said) for status, said in _ERRORS.items()}


def _error(said: str) -> Schema:
    return {"description": said, "content": _json({"$ref": "#/components/schemas/Error"})}
