"""Who may use the page: the holder of its token, by its own name, from its own pages."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; img-src 'self' blob:; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_FOREIGN = ("cross-site", "same-site")
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Lets requests through to an app that may be answered, and sets the headers of every answer.

    Args:
      app: answers what is let through.
      token: who knows it may enter.
      names: hosts that the server goes by beside this machine's own; "*" lets any number in, so that no
        foreign name can be made to mean this server.
    """

    def __init__(self, app: ASGIApp, token: str, names: Collection[str] = ()) -> None:
        self._app, self._token = app, token
        self._names = frozenset(name.lower() for name in (*_LOCAL, *names))
        # Cookies know no ports: two servers on one machine need two names.
        self.cookie = f"jal-{sha256(token.encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or refuses it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        answer = self._refused(scope, headers) or self._entered(scope, headers)
        if answer is None and not self._is_known(headers):
            answer = _no(403, "open the address that jal label printed: it lets this browser in.")
        await (answer or self._app)(scope, receive, send_guarded)

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return _no(421, "this server goes by another name.")
        # A browser says where a request comes from; a link to the entry may come from anywhere.
        if headers.get("sec-fetch-site") in _FOREIGN and not _is_entry(scope):
            return _no(403, "requests from other sites are refused.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return _no(405, "there is GET and POST.")
        if scope["method"] == "POST":
            origin = urlsplit(headers.get("origin", ""))
            if origin.netloc.lower() != host.lower() or origin.scheme not in ("http", "https"):
                return _no(403, "requests from other sites are refused.")
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return _no(415, "requests are JSON.")
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or ("*" in self._names and _is_number(name))

    def _entered(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to who brings the token: a cookie, and the address without it."""
        if not _is_entry(scope):
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return _no(
                403, "that is not the token of this server; open the address that it printed."
            )
        answer: Response = RedirectResponse("/", 303)
        if headers.get("sec-fetch-site") in _FOREIGN:
            # Its cookie is strict: it goes along only from a page of this server.
            answer = HTMLResponse('<!DOCTYPE html><meta http-equiv="refresh" content="0;url=/">')
        answer.set_cookie(self.cookie, self._token, httponly=True, samesite="strict", path="/")
        return answer

    def _is_known(self, headers: Headers) -> bool:
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return held is not None and hmac.compare_digest(held.value.encode(), self._token.encode())


def _is_entry(scope: Scope) -> bool:
    is_root = scope["path"] == "/" and scope["method"] == "GET"
    return is_root and b"token=" in scope["query_string"]


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _no(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)
