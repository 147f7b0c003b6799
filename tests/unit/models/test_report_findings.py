"""Findings in four states: what is called, what is not, and why."""

from dataclasses import replace

import pytest
from films import a_film, looked_at

from models.fakes import FakeEye, Planted
from models.grounding import Regions
from models.masks import film
from models.report import looked
from models.report.findings import judge
from models.report.heart import LIMIT
from models.report.localised import BELOW_CALL, NOT_EXCLUDED, NOT_LOCALISED
from models.values import AnatomyRegion, Finding, PixelBox
from models.vocabulary import AnatomicStructure, Observation, Presence, Side, ViewPosition

RIGHT_LOWER = (0.3, 0.62)
LEFT_UPPER = (0.7, 0.3)


def findings_of(eye: FakeEye, observation: Observation, **film_words: object) -> list[Finding]:
    found, _ = judge(looked_at(eye, a_film(**film_words)))  # type: ignore[arg-type]
    return [finding for finding in found if finding.observation is observation]


def heart_of(eye: FakeEye, **film_words: object) -> Finding:
    (heart,) = findings_of(eye, Observation.ENLARGED_CARDIAC_SILHOUETTE, **film_words)
    return heart


def test_nothing_planted_gives_negatives_on_both_sides_with_their_regions() -> None:
    found, parts = judge(looked_at())
    assert {finding.presence for finding in found} == {Presence.ABSENT}
    assert len(found) == 1 + 3 * 2
    assert all(finding.structures for finding in found)
    assert not parts


def test_probability_and_mask_together_make_a_localised_finding() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS, RIGHT_LOWER),))
    present, absent = findings_of(eye, Observation.MASS)
    assert present.presence is Presence.PRESENT
    assert present.side is Side.RIGHT
    assert present.structures == (AnatomicStructure.RIGHT_LOWER_LUNG_ZONE,)
    (box,) = present.boxes
    assert box.centre == pytest.approx((0.3 * 260, 0.62 * 300), abs=1.5)
    assert (absent.presence, absent.side) == (Presence.ABSENT, Side.LEFT)


def test_probability_between_the_thresholds_is_only_possible() -> None:
    eye = FakeEye(planted=(Planted(Observation.PLEURAL_EFFUSION, (0.82, 0.7), probability=0.5),))
    _, finding = sorted(
        findings_of(eye, Observation.PLEURAL_EFFUSION), key=lambda f: f.presence.value
    )
    assert finding.presence is Presence.UNCERTAIN
    assert finding.reason == BELOW_CALL
    assert finding.boxes
    assert AnatomicStructure.LEFT_COSTOPHRENIC_ANGLE in finding.structures


def test_probability_without_a_mask_is_possible_without_box_or_side() -> None:
    eye = FakeEye(planted=(Planted(Observation.LUNG_OPACITY, radius=None, probability=0.99),))
    (finding,) = findings_of(eye, Observation.LUNG_OPACITY)
    assert finding.presence is Presence.UNCERTAIN
    assert (finding.boxes, finding.side, finding.reason) == ((), None, NOT_LOCALISED)


def test_a_mask_without_probability_calls_nothing() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS, RIGHT_LOWER, probability=0.1),))
    assert {f.presence for f in findings_of(eye, Observation.MASS)} == {Presence.ABSENT}


def test_a_blob_below_the_least_size_is_not_a_finding() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS, RIGHT_LOWER, radius=(0.008, 0.008)),))
    states = {f.presence for f in findings_of(eye, Observation.MASS)}
    assert Presence.PRESENT not in states


def test_a_shadow_beside_the_chest_is_no_finding_of_its_own() -> None:
    outside = Planted(Observation.PLEURAL_EFFUSION, (0.04, 0.2), (0.035, 0.1))
    (alone,) = findings_of(FakeEye(planted=(outside,)), Observation.PLEURAL_EFFUSION)
    assert (alone.presence, alone.boxes) == (Presence.UNCERTAIN, ())
    inside = Planted(Observation.PLEURAL_EFFUSION, (0.2, 0.65), (0.08, 0.06))
    both = findings_of(FakeEye(planted=(outside, inside)), Observation.PLEURAL_EFFUSION)
    assert [len(finding.boxes) for finding in both] == [1, 0]


@pytest.mark.parametrize("observation", [Observation.LUNG_OPACITY, Observation.MASS])
def test_a_shadow_over_the_shoulder_is_no_finding_in_the_lung_box(observation: Observation) -> None:
    # Inside the box of the left lung, but beside the lung that is drawn in it.
    shoulder = Planted(observation, (0.865, 0.13), (0.05, 0.04))
    (finding,) = findings_of(FakeEye(planted=(shoulder,)), observation)
    assert (finding.presence, finding.boxes) == (Presence.UNCERTAIN, ())


def test_a_mass_in_the_mediastinum_is_kept_for_the_gate_on_places() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS, (0.5, 0.22), (0.04, 0.04)),))
    middle = [f for f in findings_of(eye, Observation.MASS) if f.boxes]
    assert [finding.side for finding in middle] == [None]
    assert AnatomicStructure.UPPER_MEDIASTINUM in middle[0].structures


