"""Clients that break HTTP, or keep the server waiting: one line or the end for them, and others are served."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.pages.page_process import answer, large
from tests.pages.served import served
from tlearn.pages.server import body_limit, patience
from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions

Address = tuple[str, int]
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = GET + b"Connection: close\r\n\r\n"


async def slow(request: Request) -> Response:
    await asyncio.sleep(1)
    return PlainTextResponse("at last")


@pytest.fixture(scope="module")
def place() -> Iterator[Address]:
    routes = [Route("/", answer, methods=["GET", "POST"]), Route("/large", large), Route("/slow", slow)]
    with served(page_app(routes, ServerOptions(), most_bytes=100_000)) as address:
        host, _, port = address.split("/")[2].rpartition(":")
        yield host, int(port)


@pytest.fixture(autouse=True)
def the_next_is_answered(place: Address) -> Iterator[None]:
    yield
    assert told(place, GOOD)[1] == b"answered GET 0"


def told(place: Address, sent: bytes, patience_s: float = 10) -> tuple[int, bytes]:
    """Send bytes, and return status and body of the first answer; 0 for a connection that ended without one."""
    heard = heard_from(place, sent, patience_s)
    head, _, body = heard.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body) if head else (0, b"")


def heard_from(place: Address, sent: bytes, patience_s: float = 10) -> bytes:
    with socket.create_connection(place, timeout=patience_s) as client:
        client.sendall(sent)
        return read_from(client)


def read_from(client: socket.socket) -> bytes:
    heard = bytearray()
    with suppress(ConnectionResetError):
        while part := client.recv(2**20):
            heard += part
    return bytes(heard)


BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: evil.example\r\n\r\n",
    "a name of bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in words": POST + b"Content-Length: ten\r\n\r\n",
    "a line folded": GET + b"X: a\r\n b: c\r\n\x00: d\r\n\r\n",
    "a zero in a line": GET + b"X: a\x00b\r\n\r\n",
    "another coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "chunks of no size": CHUNKED + b"ten\r\nabc\r\n",
    "no version": b"GET /\r\n\r\n",
    "a long name": b"GET /" + b"x" * 300_000,
    "many lines": GET + b"".join(b"x%d: y\r\n" % number for number in range(60_000)),
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=list(BROKEN))
def test_what_is_no_http_gets_one_line_and_the_headers(place: Address, sent: bytes) -> None:
    heard = heard_from(place, sent)
    if not heard:  # a reset came before the answer: more had been sent than was read
        assert len(sent) > 65536
        return
    head, _, body = heard.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1.1 (4|50)[0-9]{1,2} ", head)
    assert b"content-security-policy: default-src 'none'" in head
    assert set(json.loads(body)) == {"error"}
    assert "\n" not in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", 200),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nConnection: close\r\n\r\n", 421),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /%zz%ff%00%c0%ae HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /static/..%2f..%2f__init__.py HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /static/../server/app.py HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 200),
        (b"BREW / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 405),
    ],
)
def test_odd_requests_are_answered_as_what_they_are(place: Address, sent: bytes, status: int) -> None:
    assert told(place, sent)[0] == status


def test_a_websocket_is_not_opened(place: Address) -> None:
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    sent = GET + b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n" + key + b"\r\n"
    assert b" 101 " not in heard_from(place, sent).partition(b"\r\n")[0]


def test_requests_that_come_at_once_are_answered_one_after_the_other(place: Address) -> None:
    heard = heard_from(place, GET + b"\r\n" + POST + b"Content-Length: 5\r\n\r\nabcde" + GOOD)
    assert re.findall(rb"answered \w+ \d", heard) == [b"answered GET 0", b"answered POST 5", b"answered GET 0"]


def test_a_body_ends_at_its_limit_whatever_is_said_of_its_length(
    place: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limit, "_THROWN_AWAY_S", 0.3)
    said = b'{"error":"expected at most 100,000 bytes at once, got more"}'
    assert told(place, POST + b"Connection: close\r\nContent-Length: 100001\r\n\r\n" + bytes(100_001)) == (413, said)
    assert told(place, POST + b"Content-Length: 999999999999999999\r\n\r\n" + bytes(100)) == (413, said)
    assert told(place, POST + b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n") == (413, said)
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    assert told(place, CHUNKED.replace(b"Transfer", b"Connection: close\r\nTransfer") + chunk * 3 + b"0\r\n\r\n") == (
        413,
        said,
    )
    assert told(place, CHUNKED + chunk + b"0\r\n\r\n" + GOOD)[1].startswith(b"answered POST 65536")


def test_who_sends_much_waits_for_others_who_do_and_who_sends_little_never(
    place: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_limit, "_AT_ONCE", 1)
    monkeypatch.setattr(body_limit, "_SMALL_BYTES", 1000)
    large, little = (POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size for size in (60_000, 900))
    with socket.create_connection(place) as holder:
        holder.sendall(large + bytes(50_000))
        time.sleep(0.2)
        assert told(place, large + bytes(60_000)) == (
            503,
            b'{"error":"too much is being sent at once; try again later"}',
        )
        assert told(place, little + bytes(900)) == (200, b"answered POST 900")
    time.sleep(0.2)
    assert told(place, large + bytes(60_000)) == (200, b"answered POST 60000")


def test_a_refusal_is_read_also_after_a_long_body(place: Address) -> None:
    sent = b"POST / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n" + bytes(
        5_000_000
    )
    assert told(place, sent)[0] == 421


def test_who_goes_in_the_middle_is_no_fault(place: Address, capfd: pytest.CaptureFixture[str]) -> None:
    for sent in (GET, POST + b"Content-Length: 10\r\n\r\nabc", CHUNKED + b"5\r\nab"):
        with socket.create_connection(place) as client:
            client.sendall(sent)
    time.sleep(0.2)
    assert told(place, GOOD)[0] == 200
    assert capfd.readouterr().err == ""


def ended_after(place: Address, sent: bytes, each: bytes, every_s: float = 0.05) -> tuple[float, bytes]:
    """Send bytes, then a few more again and again, and return when the connection ended and what was heard."""
    start = time.monotonic()
    with socket.create_connection(place, timeout=every_s) as client:
        client.sendall(sent)
        heard = b""
        while time.monotonic() - start < 10:
            try:
                client.sendall(each)
                if not (part := client.recv(65536)):
                    break
                heard += part
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
    return time.monotonic() - start, heard


def test_lines_that_come_a_byte_at_a_time_end(place: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_TICK_S", 0.1)
    for sent, each in ((b"", b""), (GET, b"x"), (GET + b"\r\n" + GET, b"x")):
        took_s, heard = ended_after(place, sent, each)
        assert 0.2 < took_s < 3
        assert heard.count(b"HTTP/1.1") == sent.count(b"\r\n\r\n")


def test_a_body_that_comes_a_byte_at_a_time_ends(place: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "_START_S", 0.5)
    monkeypatch.setattr(body_limit, "_THROWN_AWAY_S", 0.5)
    for sent, each in ((POST + b"Content-Length: 90000\r\n\r\n", b"x"), (CHUNKED, b"1\r\nx\r\n")):
        took_s, heard = ended_after(place, sent, each)
        assert 0.4 < took_s < 4
        assert heard.endswith(b'{"error":"what was sent came too slowly"}')


def test_who_never_reads_an_answer_is_let_go(place: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_TICK_S", 0.1)
    with socket.create_connection(place, timeout=10) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(1.5)
        count = len(read_from(client))
    assert count < 29_000_000


def test_who_reads_slowly_gets_everything(place: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_TICK_S", 0.1)
    count = 0
    with socket.create_connection(place, timeout=10) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        while part := client.recv(2**20):
            count += len(part)
            time.sleep(0.05)
    assert count > 30_000_000


def test_of_too_many_connections_the_most_silent_goes(place: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 5)
    with ExitStack() as opened:
        silent = [opened.enter_context(socket.create_connection(place, timeout=5)) for _ in range(5)]
        time.sleep(0.2)
        silent[0].sendall(GET)
        time.sleep(0.1)
        assert told(place, GOOD) == (200, b"answered GET 0")
        assert silent[1].recv(10) == b""
        silent[0].sendall(b"\r\n")
        assert silent[0].recv(20).startswith(b"HTTP/1.1 200 OK")


def test_who_waits_for_an_answer_stays(place: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 3)
    with ExitStack() as opened:
        asking = [opened.enter_context(socket.create_connection(place, timeout=5)) for _ in range(3)]
        for each in asking:
            each.sendall(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        assert told(place, GOOD) == (503, b'{"error": "too many requests at once; try again later"}')
        assert all(read_from(each).endswith(b"at last") for each in asking)


@pytest.mark.slow
def test_a_client_that_thinks_for_seven_seconds_keeps_its_connection(place: Address) -> None:
    with socket.create_connection(place, timeout=10) as client:
        client.sendall(GET + b"\r\n")
        time.sleep(7)  # a busy machine, or a person; uvicorn waits for 5 s
        client.sendall(GOOD)
        assert read_from(client).count(b"HTTP/1.1 200") == 2
