"""``carina hurry``."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from service import lanes, story, terminal
from service.inquiry import ask
from service.lane_rules import Placement
from service.settings import load
from service.values import Lane


def hurry(
    study: Annotated[str, typer.Argument(metavar="STUDY_UID", help="Or the id of a job")],
) -> None:
    """Put a study before all others, by hand: it becomes STAT, and that is audited."""
    now, user_id = datetime.now(UTC), getpass.getuser()
    placement = Placement(Lane.STAT, lanes.BY_HAND, load().caps[Lane.STAT])
    uid = ask(lambda session: story.uid_of(session, study))
    raised = ask(lambda session: lanes.hurry(session, uid, placement, user_id, now))
    terminal.say(f"{uid}: {'is STAT now' if raised else 'was STAT already'}")
