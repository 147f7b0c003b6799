"""Spans on their way to a collector, by the OpenTelemetry SDK; imported only where one is set."""

from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

if TYPE_CHECKING:
    from datetime import datetime

    from service.spans import Span

PATH: Final = "/v1/traces"  # OTLP specification, "OTLP/HTTP request"
TIMEOUT_S: Final = 3.0
EVERY_MS: Final = 1000.0
NANOSECONDS: Final = 1_000_000_000


class _Ids(IdGenerator):
    """Gives the ids that were asked for, else random ones; the caller holds the only thread."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self._slot = otel_context.create_key("carina-ids")

    def wanted(self, trace_id: int, span_id: int | None) -> "otel_context.Context":
        """Return a context in which a root gets this trace, and a span this id."""
        return otel_context.set_value(self._slot, (trace_id, span_id))

    def generate_span_id(self) -> int:
        """Return the id wanted, or any."""
        found = otel_context.get_value(self._slot)
        wanted = found[1] if isinstance(found, tuple) else None
        return wanted or self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        """Return the trace wanted, or any."""
        found = otel_context.get_value(self._slot)
        return found[0] if isinstance(found, tuple) else self._random.generate_trace_id()


class Sender:
    """Sends the spans of one process in the background; forgets those a collector does not take."""

    def __init__(self, endpoint: str, process: str) -> None:
        self._ids = _Ids()
        exporter = OTLPSpanExporter(endpoint.rstrip("/") + PATH, timeout=TIMEOUT_S)
        resource = Resource({"service.name": "carina", "carina.process": process})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids)
        processor = BatchSpanProcessor(
            exporter,
            schedule_delay_millis=EVERY_MS,
            export_timeout_millis=TIMEOUT_S * 1000,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("carina")

    def send(self, span: "Span") -> None:
        """Queue one span; when the queue is full it is dropped."""
        context = self._ids.wanted(span.trace_id, span.span_id)
        token = otel_context.attach(context)
        try:
            made = self._tracer.start_span(
                span.name,
                _inside(span, context),
                attributes=span.attributes,
                start_time=_nanoseconds(span.begun),
            )
        finally:
            otel_context.detach(token)
        if span.has_failed:
            made.set_status(StatusCode.ERROR)
        made.end(_nanoseconds(span.ended))

    def close(self) -> None:
        """Send what is queued, at most for some seconds."""
        self._provider.shutdown()


def _inside(span: "Span", context: "otel_context.Context") -> "otel_context.Context":
    if span.parent_id is None:
        return context
    parent = SpanContext(
        span.trace_id, span.parent_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return set_span_in_context(NonRecordingSpan(parent), context)


def _nanoseconds(moment: "datetime") -> int:
    return int(moment.timestamp() * NANOSECONDS)
