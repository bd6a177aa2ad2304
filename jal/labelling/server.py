"""The server of a session's page: its files, its images by id, and its calls, for one browser or several."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jal.errors import JalError
from jal.labelling.access import Guard
from jal.labelling.calls import Calls
from jal.labelling.page_files import FILES, media_of
from jal.labelling.thumbnails import SIDES, Thumbnails
from jal.schema import parse_json

BODY = 64 * 1024  # bytes of a request
_PATIENCE = 10.0  # seconds for a request to arrive whole
_AT_ONCE = 4  # pictures made at a time, so that answers are never behind them
_DAY = "private, max-age=86400"


class Server:
    """A page on a socket of its own.

    Args:
      calls, pictures: what it answers with.
      host, port: to listen at; port 0 takes a free one.
      names: other names that it goes by.
      token: lets in; by default a new one.

    Raises:
      JalError: it cannot listen there.
    """

    def __init__(
        self,
        calls: Calls,
        pictures: Thumbnails,
        host: str = "127.0.0.1",
        port: int = 0,
        names: Collection[str] = (),
        token: str = "",
    ) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::", "localhost") else host
        self.origin = f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}"
        self.address = f"{self.origin}/?token={self.token}"
        self.app = make_app(calls, pictures, self.token, names)
        config = uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,  # which would show the token
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            lifespan="off",
        )
        self._server = _Uvicorn(config)

    def serve(self) -> None:
        """Serves until it is stopped, or the process is told to end."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Lets `serve` end, from any thread."""
        self._server.should_exit = True


def make_app(calls: Calls, pictures: Thumbnails, token: str, names: Collection[str] = ()) -> Guard:
    """The app of a page; nothing but the entry answers without its token."""
    few = anyio.CapacityLimiter(_AT_ONCE)

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in FILES:
            return JSONResponse({"error": "there is no such page."}, 404)
        return Response(FILES[name], media_type=media_of(name))

    async def image(request: Request) -> Response:
        name, side = request.query_params.get("id", ""), request.query_params.get("side", "0")
        if side not in ("0", *map(str, SIDES)):
            return JSONResponse({"error": f"side is 0 or one of {SIDES}."}, 400)
        made = pictures.small if side != "0" else lambda name, side: pictures.large(name)
        try:
            shown = await anyio.to_thread.run_sync(made, name, int(side), limiter=few)
        except JalError as error:
            return JSONResponse({"error": str(error)}, 404)
        headers = {"ETag": f'"{shown.mark}"', "Cache-Control": _DAY}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(shown.content, media_type=shown.media, headers=headers)

    async def call(request: Request) -> Response:
        try:
            body = parse_json(await _body(request), "the request", "a call")
            name = request.path_params["name"]
            return JSONResponse(await anyio.to_thread.run_sync(calls, name, body))
        except _TooMuch:
            # What is left of it is not read.
            return JSONResponse(
                {"error": "a request has at most 64 kB."}, 413, {"Connection": "close"}
            )
        except TimeoutError:
            return JSONResponse(
                {"error": "the request was too slow."}, 408, {"Connection": "close"}
            )
        except JalError as error:
            return JSONResponse({"error": str(error)}, 400)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            traceback.print_exc()
            return JSONResponse({"error": f"jal failed: {error}"}, 500)

    routes = [
        Route("/", file),
        Route("/page/{name}", file),
        Route("/image", image),
        Route("/api/{name}", call, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), token, names)


class _TooMuch(Exception):
    """A request is larger than any that the page makes."""


async def _body(request: Request) -> bytes:
    content = bytearray()
    async with asyncio.timeout(_PATIENCE):
        async for part in request.stream():
            content += part
            if len(content) > BODY:
                raise _TooMuch
    return bytes(content)


class _Uvicorn(uvicorn.Server):
    """uvicorn, which ends quietly when it is told to."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends the server on a signal, and sends it to no one else."""
        if current_thread() is not main_thread():
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(kind, self.handle_exit) for kind in kinds]
        try:
            yield
        finally:
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except (OSError, OverflowError) as error:
        raise JalError(
            f"port {port} of {host} cannot be listened at ({error}); give another --port or --host."
        ) from error
    return made
