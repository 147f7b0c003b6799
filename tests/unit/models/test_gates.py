"""Each gate holds back its own bad draft; without it that draft would pass."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from films import a_film, looked_at

from models.fakes import FakeEye, Planted
from models.gates import findings as on_findings
from models.gates import scope, table
from models.gates import words as on_words
from models.gates.words import Draft
from models.opinions import ScopeOpinion
from models.rationale import pointer
from models.report import compose, looked
from models.report.findings import judge
from models.report.looked import Looked
from models.values import Finding, PixelBox, ReportSentence, VisualStep
from models.vocabulary import (
    AnatomicStructure,
    Observation,
    Presence,
    ScopeReason,
    Side,
    ViewPosition,
)

A_MASS = FakeEye(planted=(Planted(Observation.MASS, (0.3, 0.62)),))


def judged(eye: FakeEye = A_MASS) -> tuple[Looked, tuple[Finding, ...]]:
    seen = looked_at(eye)
    return seen, judge(seen)[0]


def the(findings: Sequence[Finding], finding_id: str) -> Finding:
    return next(finding for finding in findings if finding.finding_id == finding_id)


def swapped(findings: Sequence[Finding], bad: Finding) -> tuple[Finding, ...]:
    return tuple(bad if f.finding_id == bad.finding_id else f for f in findings)


def a_box(looked: Looked, structure: AnatomicStructure) -> PixelBox:
    box = looked.regions.box(structure)
    assert box is not None
    return box


def box_off_the_film(mass: Finding, seen: Looked) -> Finding:
    box = mass.boxes[0]
    return replace(mass, boxes=(PixelBox(-9, box.y_min, box.x_max, box.y_max),))


def no_region(mass: Finding, seen: Looked) -> Finding:
    return replace(mass, structures=())


def box_elsewhere(mass: Finding, seen: Looked) -> Finding:
    return replace(mass, boxes=(a_box(seen, AnatomicStructure.RIGHT_APICAL_ZONE),))


def below_the_diaphragm(mass: Finding, seen: Looked) -> Finding:
    region = AnatomicStructure.RIGHT_UPPER_QUADRANT_OF_ABDOMEN
    return replace(mass, structures=(region,), boxes=(a_box(seen, region),))


def in_the_mediastinum(mass: Finding, seen: Looked) -> Finding:
    region = AnatomicStructure.UPPER_MEDIASTINUM
    return replace(mass, side=None, structures=(region,), boxes=(a_box(seen, region),))


def other_side_in_words(mass: Finding, seen: Looked) -> Finding:
    return replace(mass, side=Side.LEFT)


def hardly_believed(mass: Finding, seen: Looked) -> Finding:
    return replace(mass, probability=0.4)


BAD_FINDINGS = [
    (on_findings.grounding, box_off_the_film, Presence.NOT_ASSESSED),
    (on_findings.grounding, no_region, Presence.NOT_ASSESSED),
    (on_findings.grounding, box_elsewhere, Presence.NOT_ASSESSED),
    (on_findings.ontology, below_the_diaphragm, Presence.NOT_ASSESSED),
    (on_findings.ontology, in_the_mediastinum, Presence.UNCERTAIN),
    (on_findings.laterality, other_side_in_words, Presence.NOT_ASSESSED),
    (on_findings.confidence, hardly_believed, Presence.UNCERTAIN),
]


@pytest.mark.parametrize(
    ("gate", "spoil", "state"), BAD_FINDINGS, ids=[spoil.__name__ for _, spoil, _ in BAD_FINDINGS]
)
def test_a_bad_finding_is_held_back_by_its_gate_and_by_no_other(
    gate: "table.FindingGate", spoil: Callable[[Finding, Looked], Finding], state: Presence
) -> None:
    seen, good = judged()
    bad = swapped(good, spoil(the(good, "F1"), seen))
    kept, lines = table.pass_findings(bad, seen)
    assert the(kept, "F1").presence is state
    assert [(line.gate, line.finding_id) for line in lines] == [(gate.__name__, "F1")]
    others = tuple(each for each in table.FINDING_GATES if each is not gate)
    passed, no_lines = table.pass_findings(bad, seen, others)
    assert the(passed, "F1") == the(bad, "F1")
    assert no_lines == ()


def test_a_good_draft_passes_untouched() -> None:
    seen, good = judged()
    kept, lines = table.pass_findings(good, seen)
    assert kept == good
    assert lines == ()
    draft = a_draft(seen, good)
    assert table.pass_words(draft, seen) == (draft, ())


def test_a_withheld_finding_keeps_no_place_box_or_measurement() -> None:
    _, good = judged()
    finding = on_findings.withheld(the(good, "F1"), "because")
    assert (finding.structures, finding.boxes, finding.measurement) == ((), (), None)
    assert finding.reason == "withheld: because"


@pytest.mark.parametrize("presence", [Presence.PRESENT, Presence.ABSENT])
def test_a_heart_size_against_its_measurement_is_lowered(presence: Presence) -> None:
    seen, good = judged(FakeEye(cardiothoracic_ratio=0.5))
    heart = good[0]
    bad = swapped(good, replace(heart, presence=presence))
    kept, lines = table.pass_findings(bad, seen)
    assert kept[0].presence is Presence.UNCERTAIN
    assert [line.gate for line in lines] == ["measurement"]
    others = tuple(g for g in table.FINDING_GATES if g is not on_findings.measurement)
    assert table.pass_findings(bad, seen, others)[0][0].presence is presence


def test_a_heart_size_without_a_measurement_is_withheld() -> None:
    seen, good = judged()
    kept, _ = table.pass_findings(swapped(good, replace(good[0], measurement=None)), seen)
    assert kept[0].presence is Presence.NOT_ASSESSED


def test_a_negative_that_the_eye_does_not_carry_is_lowered() -> None:
    seen, good = judged()
    effusion = next(f for f in good if f.observation is Observation.PLEURAL_EFFUSION)
    kept, _ = table.pass_findings(swapped(good, replace(effusion, probability=0.8)), seen)
    assert the(kept, effusion.finding_id).presence is Presence.UNCERTAIN


def mirrored(eye: FakeEye) -> tuple[Looked, tuple[Finding, ...]]:
    seen, good = judged(eye)
    opinion = ScopeOpinion(0.99, None, ViewPosition.PA, 0.9)
    sight = replace(seen.sight, scope=opinion)
    return looked.of(seen.image, sight, eye, seen.drawn), good


def test_a_mirrored_film_loses_every_side() -> None:
    seen, good = mirrored(A_MASS)
    kept, lines = table.pass_findings(good, seen)
    assert {finding.side for finding in kept} == {None}
    assert the(kept, "F1").presence is Presence.UNCERTAIN
    assert the(kept, "F1").structures == ()
    assert [line.gate for line in lines if line.gate == "laterality"] == ["laterality"]
    others = tuple(g for g in table.FINDING_GATES if g is not on_findings.laterality)
    assert the(table.pass_findings(good, seen, others)[0], "F1").side is Side.RIGHT


def test_a_negative_on_both_sides_survives_a_mirrored_film() -> None:
    seen, good = mirrored(FakeEye())
    kept, _ = table.pass_findings(good, seen)
    lungs = [f for f in kept if f.observation is Observation.MASS]
    assert {f.presence for f in lungs} == {Presence.ABSENT}
    assert set(lungs[0].structures) == {AnatomicStructure.RIGHT_LUNG, AnatomicStructure.LEFT_LUNG}


def test_a_reason_names_no_side_on_a_mirrored_film() -> None:
    eye = FakeEye(unseen=frozenset({AnatomicStructure.LEFT_COSTOPHRENIC_ANGLE}))
    seen, good = mirrored(eye)
    kept, _ = table.pass_findings(good, seen)
    assert not any("left" in (finding.reason or "") for finding in kept)


def test_lungs_against_the_stated_orientation_cost_the_sides() -> None:
    image = a_film(patient_orientation=("L", "F"))
    (sight,) = A_MASS.look((a_film(patient_orientation=("R", "F")),))
    base = looked_at(A_MASS)
    seen = looked.of(image, sight, A_MASS, base.drawn)
    assert not seen.technique.sides_known
    assert "No side is stated in this draft." in seen.technique.remarks()


def a_draft(seen: Looked, found: tuple[Finding, ...]) -> Draft:
    report = compose.compose(found, ())
    return Draft(found, report, pointer.explain(found, report, seen.regions))


def with_sentence(draft: Draft, text: str, *ids: str) -> Draft:
    sentences = (*draft.report.findings, ReportSentence(text, ids))
    return replace(draft, report=replace(draft.report, findings=sentences))


BAD_WORDS = [
    (on_words.grounding, "Likely fracture.", ()),
    (on_words.grounding, "Likely fracture.", ("F9",)),
    (on_words.laterality, "Likely mass in the left lung.", ("F1",)),
    (on_words.laterality, "Bilateral masses.", ("F1",)),
    (on_words.priors, "The mass is unchanged.", ("F1",)),
    (on_words.priors, "A new mass, no longer small.", ("F1",)),
]


@pytest.mark.parametrize(("gate", "text", "ids"), BAD_WORDS)
def test_a_bad_sentence_is_held_back_by_its_gate_and_by_no_other(
    gate: "table.WordGate", text: str, ids: tuple[str, ...]
) -> None:
    seen, found = judged()
    bad = with_sentence(a_draft(seen, found), text, *ids)
    kept, lines = table.pass_words(bad, seen)
    assert text not in [sentence.text for sentence in kept.report.findings]
    assert [line.gate for line in lines] == [gate.__name__]
    others = tuple(each for each in table.WORD_GATES if each is not gate)
    passed, no_lines = table.pass_words(bad, seen, others)
    assert text in [sentence.text for sentence in passed.report.findings]
    assert no_lines == ()


def test_a_compared_finding_is_said_again_without_the_comparison() -> None:
    seen, found = judged()
    bad = with_sentence(a_draft(seen, found), "Stable mass in the right lung.", "F1")
    kept, _ = table.pass_words(bad, seen)
    said = [s.text for s in kept.report.findings if s.finding_ids == ("F1",)]
    assert said == ["Likely mass or nodule in the right lower lung zone."] * 2


def test_words_of_side_are_held_back_on_a_mirrored_film_also_in_the_rationale() -> None:
    seen, good = mirrored(A_MASS)
    draft = a_draft(seen, good)  # the findings gates were left out, so its words name sides
    kept, lines = table.pass_words(draft, seen)
    said = [s.text for s in (*kept.report.findings, *kept.report.impression)]
    steps = [step for part in kept.rationales for step in part.steps]
    captions = [s.caption if isinstance(s, VisualStep) else s.text for s in steps]
    assert not any("right" in text or "left" in text for text in (*said, *captions))
    assert {line.gate for line in lines} == {"laterality"}


@pytest.mark.parametrize(
    "box", [PixelBox(-4, 10, 50, 60), PixelBox(1, 290, 9, 299)], ids=["off the film", "elsewhere"]
)
def test_a_picture_that_does_not_fit_the_film_is_held_back(box: PixelBox) -> None:
    seen, found = judged()
    draft = a_draft(seen, found)
    step = VisualStep(box, "Lungs.", (AnatomicStructure.RIGHT_LUNG,))
    bad = replace(draft, rationales=(replace(draft.rationales[1], steps=(step,)),))
    kept, lines = table.pass_words(bad, seen)
    assert kept.rationales[0].steps == ()
    assert [line.gate for line in lines] == ["faithfulness"]
    others = tuple(g for g in table.WORD_GATES if g is not on_words.faithfulness)
    assert table.pass_words(bad, seen, others)[0].rationales[0].steps == (step,)


@pytest.mark.parametrize("reason", list(ScopeReason))
def test_a_film_out_of_scope_is_refused_in_plain_words(reason: ScopeReason) -> None:
    eye = FakeEye(in_scope=0.49, reason=reason)
    (sight,) = eye.look((a_film(),))
    refused = scope.refuse(a_film(), sight, eye.identity)
    assert refused is not None
    assert refused.reason is reason
    assert refused.words.startswith("The picture does not look like a frontal chest radiograph: ")
    assert refused.sight is sight


def test_a_film_in_scope_is_not_refused() -> None:
    eye = FakeEye(in_scope=0.5)
    (sight,) = eye.look((a_film(),))
    assert scope.refuse(a_film(), sight, eye.identity) is None


def test_the_page_on_gates_names_every_gate_in_its_order() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gates.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \|", page, flags=re.MULTILINE)
    gates = [gate.__name__ for gate in (*table.FINDING_GATES, *table.WORD_GATES)]
    assert [row for row in rows if row != "gate"] == ["scope", *gates]
