"""Who may ask a page, and what every answer brings."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tlearn.base.errors import TlearnError
from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions

TOKEN = "a-token-of-this-test"


async def _answer(request: Request) -> Response:
    if request.query_params.get("fault"):
        raise TlearnError("expected a picture, got a text")
    return PlainTextResponse("answered")


def client(options: ServerOptions | None = None, host: str = "127.0.0.1:8760") -> TestClient:
    routes = [Route("/", _answer, methods=["GET", "POST"])]
    return TestClient(page_app(routes, options or ServerOptions()), base_url=f"http://{host}", follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8760", "localhost:1", "[::1]:8760", "localhost"])
def test_this_machine_is_let_in(host: str) -> None:
    assert client(host=host).get("/").text == "answered"


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org:8760", "10.0.0.1"])
def test_a_name_that_leads_here_from_elsewhere_is_refused(host: str) -> None:
    answer = client(host=host).get("/")
    assert (answer.status_code, answer.json()["error"]) == (421, "this page answers to 127.0.0.1 and localhost only")


@pytest.mark.parametrize("origin", ["http://example.org", "http://127.0.0.1:9999", "null"])
def test_pages_of_other_sites_are_refused(origin: str) -> None:
    answer = client().post("/", headers={"origin": origin})
    assert (answer.status_code, answer.json()["error"]) == (403, "a page of another site asked")
    assert client().post("/", headers={"origin": "http://127.0.0.1:8760"}).text == "answered"


def test_every_answer_forbids_what_comes_from_elsewhere() -> None:
    for answer in (client().get("/"), client().get("/missing"), client(host="example.org").get("/")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_fault_is_one_line() -> None:
    answer = client().get("/?fault=1")
    assert (answer.status_code, answer.json()) == (400, {"error": "expected a picture, got a text"})


def test_other_machines_need_the_token_with_every_request() -> None:
    with pytest.raises(TlearnError, match="lets other machines in, so every request needs a token"):
        ServerOptions(host="0.0.0.0")
    asked = client(ServerOptions(host="0.0.0.0", token=TOKEN), host="192.0.2.7:8760")
    assert asked.get("/").status_code == 401
    assert asked.get("/", headers={"authorization": "Bearer wrong-token-of-this"}).status_code == 401
    assert asked.get("/", headers={"authorization": f"Bearer {TOKEN}"}).text == "answered"
    opened = asked.get(f"/?token={TOKEN}", headers={"accept": "text/html,*/*"})
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert asked.get("/").text == "answered"  # the cookie that came with it