def test_a_bundle_without_negatives_calls_but_never_excludes() -> None:
    thresholds = dict.fromkeys(Observation, (0.3, 0.7)) | {Observation.MASS: (0.0, 0.7)}
    empty = findings_of(FakeEye(thresholds=thresholds), Observation.MASS)
    assert [(f.presence, f.side) for f in empty] == [(Presence.NOT_ASSESSED, None)]
    planted = (Planted(Observation.MASS, RIGHT_LOWER),)
    called, other = findings_of(FakeEye(planted=planted, thresholds=thresholds), Observation.MASS)
    assert (called.presence, called.side) == (Presence.PRESENT, Side.RIGHT)
    assert (other.presence, other.reason) == (Presence.NOT_ASSESSED, NOT_EXCLUDED)
    faint = (Planted(Observation.MASS, RIGHT_LOWER, probability=0.5),)
    (unsure,) = findings_of(FakeEye(planted=faint, thresholds=thresholds), Observation.MASS)
    assert unsure.presence is Presence.NOT_ASSESSED


def test_every_mass_is_a_finding_of_its_own_and_opacities_go_by_side() -> None:
    places = [(0.25, 0.35), (0.35, 0.6), (0.75, 0.45)]
    masses = FakeEye(planted=tuple(Planted(Observation.MASS, p, (0.04, 0.04)) for p in places))
    assert [f.presence for f in findings_of(masses, Observation.MASS)] == [Presence.PRESENT] * 3
    opacities = FakeEye(
        planted=tuple(Planted(Observation.LUNG_OPACITY, p, (0.05, 0.05)) for p in places)
    )
    right, left = findings_of(opacities, Observation.LUNG_OPACITY)
    assert (right.side, len(right.boxes)) == (Side.RIGHT, 2)
    assert (left.side, len(left.boxes)) == (Side.LEFT, 1)


def test_a_side_that_is_not_seen_is_not_assessed_and_says_why() -> None:
    eye = FakeEye(unseen=frozenset({AnatomicStructure.LEFT_COSTOPHRENIC_ANGLE}))
    right, left = findings_of(eye, Observation.PLEURAL_EFFUSION)
    assert right.presence is Presence.ABSENT
    assert left.presence is Presence.NOT_ASSESSED
    assert left.reason == "left costophrenic angle not seen"
    assert left.structures == ()


def test_a_lung_cut_off_by_the_edge_is_not_assessed() -> None:
    seen = looked_at()
    lung = next(r for r in seen.sight.regions if r.structure is AnatomicStructure.RIGHT_LUNG)
    moved = AnatomyRegion(lung.structure, replace(lung.box, x_min=-5.0), lung.score)
    regions = tuple(moved if r is lung else r for r in seen.sight.regions)
    found, _ = judge(replace(seen, regions=Regions(seen.image, regions)))
    right = [f for f in found if f.side is Side.RIGHT]
    assert {f.presence for f in right} == {Presence.NOT_ASSESSED}
    assert {f.reason for f in right} == {"right lung cut off by the edge of the film"}


def test_a_large_heart_is_measured_and_called() -> None:
    heart = heart_of(FakeEye(cardiothoracic_ratio=0.6))
    assert heart.presence is Presence.PRESENT
    assert heart.measurement is not None
    assert heart.measurement.value == pytest.approx(0.6, abs=0.01)
    assert heart.measurement.low < heart.measurement.value < heart.measurement.high
    assert len(heart.measurement.lines) == 2
    assert len(heart.boxes) == 1


def test_a_normal_heart_is_a_negative_with_its_measurement() -> None:
    heart = heart_of(FakeEye(cardiothoracic_ratio=0.42))
    assert heart.presence is Presence.ABSENT
    assert heart.measurement is not None
    assert heart.measurement.value == pytest.approx(0.42, abs=0.01)


def test_a_ratio_whose_band_holds_the_limit_is_uncertain() -> None:
    heart = heart_of(FakeEye(cardiothoracic_ratio=0.5, cardiothoracic_error=(0.0, 0.02)))
    assert heart.presence is Presence.UNCERTAIN


def test_the_measured_bias_is_taken_off_the_ratio() -> None:
    heart = heart_of(FakeEye(cardiothoracic_ratio=0.6, cardiothoracic_error=(0.05, 0.01)))
    assert heart.measurement is not None
    assert heart.measurement.value == pytest.approx(0.55, abs=0.01)


@pytest.mark.parametrize("ratio", [0.5, 0.65])
def test_a_heart_is_not_called_large_on_an_ap_film(ratio: float) -> None:
    heart = heart_of(FakeEye(cardiothoracic_ratio=ratio), view_position=ViewPosition.AP)
    assert heart.presence is Presence.UNCERTAIN
    assert heart.reason == "AP projection enlarges the heart"
    assert heart.measurement is not None


