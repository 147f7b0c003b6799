"""A collector of traces for tests: takes OTLP over HTTP on the loopback and parses the protobuf."""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """What has come in; ``bodies`` are the requests as sent, inflated."""

    url: str = ""
    spans: list[tuple[str, Span]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds: float = 60.0) -> dict[str, Span]:
        """Return the spans by name once so many have come."""
        with self.news:
            if not self.news.wait_for(lambda: len(self.spans) >= count, seconds):
                raise AssertionError(f"only {sorted(span.name for _, span in self.spans)}")
            return {span.name: span for _, span in self.spans}

    def take(self, path: str, body: bytes) -> None:
        """Parse one request; the paths and messages are those of the OTLP specification."""
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        with self.news:
            self.bodies.append(body)
            for resource in request.resource_spans:
                said = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [(said["carina.process"], span) for span in scope.spans]
            self.news.notify_all()


@contextlib.contextmanager
def running() -> Iterator[Collector]:
    """Run one on a free port of the loopback."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
