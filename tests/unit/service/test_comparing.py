from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import comparing
from service.comparing import Change, Reading, What

STUDY, FILM = "1.2.3", "1.2.3.9.1"
BOX = [100.0, 100.0, 200.0, 200.0]


def a_finding(
    name: str = "pleural effusion", state: str = "PRESENT", **more: Any
) -> dict[str, Any]:
    return {"name": name, "state": state, "side": None, "boxes": [], **more}


def a_reading(
    *findings: dict[str, Any], regions: dict[str, list[float]] | None = None, film: str = FILM
) -> Reading:
    boxes = [{"name": name, "box": box} for name, box in (regions or {}).items()]
    one = {"sop_instance_uid": film, "findings": list(findings), "regions": boxes}
    return Reading("a reading", {"films": [one]})


def changes(before: Reading, after: Reading) -> tuple[Change, ...]:
    return comparing.compare(STUDY, before, after).changes


def test_two_readings_that_say_the_same_have_no_changes() -> None:
    one = a_reading(a_finding(boxes=[BOX]), regions={"heart": BOX})
    assert changes(one, one) == ()


@pytest.mark.parametrize(
    ("was", "now", "what"),
    [
        ("ABSENT", "PRESENT", What.APPEARED),
        ("PRESENT", "ABSENT", What.VANISHED),
        ("PRESENT", "UNCERTAIN", What.VANISHED),
        ("ABSENT", "UNCERTAIN", What.STATE),
        ("UNCERTAIN", "NOT ASSESSED", What.STATE),
    ],
)
def test_a_finding_appears_vanishes_or_changes_its_state(was: str, now: str, what: What) -> None:
    (found,) = changes(a_reading(a_finding(state=was)), a_reading(a_finding(state=now)))
    assert (found.name, found.what, found.before, found.after) == (
        "pleural effusion",
        what,
        was,
        now,
    )


def test_findings_of_two_sides_are_two_findings() -> None:
    before = a_reading(a_finding(side="right", boxes=[BOX]))
    after = a_reading(a_finding(side="right", boxes=[BOX]), a_finding(side="left", boxes=[BOX]))
    (found,) = changes(before, after)
    assert (found.name, found.what) == ("left pleural effusion", What.APPEARED)


def test_a_box_that_went_elsewhere_has_moved_with_what_it_still_shares() -> None:
    half = [150.0, 100.0, 250.0, 200.0]
    before, after = a_reading(a_finding(boxes=[BOX])), a_reading(a_finding(boxes=[half]))
    (found,) = changes(before, after)
    assert (found.what, found.overlap) == (What.MOVED, 0.333)
    near = [105.0, 100.0, 205.0, 200.0]
    assert changes(before, a_reading(a_finding(boxes=[near]))) == ()


def test_regions_that_moved_came_or_went_are_told() -> None:
    far = [500.0, 500.0, 600.0, 600.0]
    found = changes(
        a_reading(regions={"heart": BOX, "trachea": BOX}),
        a_reading(regions={"heart": far, "spine": BOX}),
    )
    assert [(one.name, one.what) for one in found] == [
        ("heart", What.MOVED),
        ("spine", What.APPEARED),
        ("trachea", What.VANISHED),
    ]


def test_a_film_that_only_one_of_them_reads_is_told_once() -> None:
    before, after = a_reading(a_finding()), a_reading(a_finding(), film="1.2.3.9.2")
    assert [(one.sop_instance_uid, one.subject, one.what) for one in changes(before, after)] == [
        (FILM, "film", What.VANISHED),
        ("1.2.3.9.2", "film", What.APPEARED),
    ]


def test_totals_count_findings_by_name_and_regions_together() -> None:
    first = comparing.compare(
        STUDY,
        a_reading(a_finding(state="ABSENT"), regions={"heart": BOX}),
        a_reading(a_finding(), regions={"spine": BOX}),
    )
    counted = comparing.totals([first, first])
    assert counted == {
        "pleural effusion: appeared": 2,
        "region: appeared": 2,
        "region: vanished": 2,
    }


boxes = st.lists(
    st.builds(
        lambda x, y, w, h: [float(x), float(y), float(x + w), float(y + h)],
        *(st.integers(0, 50), st.integers(0, 50), st.integers(1, 50), st.integers(1, 50)),
    ),
    max_size=4,
)


@given(boxes, boxes)
def test_overlap_is_a_share_and_the_same_both_ways(
    one: list[list[float]], other: list[list[float]]
) -> None:
    shared = comparing.overlap(one, other)
    assert 0.0 <= shared <= 1.0
    assert shared == comparing.overlap(other, one)
    assert comparing.overlap(one, one) == 1.0
