"""``carina replay`` and ``carina compare``: read again, and say what the readings differ in.

With ``--shadow`` a study is read here and now, by any bundle, and compared with the draft there
is. Nothing of that is kept or sent: only the trail says that somebody looked.
"""

import getpass
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dicom.errors import DicomError
from service import commands_studies, comparing, lanes, readings, sources, story, terminal
from service import replay as again
from service.comparing import Comparison, Reading
from service.dispatch import Bell
from service.errors import NothingToRead, ServiceError
from service.inquiry import opened
from service.settings import load
from service.values import Lane

if TYPE_CHECKING:
    from service.db.engine import Database

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
UNKNOWN_NAME = "no draft"

Study = Annotated[str | None, typer.Argument(metavar="[STUDY_UID]", help="Or the id of a job")]
Since = Annotated[
    datetime | None, typer.Option("--from", formats=FORMATS, help="Received from then on, UTC")
]
Until = Annotated[
    datetime | None, typer.Option("--to", formats=FORMATS, help="Received before, UTC")
]
Json = Annotated[bool, typer.Option("--json", help="For programs: one object a line")]


def replay(  # noqa: PLR0913  (the options of a command line)
    study: Study = None,
    *,
    since: Since = None,
    until: Until = None,
    bundle: Annotated[
        str | None, typer.Option(help="Read with this network instead; only with --shadow")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Read here and compare; keep and send nothing")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read one study again, or all of a time: new jobs, which name what they replace.

    Several studies wait in the backfill lane, behind what comes in.
    """
    if bundle is not None and not shadow:
        raise typer.BadParameter("only with --shadow; workers read with CARINA_ANATOMY_BUNDLE")
    with opened() as database:
        names = _named(database, study, since, until)
        if shadow:
            _show(_read_in_shadow(database, names, bundle), as_json=as_json)
            return
    if study is not None:
        commands_studies.replay(study)
    else:
        _replay_all(names)


def compare(
    study: Study = None, *, since: Since = None, until: Until = None, as_json: Json = False
) -> None:
    """Compare the newest reading of a study, or of all of a time, with the one before it."""
    with opened() as database:
        _show(_compare_kept(database, _named(database, study, since, until)), as_json=as_json)


def _named(
    database: "Database", study: str | None, since: datetime | None, until: datetime | None
) -> tuple[str, ...]:
    if (study is None) == (since is None):
        raise typer.BadParameter("name either a study or a time, by --from (and --to)")
    with database.begin() as session:
        if study is not None:
            return (story.uid_of(session, study),)
        assert since is not None
        end = datetime.now(UTC) if until is None else until.replace(tzinfo=UTC)
        return readings.between(session, since.replace(tzinfo=UTC), end)


def _replay_all(names: tuple[str, ...]) -> None:
    settings, user_id = load(), getpass.getuser()
    bell = Bell(settings)
    with opened() as database:
        for uid in names:
            now = datetime.now(UTC)
            try:
                with database.begin() as session:
                    job = again.replay(session, uid, user_id, now)
                    lanes.put_back(session, job.job_id, now + settings.caps[Lane.BACKFILL])
            except ServiceError as error:
                terminal.fault(f"{uid}: not read again: {error}")
                continue
            bell.ring_analyse([job.job_id])
            terminal.say(f"{uid}: job {job.job_id}, revision {job.revision}")
    bell.close()


def _read_in_shadow(
    database: "Database", names: Iterable[str], bundle: str | None
) -> Iterable[Comparison]:
    from workers import nets  # noqa: PLC0415  (the networks only where something is read)
    from workers.shadow import read  # noqa: PLC0415

    settings, user_id = load(), getpass.getuser()
    if bundle is not None:
        settings = settings.model_copy(update={"anatomy_bundle": bundle})
    eye = nets.load(settings)
    for uid in names:
        with database.begin() as session:
            before = next(iter(readings.kept(session, uid, 1)), Reading(UNKNOWN_NAME))
            instances = sources.current(session, uid, settings.spool.absolute())
        try:
            after = read(instances, eye, settings)
        except (NothingToRead, DicomError) as error:
            terminal.fault(f"{uid}: not read: {error}")
            continue
        found = comparing.compare(uid, before, after)
        with database.begin() as session:
            readings.leave_trace(session, found, user_id, datetime.now(UTC))
        yield found


def _compare_kept(database: "Database", names: Iterable[str]) -> Iterable[Comparison]:
    user_id = getpass.getuser()
    for uid in names:
        with database.begin() as session:
            found = readings.kept(session, uid, 2)
            if len(found) < 2:  # noqa: PLR2004  (the newest and the one before it)
                continue
            after, before = found
            compared = comparing.compare(uid, before, after)
            readings.leave_trace(session, compared, user_id, datetime.now(UTC))
        yield compared


def _show(comparisons: Iterable[Comparison], *, as_json: bool) -> None:
    done = []
    for one in comparisons:
        done.append(one)
        if as_json:
            terminal.as_json_line(one.as_dict())
        else:
            _tell(one)
    if as_json:
        return
    terminal.say("")
    same = sum(not one.changes for one in done)
    terminal.say(f"{len(done)} studies compared, {same} say the same")
    rows = [(number, what) for what, number in comparing.totals(done).most_common()]
    if rows:
        terminal.table(("times", "what"), rows)


def _tell(one: Comparison) -> None:
    terminal.say(f"{one.study_instance_uid}")
    terminal.say(f"  {one.before}")
    terminal.say(f"  {one.after}")
    if not one.changes:
        terminal.say("  the same")
        return
    rows = [
        (
            each.sop_instance_uid,
            each.subject,
            each.name,
            str(each.what),
            each.before or "-",
            each.after or "-",
            "-" if each.overlap is None else f"{each.overlap:.2f}",
        )
        for each in one.changes
    ]
    terminal.table(("film", "of", "name", "what", "before", "after", "overlap"), rows)
