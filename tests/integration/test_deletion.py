"""Deletion by DICOMweb, against a small HTTP server that answers as told."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dicom import deletion
from dicom.errors import AssociationFailed, DeletionRefused
from dicom.values import InstanceRef, WebNode

pytestmark = pytest.mark.integration

REF = InstanceRef("1.2", "1.2.3", "1.2.840.10008.5.1.4.1.1.88.22", "1.2.3.4")


class Server(ThreadingHTTPServer):
    answer = 204
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_DELETE(self) -> None:
        self.server.asked.append(f"DELETE {self.path}")
        self.send_response(self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_DELETE()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join(30)


def node(server: Server) -> WebNode:
    return WebNode(f"http://127.0.0.1:{server.server_port}/dicom-web")


@pytest.mark.parametrize("answer", [200, 204, 404])
def test_one_instance_is_deleted_and_nothing_larger(server: Server, answer: int) -> None:
    server.answer = answer  # 404: it is gone already
    deletion.through_dicomweb([REF], node(server))
    assert server.asked == ["DELETE /dicom-web/studies/1.2/series/1.2.3/instances/1.2.3.4"]


@pytest.mark.parametrize("answer", [400, 405, 409])
def test_an_archive_that_does_not_delete_refuses(server: Server, answer: int) -> None:
    server.answer = answer
    with pytest.raises(DeletionRefused, match=str(answer)):
        deletion.through_dicomweb([REF], node(server))


@pytest.mark.parametrize("answer", [401, 429, 503])
def test_what_may_pass_is_tried_again(server: Server, answer: int) -> None:
    server.answer = answer
    with pytest.raises(AssociationFailed, match=str(answer)):
        deletion.through_dicomweb([REF], node(server))


def test_nobody_there_is_tried_again() -> None:
    with pytest.raises(AssociationFailed):
        deletion.through_dicomweb([REF], WebNode("http://127.0.0.1:1/dicom-web"))


@pytest.mark.parametrize("answer", [200, 404])
def test_what_is_no_orthanc_is_not_taken_for_one(server: Server, answer: int) -> None:
    server.answer = answer
    with pytest.raises(DeletionRefused):
        deletion.through_orthanc([REF], node(server))
