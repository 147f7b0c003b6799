"""``carina audit list``, ``verify``, ``export``."""

import dataclasses
import getpass
import socket
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service import auditlog, telling, terminal
from service import verify as verifying
from service.auditlog import AuditQuery
from service.inquiry import opened
from service.settings import load
from service.values import EventType

TAMPERED = 1

Study = Annotated[str | None, typer.Option(metavar="STUDY_UID", help="Only of this study")]
Moment = Annotated[datetime | None, typer.Option(help="UTC, ISO 8601")]


class Form(StrEnum):
    """How the trail is written."""

    DICOM = "dicom"
    JSON = "json"


def list_events(
    *,
    study: Study = None,
    event: Annotated[EventType | None, typer.Option(help="Only of this type")] = None,
    user: Annotated[str | None, typer.Option(help="Only by this user or AE title")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """List events of the audit trail, oldest first."""
    query = AuditQuery(study_instance_uid=study, event_type=event, user_id=user, newest=limit)
    with opened() as database, database.begin() as session:
        found = list(auditlog.entries(session, query))
    if as_json:
        terminal.as_json([dataclasses.asdict(each) for each in found])
    else:
        telling.show_events(found)


def verify(
    *, as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False
) -> None:
    """Prove that the audit trail is what was sealed. Exit code 1 if it is not."""
    with opened() as database:
        report = verifying.verify(database, load().audit_heads, datetime.now(UTC))
    if as_json:
        terminal.as_json(dataclasses.asdict(report) | {"is_intact": report.is_intact})
    else:
        terminal.say(
            f"{report.events} events, {report.sealed} sealed, {report.pending} waiting,"
            f" proven outside the database up to link {report.proven}"
        )
        for fault in report.faults:
            terminal.say(f"  {fault.code}: {fault.words}")
        terminal.say("The trail is intact." if report.is_intact else "THE TRAIL IS NOT INTACT.")
    if not report.is_intact:
        raise typer.Exit(TAMPERED)


def export(
    *,
    form: Annotated[Form, typer.Option(help="Messages of PS3.15 A.5, or JSON")] = Form.DICOM,
    output: Annotated[Path | None, typer.Option(help="A file; else standard output")] = None,
    study: Study = None,
    since: Moment = None,
    until: Moment = None,
) -> None:
    """Write the audit trail out, one event a line; the export itself is audited."""
    query = AuditQuery(study_instance_uid=study, since=_aware(since), until=_aware(until))
    count = 0
    with (
        opened() as database,
        database.begin() as session,
        output.open("w", encoding="utf-8") if output else nullcontext(sys.stdout) as target,
    ):
        lines = (
            auditlog.json_lines(session, query)
            if form is Form.JSON
            else auditlog.messages(session, query, f"carina@{socket.gethostname()}")
        )
        for line in lines:
            target.write(f"{line}\n")
            count += 1
        auditlog.tell_of_export(session, getpass.getuser(), form.value, datetime.now(UTC))
    if output is not None:
        terminal.say(f"wrote {count} events to {output}")


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC)
