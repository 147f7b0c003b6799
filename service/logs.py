"""One way of logging for every process: one JSON object a line, events by name, no patients.

An event's name is fixed (``part_changed``), what varies is a field (``part="listen"``), so that
lines can be counted and searched. Lines of libraries come out the same way.
"""

import logging
import sys
from typing import TYPE_CHECKING

import structlog

from dicom.quiet import silence_libraries
from service import privacy

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from service.settings import Settings

CHATTY = (
    "alembic",
    "asyncio",
    "amqp",
    "kombu",
    "celery.utils.functional",
    "httpx",
    "uvicorn.access",
)
"""Libraries that say at INFO what is of no use in operation."""


def configure(settings: "Settings", process: str) -> None:
    """Set up logging for a process; ``process`` stands on every line it writes."""

    def name_process(_: object, __: str, event: "EventDict") -> "EventDict":
        # Not a context variable: threads that libraries start do not inherit those.
        event["process"] = process
        return event

    guards = (name_process, *_GUARDS)
    install(settings.log_level, as_json=settings.log_format == "json", guards=guards)


def install(
    level: str, *, as_json: bool, guards: "tuple[Processor, ...] | None" = None
) -> logging.Handler:
    """Send structlog's and the libraries' lines through the same processors to standard output.

    Parameters
    ----------
    level
        From which level on.
    as_json
        One JSON object a line, else readable text.
    guards
        The processors that keep patients out; None: the usual ones.
    """
    shared = _shared(_GUARDS if guards is None else guards)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    silence_libraries()  # pydicom's and pynetdicom's lines hold what was received
    return handler


_GUARDS: "tuple[Processor, ...]" = (
    privacy.shorten_warning,
    privacy.format_exception,
    privacy.withhold,
)


def _shared(guards: "tuple[Processor, ...]") -> "list[Processor]":
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _resolve_exception,
        *guards,
    ]


def _resolve_exception(_: object, __: str, event: "EventDict") -> "EventDict":
    """Turn ``exc_info=True`` into the exception itself, for whoever comes after."""
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event
