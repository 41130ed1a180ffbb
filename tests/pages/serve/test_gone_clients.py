"""What a client has asked for and no longer waits for takes nobody's time."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.helpers.dashboard_server import eventually
from tests.helpers.fake_pictures import write_flat
from tests.pages.served import served
from tlearn.deploy.predictor import Prediction
from tlearn.pages.serve.app import serve_app
from tlearn.pages.serve.options import ServeOptions
from tlearn.pages.serve.served_run import ServedRun
from tlearn.pages.server.options import ServerOptions

BATCH_S = 0.5


@pytest.mark.parametrize("path", ["/predict", "/grad_cam"])
def test_pictures_of_a_client_that_went_away_are_dropped(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def slowly(*given: Any) -> Sequence[Any]:
        time.sleep(BATCH_S)
        return [Prediction(None, {"cat": 1.0}) if path == "/predict" else b"" for _ in given[-1]]

    run = ServedRun(finished_run / "runs/folder/version_0")
    monkeypatch.setattr(run, "compute_for", lambda options: slowly)
    monkeypatch.setattr("tlearn.pages.serve.further_routes.attention_png", slowly)
    run.at_once = 1
    (photo,) = write_flat(tmp_path, count=1)
    part = (
        b'--b\r\ncontent-disposition: form-data; name="pictures"; filename="a"\r\n\r\n' + photo.read_bytes() + b"\r\n"
    )
    body = part * (8 if path == "/predict" else 1) + b"--b--\r\n"
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    with served(serve_app([run], ServeOptions(), ServerOptions())) as url:
        port = urlsplit(url).port or 0
        start = time.monotonic()
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(1 if path == "/predict" else 8)]
        for client in clients:
            client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        eventually(lambda: _waiting(port, 8))
        for client in clients:
            client.close()
        eventually(lambda: _waiting(port, 0))
    assert time.monotonic() - start < 5 * BATCH_S  # of 8


def _waiting(port: int, count: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as asked:
        asked.request("GET", "/health", headers={"connection": "close"})
        with asked.getresponse() as answer:
            assert f'"waiting":{count},'.encode() in answer.read()
