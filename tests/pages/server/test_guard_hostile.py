"""Who is refused, and that a refusal or a fault is one line with all headers."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tlearn.base.errors import TlearnError
from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions

TOKEN = "a-token/with+all=sorts;of\"marks'"
HTML = {"accept": "text/html"}


async def _answer(request: Request) -> Response:
    if request.query_params.get("fault"):
        raise KeyError("no such\nkey")
    return PlainTextResponse("answered")


def client(options: ServerOptions | None = None, host: str = "127.0.0.1:8760") -> TestClient:
    routes = [Route("/", _answer, methods=["GET", "POST"]), Route("/deep/path", _answer)]
    return TestClient(page_app(routes, options or ServerOptions()), base_url=f"http://{host}", follow_redirects=False)


def hosted(host: str, options: ServerOptions | None = None) -> int:
    return client(options).get("/", headers={"host": host}).status_code


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil@127.0.0.1", "127.0.0.1@evil.example", "127.0.0.1:80@evil.example", "127.0.0.1:port", "127.0.0.1:"),
        *("127.0.0.1, evil.example", "evil.example, 127.0.0.1", "127.0.0.1.evil.example", "[::1].evil.example", "[::1"),
        *("2130706433", "0x7f.1", "127.1", "0.0.0.0", "[::]", "localhost.evil.example", "127.0.0.1\t", "127.0.0.2"),
    ],
)
def test_hosts_that_only_look_like_this_machine_are_refused(host: str) -> None:
    assert hosted(host) == 421


def test_the_address_that_is_printed_is_let_in() -> None:
    assert hosted("127.0.0.2:8760", ServerOptions(host="127.0.0.2")) == 200
    assert hosted("LocalHost:8760") == 200
    assert hosted("[::1]:8760", ServerOptions(host="::1")) == 200


@pytest.mark.parametrize("origin", ["http://[", "http://", "null", "", "file://", "http://127.0.0.1", "x" * 3000])
def test_any_other_origin_is_refused(origin: str) -> None:
    assert client().post("/", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_page_of_another_site_embeds_is_refused_and_a_link_works(site: str) -> None:
    embedded = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert client().get("/", headers=embedded).status_code == 403
    followed = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert client().get("/", headers=followed).status_code == 200
    assert client().post("/", headers=followed).status_code == 403


def test_a_question_before_a_cross_origin_request_is_refused() -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = client().options("/", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("OPTIONS", 405), ("PUT", 405), ("TRACE", 405), ("X", 405)]
)
def test_other_methods_are_answered(method: str, status: int) -> None:
    answer = client().request(method, "/")
    assert answer.status_code == status
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_what_is_not_there_is_named() -> None:
    assert client().get("/no%0asuch/page").json() == {"error": "there is nothing at /no?such/page"}
    assert client().put("/").json() == {"error": "Method Not Allowed: PUT /"}


STATIC = [
    "../app.py",
    "..%2fapp.py",
    "%2e%2e/%2e%2e/__init__.py",
    "..\\app.py",
    "%00",
    "common.js%00",
    "x" * 5000,
    "",
    "%ff",
]


@pytest.mark.parametrize("path", STATIC)
def test_static_files_are_those_of_the_folder(path: str) -> None:
    answer = client().get(f"/static/{path}")
    assert answer.status_code in (400, 404, 405)
    assert "\n" not in answer.json()["error"]


def test_static_files_are_checked_anew() -> None:
    answer = client().get("/static/common.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    again = client().get("/static/common.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_fault_of_ours_says_where_only_on_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = client().get("/?fault=1")
    said = "a fault in tlearn; the terminal where the page was started says more"
    assert (answer.status_code, answer.json()) == (500, {"error": said})
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    printed = capsys.readouterr().err
    assert printed == "a page failed: KeyError: 'no such\\nkey'; TLEARN_DEBUG=1 shows where it came from\n"
    monkeypatch.setenv("TLEARN_DEBUG", "1")
    assert client().get("/?fault=1").json() == {"error": said}
    assert "Traceback" in capsys.readouterr().err


def test_the_token_leaves_the_address_and_the_rest_of_it_stays() -> None:
    asked = client(ServerOptions(token=TOKEN))
    assert asked.get("/").status_code == 401
    opened = asked.get("/deep/path", params={"class": "a b", "token": TOKEN, "empty": ""}, headers=HTML)
    assert (opened.status_code, opened.headers["location"]) == (303, "/deep/path?class=a+b&empty=")
    assert "httponly" in opened.headers["set-cookie"].lower()
    assert "samesite=strict" in opened.headers["set-cookie"].lower()
    assert asked.get(opened.headers["location"]).text == "answered"
    assert client(ServerOptions(token=TOKEN)).post("/", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize("path", ["//evil.example/", "/%2fevil.example/", "/\\evil.example", "///evil.example"])
def test_an_address_with_the_token_leads_nowhere_else(path: str) -> None:
    app = page_app([], ServerOptions(token=TOKEN))
    answer = TestClient(app, follow_redirects=False).get(
        f"http://127.0.0.1:8760{path}", params={"token": TOKEN}, headers=HTML | {"host": "127.0.0.1:8760"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/evil.example")


@pytest.mark.parametrize(
    "cookie", ["=", ";;;", "tlearn-8760", 'tlearn-8760="', "tlearn-8760=wrong", "\xff=\xfe", "a" * 9000]
)
def test_hostile_cookies_are_refused(cookie: str) -> None:
    answer = client(ServerOptions(token=TOKEN)).get("/", headers={b"cookie": cookie.encode("latin-1")})
    assert answer.status_code == 401


@pytest.mark.parametrize("token", ["a token with blanks", "line\nline line line", "\u00fc" * 16, "short"])
def test_tokens_that_no_header_can_carry_are_refused(token: str) -> None:
    with pytest.raises(TlearnError, match="--token: expected 16 or more ASCII characters without blanks"):
        ServerOptions(token=token)
