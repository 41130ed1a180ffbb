"""Let in who may ask, put the rules for browsers on every answer, and turn a fault into one line."""

from __future__ import annotations

import hmac
import re
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tlearn.pages.server.faults import fault_response
from tlearn.pages.server.options import ServerOptions

# Nothing comes from elsewhere, nothing goes elsewhere, and no text of a label or a file name can become a script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with none, some browsers say `Origin: null` to the page itself
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
}
_LOCAL = r"localhost\.?|127\.0\.0\.1|\[::1\]"


class Guard:
    """An ASGI application round another: it checks Host, Origin and token, and adds the headers.

    Host is checked against names that lead elsewhere (DNS rebinding), Origin against pages of other sites.

    Args:
        app: The other one.
        options: Who may ask.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        own = f"[{options.host}]" if ":" in options.host else options.host
        self._app, self._options = app, options
        self._hosts = re.compile(rf"({_LOCAL}|{re.escape(own)})(:[0-9]{{1,5}})?", re.ASCII | re.IGNORECASE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with one line."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await (self._refusal(scope) or self._app)(scope, receive, answer.send)
        except ClientDisconnect:
            return
        except Exception as error:
            response = fault_response(error)
            if answer.has_begun:
                raise
            await response(scope, receive, answer.send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._options.is_local and not self._hosts.fullmatch(host):
            return _refused(421, "this page answers to 127.0.0.1 and localhost only")
        origin = headers.get("origin")
        is_own = origin is None or (
            host != "" and origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())
        )
        if not is_own or _is_of_another_site(scope["method"], headers):
            return _refused(403, "a page of another site asked")
        return self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        token = self._options.token
        if token is None:
            return None
        cookie = f"tlearn-{(scope.get('server') or ('', 0))[1]}"  # browsers keep one for all ports of a host
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if scope["method"] == "GET" and any(_is_same(each, token) for each in given):
            if "text/html" not in headers.get("accept", ""):  # a program, such as curl
                return None
            # The token stays in no history and no picture of the screen. Two slashes at the start would name a host.
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            where = "/" + quote(scope["path"].lstrip("/\\"), safe="/") + (f"?{rest}" if rest else "")
            answer = RedirectResponse(where, 303)
            answer.set_cookie(cookie, token, httponly=True, samesite="strict")
            return answer
        brought = (headers.get("authorization", "").removeprefix("Bearer "), _cookie(headers, cookie))
        if any(_is_same(each, token) for each in brought):
            return None
        return _refused(401, "this page needs its token: open the address that was printed when it started")


class _Answer:
    """Adds the headers."""

    def __init__(self, send: Send) -> None:
        self._send, self.has_begun = send, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun, headers = True, MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await self._send(message)


def _is_of_another_site(method: str, headers: Headers) -> bool:
    """Tell by what today's browsers say of themselves; only to be opened is a page that another one links to."""
    site = headers.get("sec-fetch-site", "none")
    is_opened = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    return site not in ("none", "same-origin") and not is_opened


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


def _cookie(headers: Headers, name: str) -> str:
    return cookie_parser("; ".join(headers.getlist("cookie"))).get(name, "")


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
