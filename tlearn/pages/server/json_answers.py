"""Answer in JSON, also where a file has a name that is no text."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse


class JSONAnswer(JSONResponse):
    """A JSON answer in which a ``?`` stands for what no text can hold: file names on Linux are bytes of any kind."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the answer."""
        return as_text(json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))).encode()


def as_text(name: str) -> str:
    """Return a name as an answer has it."""
    return name.encode("utf-8", "replace").decode()
