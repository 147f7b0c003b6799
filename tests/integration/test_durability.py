"""What a kill cannot show: the order of system calls behind every answer, seen by strace."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import Postgres

from scripts.durability import order, runs
from scripts.durability.order import Rule
from scripts.durability.runs import Subject
from scripts.durability.sabotage import Sabotage

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not runs.can_trace(), reason="no strace, or no right to trace"),
]
FILMS = 2


@pytest.fixture
def subject(postgres: Postgres, tmp_path: Path) -> Iterator[Subject]:
    urls = postgres.migrated_database()
    yield Subject(tmp_path, urls.service)
    postgres.drop_database(urls.name)


def test_what_is_answered_committed_or_sealed_is_on_the_disk_before(subject: Subject) -> None:
    received = order.examine(subject.receive(runs.films(subject.home, FILMS)))
    assert received.violations == ()
    assert (received.answers, received.files) == (FILMS, FILMS)
    read = order.examine(subject.do("read"))
    assert read.violations == ()
    assert read.files >= FILMS, "at least one result for each study"
    sealed = order.examine(subject.do("seal"))
    assert sealed.violations == ()
    assert sealed.heads == 1


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        (Sabotage.FILE_SYNC, Rule.FILE_NOT_SYNCED),
        (Sabotage.FOLDER_SYNC, Rule.NAME_NOT_SYNCED),
        (Sabotage.COMMIT_FIRST, Rule.ANSWERED_WITHOUT_COMMIT),
    ],
)
def test_a_listener_from_which_something_was_taken_away_is_found_out(
    subject: Subject, what: Sabotage, rule: Rule
) -> None:
    worse = Subject(subject.home, subject.database_url, what)
    found = order.check(worse.receive(runs.films(subject.home, FILMS)))
    assert len([one for one in found if one.rule is rule]) == FILMS