@pytest.mark.parametrize("view", [ViewPosition.AP, None])
def test_a_heart_that_looks_small_though_it_is_enlarged_is_a_negative(
    view: ViewPosition | None,
) -> None:
    heart = heart_of(FakeEye(view_position=view, cardiothoracic_ratio=0.4), view_position=view)
    assert heart.presence is Presence.ABSENT
    assert heart.measurement is not None
    assert heart.measurement.high < LIMIT


@pytest.mark.parametrize("ratio", [0.4, 0.65])
def test_heart_size_is_not_judged_on_a_film_that_may_be_mirrored(ratio: float) -> None:
    eye = FakeEye(cardiothoracic_ratio=ratio)
    seen = looked_at(eye)
    scope = replace(seen.sight.scope, mirrored=0.9)
    sight = replace(seen.sight, scope=scope)
    heart = judge(looked.of(seen.image, sight, eye, seen.drawn))[0][0]
    assert heart.presence is Presence.UNCERTAIN
    assert heart.reason == "the film may be mirrored"


def test_heart_size_is_not_judged_on_a_film_of_unknown_view() -> None:
    heart = heart_of(FakeEye(view_position=None, cardiothoracic_ratio=0.65), view_position=None)
    assert heart.presence is Presence.UNCERTAIN


def test_heart_size_is_not_judged_against_the_appearance() -> None:
    eye = FakeEye(
        cardiothoracic_ratio=0.6,
        planted=(Planted(Observation.ENLARGED_CARDIAC_SILHOUETTE, probability=0.05),),
    )
    assert heart_of(eye).presence is Presence.UNCERTAIN


@pytest.mark.parametrize("orientation", [("L", "F"), ("F", "L")])
def test_heart_size_is_not_judged_when_box_and_outline_disagree(
    orientation: tuple[str, str],
) -> None:
    image = a_film(patient_orientation=orientation)
    seen = looked_at(FakeEye(cardiothoracic_ratio=0.6), image)
    assert judge(seen)[0][0].presence is Presence.PRESENT
    small = looked_at(FakeEye(cardiothoracic_ratio=0.4), image).drawn
    heart = judge(replace(seen, drawn=small))[0][0]
    assert heart.presence is Presence.UNCERTAIN
    assert heart.reason == "box and outline of the heart disagree"


def test_a_heart_that_is_not_seen_is_not_assessed() -> None:
    heart = heart_of(FakeEye(unseen=frozenset({AnatomicStructure.CARDIAC_SILHOUETTE})))
    assert heart.presence is Presence.NOT_ASSESSED
    assert heart.measurement is None


def test_the_ratio_is_the_same_on_a_film_stored_on_its_side() -> None:
    upright = heart_of(FakeEye(cardiothoracic_ratio=0.6))
    lying = heart_of(FakeEye(cardiothoracic_ratio=0.6), patient_orientation=("F", "L"))
    assert upright.measurement is not None
    assert lying.measurement is not None
    assert lying.measurement.value == pytest.approx(upright.measurement.value, abs=0.01)
    (x0, y0), (x1, y1) = lying.measurement.lines[0]
    assert x0 == x1
    assert y1 > y0


def test_without_masks_the_heart_is_still_measured_and_nothing_is_localised() -> None:
    eye = FakeEye(cardiothoracic_ratio=0.6, planted=(Planted(Observation.MASS, RIGHT_LOWER),))
    image = a_film()
    (sight,) = eye.look((image,))
    found, parts = judge(looked.of(image, sight, eye, film.NOTHING_DRAWN))
    heart = found[0]
    assert heart.measurement is not None
    assert heart.measurement.value == pytest.approx(0.6, abs=0.02)
    assert not parts
    (mass,) = [f for f in found if f.observation is Observation.MASS]
    assert (mass.presence, mass.boxes) == (Presence.UNCERTAIN, ())


@pytest.mark.parametrize(
    ("clavicle_shift", "rotated"), [(0.0, False), (60.0, True)], ids=["straight", "rotated"]
)
def test_rotation_is_seen_on_clavicles_and_spine(clavicle_shift: float, rotated: bool) -> None:
    seen = looked_at()
    moved = []
    for region in seen.sight.regions:
        box = region.box
        if "clavicle" in region.structure.value:
            shift = clavicle_shift / 2
            box = PixelBox(box.x_min + shift, box.y_min, box.x_max + shift, box.y_max)
        moved.append(replace(region, box=box))
    sight = replace(seen.sight, regions=tuple(moved))
    technique = looked.of(seen.image, sight, FakeEye(), seen.drawn).technique
    assert ("the patient looks rotated" in technique.distorting()) is rotated


def test_ids_are_unique_and_tell_positives_from_the_rest() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS, LEFT_UPPER),))
    found, parts = judge(looked_at(eye))
    ids = [finding.finding_id for finding in found]
    assert len(set(ids)) == len(ids)
    for finding in found:
        positive = finding.presence in (Presence.PRESENT, Presence.UNCERTAIN)
        assert finding.finding_id.startswith("F" if positive else "N")
    assert set(parts) == {"F1"}
