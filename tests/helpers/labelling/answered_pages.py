"""In place of a server that goes on for ever: a person who answers every picture of `label` and looks at the others."""

from __future__ import annotations

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from tlearn.pages.server.options import ServerOptions


def visited(app: ASGIApp, options: ServerOptions, what: str) -> None:
    """Open a page, as `run_server` serves it, and label its pictures by what stands behind ``_`` in their names."""
    with TestClient(app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {options.token}"}) as client:
        assert client.get("/").status_code == 200, what
        if what.startswith("labelling"):
            _label(client)
        elif what.startswith("review"):
            items = client.get("/api/pictures").json()["items"]
            given = [{"id": items[0]["id"], "decision": "keep"}]
            assert client.post("/api/decisions", json={"decisions": given}).status_code == 200
        else:
            assert client.get("/health").json()["status"] == "ok"


def _label(client: TestClient) -> None:
    items = client.get("/api/next").json()["items"]
    decisions = [
        {"id": each["id"], "decision": "label", "label": each["name"].partition("_")[2].partition(".")[0]}
        for each in items
    ]
    answer = client.post("/api/decisions", json={"decisions": decisions})
    assert answer.status_code == 200, answer.text
