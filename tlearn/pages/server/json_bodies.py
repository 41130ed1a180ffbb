"""Take JSON that a page sends, and nothing else: what is missing, unknown or of another type is one line."""

from __future__ import annotations

import json
from types import UnionType
from typing import Any, NoReturn, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_MOST_DIGITS = 15  # beyond that JavaScript itself no longer tells whole numbers apart


async def json_body(request: Request, **kinds: type | UnionType) -> dict[str, Any]:
    """Return the JSON object that a request brought.

    Args:
        request: The request.
        kinds: A type for each field, such as ``ids=list | None``; what may be ``None`` may be left out.

    Raises:
        HTTPException: It brought something else; status 400, or 415 where it does not call it JSON: a form of another
            site could send it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"content-type: expected application/json, got {kind[:60]!r}")
    data = await request.body()
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_no_number, parse_int=_whole, parse_float=_number)
        json.dumps(found, ensure_ascii=False).encode()  # half a pair of UTF-16 is text that no file takes
    except RecursionError:
        raise HTTPException(400, "the JSON is nested too deep") from None
    except ValueError as error:
        raise HTTPException(400, f"expected JSON in UTF-8, got something else ({str(error)[:80]})") from error
    return fields_of(found, "the request", **kinds)


def fields_of(found: Any, what: str, **kinds: type | UnionType) -> dict[str, Any]:
    """Return the fields of an object within JSON; those left out are ``None``.

    Args:
        found: What should be an object.
        what: What to call it in a message, such as ``decisions[3]``.
        kinds: As `json_body` takes them.

    Raises:
        HTTPException: It is none, lacks a field, has another one, or one of another type; status 400.
    """
    if not isinstance(found, dict):
        raise HTTPException(400, f"{what}: expected an object, got {_shown(found)}")
    unknown = sorted(found.keys() - kinds.keys())
    if unknown:
        raise HTTPException(400, f"{what}: expected {', '.join(kinds)}, got {unknown[0][:40]!r}")
    for name, kind in kinds.items():
        given, taken = found.get(name), get_args(kind) or (kind,)
        if not any(_is_a(given, each) for each in taken):
            wanted = " or ".join(_KINDS[each] for each in taken)
            got = _shown(given) if name in found else "nothing"
            raise HTTPException(400, f"{what}: {name}: expected {wanted}, got {got}")
    return {name: found.get(name) for name in kinds}


def _is_a(given: Any, kind: type) -> bool:
    if isinstance(given, bool) or kind is bool:  # Python counts truth among the whole numbers
        return isinstance(given, bool) and kind is bool
    return isinstance(given, (int, float) if kind is float else kind)


def _shown(given: Any) -> str:
    text = json.dumps(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise ValueError(f"the number {text[:20]}")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)
