"""A page in a process of its own: where it says it is, how it ends, and who has the port."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.pages.page_process import page_process
from tests.pages.served import served
from tlearn.base.errors import TlearnError
from tlearn.pages.server.app import page_app
from tlearn.pages.server.options import ServerOptions
from tlearn.pages.server.running import listening

TOKEN = "a-token-of-this-test"
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HALF_BODY = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf"
NEVER_READS = b"GET /large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
IDLE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def text_at(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_ends_cleanly_whoever_hangs_on_it(number: signal.Signals) -> None:
    with page_process() as (process, address, port):
        assert text_at(address) == "answered GET 0"
        with ExitStack() as hanging:
            for sent in (b"", HALF_HEAD, HALF_BODY, NEVER_READS, IDLE):
                hanging.enter_context(socket.create_connection(("127.0.0.1", port))).sendall(sent)
            time.sleep(0.3)
            process.send_signal(number)
            start = time.monotonic()
            process.wait(timeout=20)
            took_s = time.monotonic() - start
        assert took_s < 5
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.returncode, process.stderr.read()) == (0, "")
        assert process.stdout.read() == "Ctrl-C ends it\n\nended\n"


@pytest.mark.slow
def test_no_connection_stays_open_behind_a_server_that_has_ended() -> None:
    async def large(request: Request) -> Response:
        return Response(bytes(2**26))

    with ExitStack() as open_ones:
        with served(page_app([Route("/large", large)], ServerOptions())) as address:
            port = int(address.rstrip("/").rsplit(":", 1)[1])
            client = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            client.sendall(NEVER_READS)
            time.sleep(0.3)
        with suppress(ConnectionResetError):
            while client.recv(2**20):
                pass


@pytest.mark.slow
def test_a_signal_right_after_the_address_ends_it_too() -> None:
    with page_process() as (process, _address, _port):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_two_are_side_by_side_and_a_taken_port_is_named() -> None:
    with page_process("", "", TOKEN) as first, page_process("", "", TOKEN) as second:
        assert first.port != second.port
        assert text_at(second.address) == "answered GET 0"
        command = [sys.executable, "-m", "tests.pages.page_process", "", str(first.port)]
        third = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert f"port {first.port} is taken; end what uses it, or leave out --port" in third.stderr


@pytest.mark.slow
def test_the_address_with_its_token_opens_the_page_and_nothing_else_does() -> None:
    with page_process("0.0.0.0", "", TOKEN) as (process, address, port):
        assert address == f"http://127.0.0.1:{port}/?token={TOKEN}"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            text_at(f"http://127.0.0.1:{port}/")
        assert text_at(address) == "answered GET 0"
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        opener.addheaders = [("accept", "text/html")]
        with opener.open(address, timeout=10) as answer:
            assert (answer.url, answer.read()) == (f"http://127.0.0.1:{port}/", b"answered GET 0")
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "Ctrl-C ends it\n" or re.fullmatch(
            rf"from other machines: http://.*:{port}/\?token={TOKEN}\n", line
        )


@pytest.mark.slow
def test_open_hands_the_address_to_the_browser(tmp_path: Path) -> None:
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part && mv {tmp_path}/opened.part {tmp_path}/opened\n')
    script.chmod(0o755)
    with page_process("", "", "", "open", env={"BROWSER": f"{script} %s"}) as (_, address, _port):
        for _ in range(100):
            if (tmp_path / "opened").exists():
                break
            time.sleep(0.1)
        assert (tmp_path / "opened").read_text() == f"{address}\n"


def test_no_answer_waits_for_a_word_on_its_head() -> None:
    with listening(ServerOptions()) as door:
        assert door.proto == socket.IPPROTO_TCP  # else asyncio sets no TCP_NODELAY: 40 ms for each answer


def test_where_nothing_can_listen_is_one_line() -> None:
    with listening(ServerOptions()) as door:
        port = door.getsockname()[1]
        with pytest.raises(TlearnError, match=f"port {port} is taken; end what uses it, or leave out --port"):
            listening(ServerOptions(port=port))
    with pytest.raises(TlearnError, match=r"cannot listen on 192\.0\.2\.1, port 8760: "):
        listening(ServerOptions(host="192.0.2.1", token=TOKEN))
    with pytest.raises(TlearnError, match=r"cannot listen on no\.such\.host\.invalid, port 8760: "):
        listening(ServerOptions(host="no.such.host.invalid", token=TOKEN))
