"""``carina audit list``, ``verify``, ``export``."""

import dataclasses
import getpass
import socket
import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service import archive, auditlog, telling, terminal, verified
from service import verify as verifying
from service.auditlog import AuditQuery
from service.db.engine import Database
from service.inquiry import opened, owner_url
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
    *,
    archives: Annotated[Path | None, typer.Option(help="Folder of archived parts")] = None,
    recent: Annotated[
        bool, typer.Option("--recent", help="Only what came since it was last found intact")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """Prove that the audit trail is what was sealed. Exit code 1 if it is not."""
    path = load().audit_heads
    since = verified.read(path.parent) if recent else None
    with opened() as database:
        report = verifying.verify(database, path, datetime.now(UTC), archives, since)
    if report.is_intact and report.end is not None:
        verified.write(path.parent, report.end)
    if as_json:
        terminal.as_json(dataclasses.asdict(report) | {"is_intact": report.is_intact})
    else:
        terminal.say(
            f"{report.events} events, {report.sealed} sealed, {report.pending} waiting,"
            f" proven outside the database up to link {report.proven}"
        )
        if since is not None:
            terminal.say(f"  only what was sealed behind link {since.position}")
        if report.archived:
            looked = "and read too" if archives else "and not looked at: --archives"
            terminal.say(f"  {report.archived} events are archived in files, {looked}")
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


def take_out(
    *,
    older_than_days: Annotated[int, typer.Option(min=30, help="Only what is all older")],
    into: Annotated[Path | None, typer.Option(help="Folder; else audit/archive of ours")] = None,
) -> None:
    """Take full old partitions out of the trail into files; what remains still verifies.

    Needs the role that owns the tables: CARINA_DATABASE_OWNER_URL, or our embedded server.
    """
    settings, now = load(), datetime.now(UTC)
    owner = Database(owner_url(settings), pool_size=1, application_name="carina-archive")
    before = now - timedelta(days=older_than_days)
    folder = into or settings.audit_heads.parent / "archive"
    try:
        went = archive.take_out(owner, settings.audit_heads, folder, before, now)
    finally:
        owner.dispose()
    for one in went:
        terminal.say(f"{folder / one.file}: {one.events} events, SHA-256 {one.sha256}")
    terminal.say(f"{len(went)} parts were taken out" if went else "No part is old and full enough.")


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC)
