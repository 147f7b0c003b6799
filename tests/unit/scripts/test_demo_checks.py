"""The promises of the demonstration can be broken: each check is shown a case that must fail it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom import codes
from models.values import PixelBox
from models.vocabulary import Observation, Presence
from scripts.demo import checks
from scripts.demo.archive import BoxFinding, CodedFinding, Held
from scripts.demo.films import DemoFilm, Outcome, Truth
from scripts.ledger import Standing

MASS = codes.OBSERVATIONS[Observation.MASS].meaning
EFFUSION = codes.OBSERVATIONS[Observation.PLEURAL_EFFUSION].meaning
PRESENT = codes.PRESENCES[Presence.PRESENT].meaning
ABSENT = codes.PRESENCES[Presence.ABSENT].meaning
TRUTH = Truth(Observation.MASS, PixelBox(100, 100, 200, 200))
NOTHING = Held((), (), (), (), (), (), 0)
DRAFT = Held(
    kinds=("SEG", "box SR", "text SR"),
    series_descriptions=("AI DRAFT",),
    sentences=(("Findings", "A mass."),),
    findings=(CodedFinding(MASS, PRESENT),),
    boxes=(BoxFinding(MASS, PixelBox(110, 100, 210, 200), ""),),
    missing_in_query=(),
    content_bytes=1000,
)
NORMAL = replace(DRAFT, findings=(CodedFinding(MASS, ABSENT),), boxes=())


def film(outcome: Outcome) -> DemoFilm:
    return DemoFilm(
        "key", "a film", outcome, Path("film.dcm"), "1.2.3", (TRUTH,), frozenset({"LATERAL"})
    )


def standing(state: str | None, code: str = "") -> Standing:
    return Standing("CLOSED", datetime(2026, 1, 1, tzinfo=UTC), state, code, "", {}, {})


def broken(outcome: Outcome, state: Standing | None, held: Held) -> list[str]:
    return [check.promise for check in checks.of_film(film(outcome), state, held) if not check.kept]


@pytest.mark.parametrize(
    ("outcome", "state", "held"),
    [
        (Outcome.READ, standing("DELIVERED"), DRAFT),
        (Outcome.FINDING, standing("DELIVERED"), DRAFT),
        (Outcome.NO_FINDING, standing("DELIVERED"), NORMAL),
        (Outcome.TURNED_AWAY, standing("SKIPPED", "LATERAL"), NOTHING),
    ],
)
def test_what_is_as_promised_breaks_nothing(outcome: Outcome, state: Standing, held: Held) -> None:
    assert not broken(outcome, state, held)


def test_a_draft_that_only_was_encoded_is_not_delivered() -> None:
    assert broken(Outcome.READ, standing("SHADOW"), DRAFT)
    assert broken(Outcome.READ, None, DRAFT)


@pytest.mark.parametrize(
    "held",
    [
        NOTHING,
        replace(DRAFT, kinds=("SEG",)),
        replace(DRAFT, sentences=()),
        replace(DRAFT, missing_in_query=("1.2",)),
    ],
)
def test_a_draft_that_the_archive_lacks_in_part_is_noticed(held: Held) -> None:
    assert broken(Outcome.READ, standing("DELIVERED"), held)


@pytest.mark.parametrize(
    "held",
    [
        replace(DRAFT, boxes=()),
        replace(DRAFT, boxes=(BoxFinding(MASS, PixelBox(180, 180, 280, 280), ""),)),
        replace(DRAFT, boxes=(BoxFinding(EFFUSION, TRUTH.box, ""),)),
        replace(DRAFT, findings=(CodedFinding(MASS, ABSENT),)),
        replace(DRAFT, findings=(CodedFinding(EFFUSION, PRESENT),)),
    ],
)
def test_a_finding_missed_elsewhere_or_called_otherwise_is_noticed(held: Held) -> None:
    assert broken(Outcome.FINDING, standing("DELIVERED"), held)


def test_a_false_finding_is_noticed() -> None:
    assert broken(Outcome.NO_FINDING, standing("DELIVERED"), DRAFT)


def test_a_draft_without_any_state_is_no_normal_film() -> None:
    assert broken(Outcome.NO_FINDING, standing("DELIVERED"), replace(NORMAL, findings=()))


@pytest.mark.parametrize(
    ("state", "held"),
    [
        (standing("SKIPPED", "BODY_PART"), NOTHING),
        (standing("DELIVERED"), DRAFT),
        (standing("FAILED", "LATERAL"), NOTHING),
        (None, NOTHING),
        (standing("SKIPPED", "LATERAL"), DRAFT),
    ],
)
def test_a_film_turned_away_otherwise_than_it_must_is_noticed(
    state: Standing | None, held: Held
) -> None:
    assert broken(Outcome.TURNED_AWAY, state, held)


def test_a_missing_picture_is_noticed(tmp_path: Path) -> None:
    picture = tmp_path / "key.png"
    assert not checks.drawn([film(Outcome.READ)], [picture]).kept
    picture.write_bytes(b"png")
    assert checks.drawn([film(Outcome.READ)], [picture]).kept
