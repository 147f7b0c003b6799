"""Health, counts and metrics over HTTP, on the loopback only, without patient data.

``/health/live`` the process answers; ``/health/ready`` the database does; ``/status.json`` what
``carina status`` shows; ``/metrics`` for Prometheus; ``/`` the same for people. There is no access
control yet: therefore no other address than the loopback is served.
"""

import ipaddress
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from service import metrics, ready, status
from service.errors import SettingsInvalid
from service.page import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.settings import Settings

HEADERS = {
    # Nothing from elsewhere is loaded, nothing is kept, nobody frames it.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
UNAVAILABLE = 503
HOSTS = ("localhost", "127.0.0.1")

log = structlog.get_logger(__name__)


def run(settings: "Settings") -> None:
    """Serve until SIGTERM.

    Raises
    ------
    SettingsInvalid
        If the address is not a loopback address.
    """
    require_loopback(settings.web_host)
    with status.Source(settings) as source:
        config = uvicorn.Config(
            application(source),
            host=settings.web_host,
            port=settings.web_port,
            log_config=None,
            access_log=False,
            server_header=False,
        )
        _Server(config).run()


def require_loopback(host: str) -> None:
    """Refuse any address but the loopback.

    Raises
    ------
    SettingsInvalid
        If ``host`` is, or may be, reachable from elsewhere.
    """
    try:
        found = {ipaddress.ip_address(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):
        found = set()
    if not found or not all(address.is_loopback for address in found):
        fault = (
            f"CARINA_WEB_HOST: {host} is not a loopback address. The page has no access control"
            " yet; use a tunnel, or a proxy that has one"
        )
        raise SettingsInvalid([fault])


def application(source: "status.Source") -> FastAPI:
    """Return the application; every answer is computed from ``source``."""
    app = FastAPI(title="Carina", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_guarded)
    # A page elsewhere may point a name of its own at the loopback: its name is not ours.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))

    @app.get("/health/live")
    def live() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    @app.get("/health/ready")
    def is_ready() -> PlainTextResponse:
        fault = source.database_fault()
        if fault:
            return PlainTextResponse(f"not ready: {fault}\n", UNAVAILABLE)
        return PlainTextResponse("ready\n")

    @app.get("/status.json")
    def as_json() -> JSONResponse:
        return JSONResponse(source.look(_now()).as_dict())

    @app.get("/metrics")
    def for_prometheus() -> Response:
        text = metrics.exposition(source.look(_now()))
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(render(source.look(_now())))

    return app


async def _guarded(request: Request, call_next: "Callable[[Request], Any]") -> Response:
    """Add the safety headers; turn what nobody expected into a 500 without its text."""
    try:
        response: Response = await call_next(request)
    except Exception as error:  # noqa: BLE001  (border of HTTP: nobody outside sees our insides)
        await run_in_threadpool(
            log.exception, "request_failed", path=request.url.path, error=type(error).__name__
        )
        response = PlainTextResponse("something went wrong; see the log\n", 500)
    response.headers.update(HEADERS)
    return response


class _Server(uvicorn.Server):
    """Says that it is ready when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            ready.announce()


def _now() -> datetime:
    return datetime.now(UTC)
