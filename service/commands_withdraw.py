"""``carina withdraw`` and ``retire``: take back drafts, and have archives let go of old ones."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from service import retiring, story, terminal, withdrawing
from service.commands import software_version
from service.dispatch import Bell
from service.inquiry import ask
from service.settings import load
from service.withdrawing import REASON_MAX, House, Withdrawn, Word


def withdraw(
    study: Annotated[str, typer.Argument(metavar="STUDY_UID", help="Or the id of a job")],
    *,
    reason: Annotated[str, typer.Option(help="Why; readers see it. No patient data")],
    by: Annotated[str, typer.Option(help="Who; else the user of this command")] = "",
) -> None:
    """Withdraw the drafts of a study: never send what waits, and say so where something was sent.

    Nothing in the study is read by itself afterwards; `carina replay` reads it again.
    """
    plain = " ".join(reason.split())
    if not plain or len(plain) > REASON_MAX:
        raise typer.BadParameter(f"a reason of 1 to {REASON_MAX} characters", param_hint="--reason")
    now, settings = datetime.now(UTC), load()
    house = House(
        spool=settings.spool,
        kept_results=settings.kept_results,
        destinations=tuple(one.name for one in settings.archives),
        software_version=software_version(),
    )
    uid = ask(lambda session: story.uid_of(session, study))
    word = Word(uid, plain, " ".join(by.split()) or getpass.getuser())
    done: Withdrawn = ask(lambda session: withdrawing.withdraw(session, word, house, now))
    revisions = ", ".join(f"r{number}" for number in done.revisions) or "what was being collected"
    terminal.say(f"{uid}: withdrawn: {revisions}")
    if done.notice_job_id is None:
        terminal.say("nothing had been sent: no notice is needed")
        return
    bell = Bell(settings)
    heard = bell.ring_deliver([done.notice_job_id])
    bell.close()
    later = "" if heard else " (the broker did not hear; the sweep will ring)"
    terminal.say(f"notice {done.notice_job_id} goes to {', '.join(done.destinations)}{later}")


def retire(
    study: Annotated[str, typer.Argument(metavar="STUDY_UID", help="Or the id of a job")],
) -> None:
    """Reject or delete old objects of a study, as its destinations are set now.

    For what an archive did not do before, or was not asked to do. The sweep rings for it.
    """
    now, user_id = datetime.now(UTC), getpass.getuser()
    uid = ask(lambda session: story.uid_of(session, study))
    count = ask(lambda session: retiring.reopen(session, uid, user_id, now))
    terminal.say(f"{uid}: {count} to be done, archive by archive")
