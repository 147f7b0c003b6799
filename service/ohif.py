"""Serve the OHIF viewer beside an archive's DICOMweb: for the demo and for tests in a browser.

One origin for both, since browsers give the viewer's decoders their shared memory only in a
cross-origin isolated page (COOP and COEP). The viewer's files are not part of Carina: they are
the ``dist`` folder of the npm package ``@ohif/app``. Loopback only; no access control.
"""

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from service.errors import ServiceError

HOST: Final = "127.0.0.1"
START_S: Final = 15.0
ARCHIVE_TIMEOUT_S: Final = 60.0
ISOLATION: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NOT_PASSED_ON: Final = frozenset(
    {"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"}
)
CONFIGURATION: Final = """
window.config = {
  routerBasename: '/', extensions: [], modes: [], customizationService: {},
  showStudyList: true, maxNumberOfWebWorkers: 2, showLoadingIndicator: true,
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false,
  strictZSpacingForVolumeViewport: true, investigationalUseDialog: { option: 'never' },
  maxNumRequests: { interaction: 20, thumbnail: 5, prefetch: 5 },
  defaultDataSourceName: 'archive',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'archive',
    configuration: {
      friendlyName: 'archive', name: 'archive',
      wadoUriRoot: window.location.origin + '/dicom-web',
      qidoRoot: window.location.origin + '/dicom-web',
      wadoRoot: window.location.origin + '/dicom-web',
      qidoSupportsIncludeField: false, supportsFuzzyMatching: false, supportsWildcard: true,
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
      bulkDataURI: { enabled: true }, omitQuotationForMultipartRequest: true,
    },
  }],
};
"""


class ViewerFailed(ServiceError):
    """The viewer could not be served: its files are missing, or the port is taken."""


def study_path(study_instance_uid: str) -> str:
    """Return the address of a study under the viewer's root."""
    return f"/viewer?StudyInstanceUIDs={study_instance_uid}"


def application(ohif_dist: Path, dicomweb_url: str) -> FastAPI:
    """Return the viewer with the archive behind ``/dicom-web`` on the same origin.

    Raises
    ------
    ViewerFailed
        If ``ohif_dist`` does not hold a built viewer.
    """
    root = ohif_dist.resolve()
    if not (root / "index.html").is_file():
        raise ViewerFailed(f"no built OHIF viewer in {ohif_dist}")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=ARCHIVE_TIMEOUT_S) as client:
            app.state.archive = client
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/dicom-web/{path:path}")
    async def archive(path: str, request: Request) -> Response:
        return await _pass_on(request, f"{dicomweb_url}/{path}")

    @app.get("/app-config.js")
    async def configuration() -> Response:
        return Response(CONFIGURATION, media_type="text/javascript", headers=ISOLATION)

    @app.get("/{path:path}")
    async def viewer(path: str) -> Response:
        wanted = (root / path).resolve()
        # The viewer routes in the browser, so an unknown path is one of its pages.
        found = wanted.is_relative_to(root) and wanted.is_file()
        return FileResponse(wanted if found else root / "index.html", headers=ISOLATION)

    return app


async def _pass_on(request: Request, url: str) -> Response:
    client: httpx.AsyncClient = request.app.state.archive
    # Orthanc builds the addresses in its answers from Host, so the browser's must reach it.
    headers = {"host": request.headers["host"], "accept": request.headers.get("accept", "*/*")}
    # The query goes on as it came: not every archive reads it the way a library writes it anew.
    target = httpx.URL(url, query=request.scope["query_string"] or None)
    outgoing = client.build_request("GET", target, headers=headers)
    try:
        answer = await client.send(outgoing, stream=True)
    except httpx.TransportError:
        return Response("the archive does not answer", status_code=502)
    kept = {key: value for key, value in answer.headers.items() if key not in _NOT_PASSED_ON}

    async def body() -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.aiter_bytes():
                yield chunk
        finally:
            await answer.aclose()

    return StreamingResponse(body(), answer.status_code, headers=kept | ISOLATION)


@contextmanager
def serve(ohif_dist: Path, dicomweb_url: str, port: int) -> Iterator[str]:
    """Serve the viewer on the loopback while the context lasts; yield its address.

    Port 0 takes a free one.

    Raises
    ------
    ViewerFailed
        If the files are missing or the port is taken.
    """
    config = uvicorn.Config(
        application(ohif_dist, dicomweb_url), log_level="warning", access_log=False
    )
    listening = socket.socket()
    try:
        listening.bind((HOST, port))
    except OSError:
        listening.close()
        raise ViewerFailed(f"port {port} is taken") from None
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield f"http://{HOST}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S)
        listening.close()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise ViewerFailed("the viewer did not start")
        time.sleep(0.01)
