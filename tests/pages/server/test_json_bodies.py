"""What a page takes as JSON, and the line that says why not."""

from __future__ import annotations

import json

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tlearn.pages.server.app import page_app
from tlearn.pages.server.json_bodies import fields_of, json_body
from tlearn.pages.server.options import ServerOptions

JSON = {"content-type": "application/json"}


async def _take(request: Request) -> Response:
    body = await json_body(request, decisions=list, note=str | None)
    each = [fields_of(one, f"decisions[{at}]", id=int, share=float | None) for at, one in enumerate(body["decisions"])]
    return JSONResponse({"taken": each, "note": body["note"]})


def sent(content: str | bytes, **headers: str) -> tuple[int, dict[str, object]]:
    app = page_app([Route("/take", _take, methods=["POST"])], ServerOptions())
    answer = TestClient(app, base_url="http://127.0.0.1").post("/take", content=content, headers=JSON | headers)
    return answer.status_code, answer.json()


def test_what_fits_is_taken_and_what_may_be_missing_is_none() -> None:
    assert sent('{"decisions": [{"id": 7}, {"id": 0, "share": 1}], "note": null}') == (
        200,
        {"taken": [{"id": 7, "share": None}, {"id": 0, "share": 1}], "note": None},
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "the request: expected an object, got []"),
        ('"text"', 'the request: expected an object, got "text"'),
        ("{}", "the request: decisions: expected a list, got nothing"),
        ('{"decisions": null}', "the request: decisions: expected a list, got null"),
        ('{"decisions": {"0": 1}}', 'the request: decisions: expected a list, got {"0": 1}'),
        ('{"decisions": [], "other": 1}', "the request: expected decisions, note, got 'other'"),
        ('{"decisions": [], "note": 3}', "the request: note: expected a text or null, got 3"),
        ('{"decisions": [3]}', "decisions[0]: expected an object, got 3"),
        ('{"decisions": [{"id": true}]}', "decisions[0]: id: expected a whole number, got true"),
        ('{"decisions": [{"id": 1.5}]}', "decisions[0]: id: expected a whole number, got 1.5"),
        ('{"decisions": [{"id": "1"}]}', 'decisions[0]: id: expected a whole number, got "1"'),
        ('{"decisions": [{"id": 1, "share": NaN}]}', "expected JSON in UTF-8, got something else (NaN)"),
        ('{"decisions": [{"id": 1, "share": 1e999}]}', "expected JSON in UTF-8, got something else (the number 1e999)"),
        (
            '{"decisions": [{"id": ' + "9" * 5000 + "}]}",
            "expected JSON in UTF-8, got something else (a whole number of",
        ),
        ('{"decisions": [], "note": "\\ud800"}', "expected JSON in UTF-8, got something else ("),
        (b"\xff\xfe", "expected JSON in UTF-8, got something else ("),
        ("", "expected JSON in UTF-8, got something else ("),
        ('{"decisions": ', "expected JSON in UTF-8, got something else ("),
        ("[" * 100_000, "the JSON is nested too deep"),
        ('{"decisions": [' + "[" * 900 + "]" * 900 + "]}", "decisions[0]: expected an object, got [[["),
    ],
)
def test_anything_else_is_refused_in_one_line(content: str | bytes, said: str) -> None:
    status, answer = sent(content)
    assert status == 400
    assert str(answer["error"]).startswith(said)
    assert len(str(answer["error"])) < 200
    assert "\n" not in str(answer["error"])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_of_another_site_could_send_is_refused(kind: str) -> None:
    status, answer = sent(json.dumps({"decisions": []}), **{"content-type": kind})
    assert (status, answer["error"]) == (415, f"content-type: expected application/json, got {kind!r}")
    assert sent('{"decisions": []}', **{"content-type": "Application/JSON; charset=utf-8"})[0] == 200


def test_the_body_ends_at_its_limit() -> None:
    assert sent('{"decisions": [], "note": "' + "x" * 2**22 + '"}') == (
        413,
        {"error": "expected at most 4 MiB at once, got more"},
    )
