"""The web page: health and counts for people, without script and without anything from outside."""

from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from service import terminal

if TYPE_CHECKING:
    from service.status import Status

_EMPTY = ("", "")
_ENVIRONMENT = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
_PAGE = _ENVIRONMENT.from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))


def render(status: "Status") -> str:
    """Return the page for one status."""
    studies, jobs = list(status.overview.studies.items()), list(status.overview.jobs.items())
    length = max(len(studies), len(jobs))
    pairs = [
        (
            studies[number] if number < len(studies) else _EMPTY,
            jobs[number] if number < len(jobs) else _EMPTY,
        )
        for number in range(length)
    ]
    return _PAGE.render(status=status, pairs=pairs, ago=terminal.ago)
