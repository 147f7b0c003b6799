"""``carina studies``, ``show``, ``replay``, ``redeliver``, ``release``."""

import dataclasses
import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service import replay as again
from service import story, telling, terminal
from service import studies as studying
from service.dispatch import Bell
from service.inquiry import ask
from service.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from sqlalchemy.orm import Session

    from service.values import Job

StudyName = Annotated[str, typer.Argument(metavar="STUDY_UID", help="Or the id of a job")]
Json = Annotated[bool, typer.Option("--json", help="For programs")]


def studies(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many")] = 25,
    as_json: Json = False,
) -> None:
    """List the studies that received something last."""
    now = datetime.now(UTC)
    lines = ask(lambda session: story.studies(session, limit, now))
    if as_json:
        terminal.as_json([dataclasses.asdict(line) for line in lines])
        return
    rows = [
        (
            line.study_instance_uid,
            line.lane,
            terminal.ago(line.last_received_at, now),
            line.instances,
            line.revision or "-",
            line.job_state or line.state,
            line.words,
        )
        for line in lines
    ]
    terminal.table(("study", "lane", "received", "instances", "revision", "state", "words"), rows)


def show(
    study: StudyName,
    *,
    as_json: Json = False,
    png: Annotated[Path | None, typer.Option(help="Write the picture with the findings")] = None,
) -> None:
    """Show one study: where it stands, its draft in words, what was delivered, its events.

    Looking is itself written into the audit trail.
    """
    now = datetime.now(UTC)
    told = ask(lambda session: story.story(session, study, now))
    ask(lambda session: telling.leave_trace(session, told, getpass.getuser(), now))
    if png is not None:
        terminal.say(f"wrote {telling.copy_overlay(told, load().kept_results, png)}")
    elif as_json:
        terminal.as_json(dataclasses.asdict(told))
    else:
        telling.show(told)


def replay(study: StudyName) -> None:
    """Read a study again: a new job with new UIDs, which names what it replaces."""
    _ask_again(study, again.replay, Bell.ring_analyse)


def redeliver(study: StudyName) -> None:
    """Send the newest results of a study again, byte for byte."""
    _ask_again(study, again.redeliver, Bell.ring_deliver)


def release(study: StudyName) -> None:
    """Let go a study that is held because its pixels changed under one UID: the first are read.

    A study of two patients is not let go by hand: it goes on when its headers are corrected.
    """
    now, user_id = datetime.now(UTC), getpass.getuser()
    uid = ask(lambda session: story.uid_of(session, study))
    ask(lambda session: studying.release(session, uid, user_id, now))
    terminal.say(f"{uid}: not held; it is read after the next sweep")


def _ask_again(
    study: str,
    act: "Callable[[Session, str, str, datetime], Job]",
    ring: "Callable[[Bell, Iterable[UUID]], bool]",
) -> None:
    now, user_id = datetime.now(UTC), getpass.getuser()
    uid = ask(lambda session: story.uid_of(session, study))
    job = ask(lambda session: act(session, uid, user_id, now))
    bell = Bell(load())
    heard = ring(bell, [job.job_id])
    bell.close()
    later = "" if heard else " (the broker did not hear; the sweep will ring)"
    terminal.say(f"job {job.job_id}, revision {job.revision}: {job.state}{later}")
