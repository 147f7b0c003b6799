import pytest

from service.db import beside, migrate
from service.db.beside import Running

LISTENER = Running("listen@a:1", "listen", "0003")
DELIVERER = Running("deliver@a:2", "deliver", "0003")
NEWER = Running("deliver@b:3", "deliver", "0004")


def test_every_migration_says_what_it_can_live_beside() -> None:
    assert tuple(beside.OLDEST_BESIDE) == migrate.revisions()
    for revision, roles in beside.OLDEST_BESIDE.items():
        assert set(roles) <= {"listen", "sweep", "web", "work", "deliver", "hl7"}
        assert all(oldest <= revision for oldest in roles.values())


def test_only_those_stand_in_the_way_that_the_new_tables_do_not_take() -> None:
    running = [LISTENER, DELIVERER, NEWER]
    assert beside.standing_in_the_way(running, ["0004"]) == [DELIVERER]
    assert beside.standing_in_the_way(running, ["0005", "0006"]) == []
    assert beside.standing_in_the_way(running, ["0004", "0007"]) == [DELIVERER, NEWER]
    assert beside.standing_in_the_way(running, []) == []


def test_the_listener_may_go_on_through_every_upgrade_there_is() -> None:
    assert beside.standing_in_the_way([LISTENER], migrate.revisions()) == []


@pytest.mark.parametrize(
    ("revisions", "expected"),
    [(["0001", "0003"], {}), (["0004"], {"deliver": "0004"}), (["0007", "0004"], "0007")],
)
def test_the_highest_floor_of_a_role_counts(revisions: list[str], expected: object) -> None:
    found = beside.floors(revisions)
    assert (found["deliver"] if isinstance(expected, str) else found) == expected
