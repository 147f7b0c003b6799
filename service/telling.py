"""How the story of a study is told on a terminal."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service import audit, terminal
from service.errors import NothingToDeliver
from service.values import AuditEvent, EventType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from service.auditlog import AuditEntry
    from service.story import JobStory, Story

DETAIL_WIDTH = 100
OUTCOME = {0: "well", 4: "minor failure", 8: "serious failure", 12: "major failure"}
"""Words of PS3.15 A.5.2.5."""


def leave_trace(session: "Session", story: "Story", user_id: str, now: "datetime") -> None:
    """Write down that somebody looked: looking at a study is itself audited."""
    event = AuditEvent(
        event_type=EventType.STUDY_VIEWED,
        event_action_code="R",
        event_outcome_indicator=0,
        user_id=user_id,
        study_instance_uid=story.line.study_instance_uid,
    )
    audit.record(session, event, now)


def copy_overlay(story: "Story", kept_results: Path, target: Path) -> Path:
    """Copy the newest picture that shows the findings on the film; return the target.

    Raises
    ------
    NothingToDeliver
        If no job of this study has made one.
    """
    for job in story.jobs:
        for name in job.summary.get("overlays", ()):
            picture = kept_results / str(name)
            if picture.is_file():
                shutil.copyfile(picture, target)
                return target
    raise NothingToDeliver("no draft of this study has a picture")


def show(story: "Story") -> None:
    """Print the whole story."""
    line = story.line
    terminal.say(f"Study {line.study_instance_uid}")
    rule = f" ({line.lane_rule})" if line.lane_rule else ""
    terminal.say(
        f"{line.state}, {line.instances} instances, revision {line.revision}, {line.lane}{rule}"
    )
    terminal.say(line.words)
    for number, job in enumerate(story.jobs):
        terminal.say("")
        _show_job(job, in_full=number == 0)
    terminal.say("")
    terminal.say("Events")
    show_events(story.events)


def show_events(events: "Iterable[AuditEntry]") -> None:
    """Print events as a table."""
    rows = [
        (
            event.event_id,
            event.event_date_time.isoformat(sep=" ", timespec="milliseconds"),
            event.event_type,
            OUTCOME[event.event_outcome_indicator],
            event.user_id,
            "-" if event.duration_ms is None else f"{event.duration_ms:.0f} ms",
            _short(event),
        )
        for event in events
    ]
    columns = ("event", "time", "what", "outcome", "who", "took", "detail")
    terminal.table(columns, rows)


def _show_job(job: "JobStory", *, in_full: bool) -> None:
    terminal.say(f"Revision {job.revision} ({job.cause}), job {job.job_id}: {job.words}")
    for line in job.retired:
        terminal.say(f"  {line}")
    if not in_full:
        return
    for text in draft_in_words(job.summary):
        terminal.say(f"  {text}")
    if job.stage_seconds:
        spent = ", ".join(f"{name} {float(each):.2f} s" for name, each in job.stage_seconds.items())
        terminal.say(f"  Time: {spent}")
    if job.results:
        rows = [
            (
                f"{result.kind} {result.number}",
                result.size_bytes,
                "not taken" if result.not_taken else result.status,
                result.destination,
                "confirmed" if result.proven_at else None,
                result.sop_instance_uid,
            )
            for result in job.results
        ]
        terminal.say("")
        terminal.table(("result", "bytes", "answer", "archive", "proof", "SOP instance"), rows)


def draft_in_words(summary: "Mapping[str, Any]") -> "Iterator[str]":
    """Yield the lines of a draft, with what was withheld and what was not read."""
    yield from map(str, summary.get("banner", ()))
    for film in summary.get("films", ()):
        yield from _film(film)
    for one in summary.get("rejected", ()):
        yield f"Not read: {one['words']}"
    if summary.get("not_taken"):
        yield f"The archive does not take: {summary['not_taken']}"


def _film(film: "Mapping[str, Any]") -> "Iterator[str]":
    yield "AI DRAFT, not verified"
    for sentence in film.get("sentences", ()):
        yield str(sentence["text"])
    if film.get("impression"):
        yield "Impression:"
    for sentence in film.get("impression", ()):
        yield f"  {sentence['text']}"
    for held in film.get("withheld", ()):
        yield str(held["line"])
    if film.get("partial_reason"):
        yield f"Partial: {film['partial_reason']}"
    if film.get("not_assessed"):
        yield str(film["not_assessed"])


def _short(event: "AuditEntry") -> str:
    text = ", ".join(f"{key}={value}" for key, value in event.detail.items() if value is not None)
    return text if len(text) <= DETAIL_WIDTH else f"{text[:DETAIL_WIDTH]}…"
