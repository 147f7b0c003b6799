"""The simulated day by a real Postgres: the query claims what the definition says."""

import pytest

from scripts.day import ward
from scripts.day.arrivals import Arrival, day
from scripts.day.queues import InDatabase, Lanes
from scripts.day.ward import Shift
from service.db.engine import Database

pytestmark = pytest.mark.integration


def test_a_whole_day_is_claimed_by_the_database_as_by_the_definition(database: Database) -> None:
    shift = Shift(workers=1, batch=3)
    arrivals = tuple(
        Arrival(one.number, one.at_s, one.lane, one.reading_s * 35) for one in day(250, 7)
    )
    expected = ward.run(arrivals, Lanes(), shift)
    assert any(one.waited_s > 6 * 3600 for one in expected)  # some were overdue
    assert ward.run(arrivals, InDatabase(database), shift) == expected
