"""``carina patients``: corrections of patients, listed, brought in by hand, taken back."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import Text, cast, func, select

from dicom import whose
from dicom.values import PacsNode
from service import correcting, demographics, secure, story, studies, terminal
from service.adt.acknowledge import ACCEPTED
from service.adt.taking import TakingRules, take
from service.correcting import Places
from service.db.patient_tables import (
    CorrectedStudyRow,
    PatientCorrectionRow,
    PatientMessageRow,
)
from service.demographics import Difference
from service.errors import MessageRefused, NothingToRead, UnknownCorrection
from service.inquiry import ask, opened
from service.settings import load
from service.sources import current

BY_HAND = "by hand"

Correction = Annotated[str, typer.Argument(metavar="CORRECTION", help="Its id, or how it begins")]
Json = Annotated[bool, typer.Option("--json", help="For programs")]


def list_all(
    *, limit: Annotated[int, typer.Option(min=1, help="How many")] = 25, as_json: Json = False
) -> None:
    """List the newest corrections: when, from whom, what became of them; no patient is named."""
    row, touched = PatientCorrectionRow, CorrectedStudyRow
    counted = (
        select(func.count())
        .select_from(touched)
        .where(touched.correction_id == row.correction_id)
        .scalar_subquery()
    )
    asked = select(row, counted).order_by(row.number.desc()).limit(limit)
    lines = [
        {
            "correction": str(one.correction_id),
            "made_at": one.made_at.isoformat(),
            "kind": one.kind,
            "state": one.state if one.applied_at else f"{one.state}, not applied yet",
            "made_by": one.made_by,
            "studies": count,
        }
        for one, count in ask(lambda session: session.execute(asked).all())
    ]
    if as_json:
        terminal.as_json(lines)
        return
    headings = ("correction", "made_at", "kind", "state", "made_by", "studies")
    terminal.table(headings, [tuple(line.values()) for line in lines])


def show(name: Annotated[str, typer.Argument(metavar="STUDY_UID|CORRECTION")]) -> None:
    """Show what one correction did to studies, or what was done to one study."""
    row = CorrectedStudyRow
    asked = (
        select(row)
        .where(
            (row.study_instance_uid == name) | func.starts_with(cast(row.correction_id, Text), name)
        )
        .order_by(row.changed_at)
    )
    found = ask(lambda session: session.scalars(asked).all())
    lines = [
        (str(one.correction_id), one.study_instance_uid, one.changed_at.isoformat(), one.effect)
        for one in found
    ]
    terminal.table(("correction", "study", "when", "effect"), lines)


def messages(*, limit: Annotated[int, typer.Option(min=1, help="How many")] = 25) -> None:
    """List the newest messages that were kept, and how each was answered."""
    row = PatientMessageRow
    asked = select(row).order_by(row.id.desc()).limit(limit)
    lines = [
        (one.received_at.isoformat(), one.sender, one.control_id, one.event, one.answer, one.reason)
        for one in ask(lambda session: session.scalars(asked).all())
    ]
    terminal.table(("received", "sender", "id", "event", "answer", "reason"), lines)


def apply(
    file: Annotated[str, typer.Argument(metavar="FILE", help="One message; - reads it")],
) -> None:
    """Take an HL7 message from a file as if it had been sent: a merge by hand."""
    settings, now = load(), datetime.now(UTC)
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    rules = TakingRules(settings.corrections, settings.hl7_updates)
    with opened() as database:
        taken = take(database, content, f"{BY_HAND}, {getpass.getuser()}", rules, now)
        if taken.answer != ACCEPTED:
            raise MessageRefused(taken.answer, taken.reason)
        places = Places(settings.corrections, settings.spool)
        changed = correcting.apply_pending(database, places, now)
    news = f"{taken.news} corrections, {changed} studies changed"
    terminal.say(news if taken.news else f"nothing new{taken.reason and ': '}{taken.reason}")


def undo(correction: Correction) -> None:
    """Take a correction back: new drafts bear what the films say, as far as no other one holds."""
    settings, now = load(), datetime.now(UTC)
    places = Places(settings.corrections, settings.spool)
    one = _one(correction)
    count = ask(lambda session: correcting.undo(session, one, getpass.getuser(), places, now))
    terminal.say(f"{one}: undone, {count} studies changed")


def adopt(study: Annotated[str, typer.Argument(metavar="STUDY_UID")]) -> None:
    """Let drafts of a study bear whatever patient the archive says, and let it go if it is held."""
    settings, now = load(), datetime.now(UTC)
    node = next((one.to for one in settings.archives if isinstance(one.to, PacsNode)), None)
    archive = None if node is None else whose.of_study(study, node, secure.requestor(settings))
    if archive is None:
        raise NothingToRead("no archive that can be asked has this study")
    with opened() as database, database.begin() as session:
        row = studies.lock(session, story.uid_of(session, study))
        films = current(session, study, settings.spool)
        if not films:
            raise NothingToRead("nothing of this study is in the spool")
        ours = whose.of_file(films[0].path)
        found = Difference(demographics.differences(ours, archive), str(node), archive, ours)
        demographics.adopt(session, row, found, (getpass.getuser(), settings.corrections), now)
        correcting.follow(session, row, now)
    terminal.say(f"{study}: drafts bear the identity that {node} says")


def _one(begins: str) -> UUID:
    row = PatientCorrectionRow
    asked = select(row.correction_id).where(func.starts_with(cast(row.correction_id, Text), begins))
    found = ask(lambda session: session.scalars(asked.limit(2)).all())
    if len(found) != 1:
        raise UnknownCorrection("no such correction" if not found else "several begin like that")
    return UUID(str(found[0]))
