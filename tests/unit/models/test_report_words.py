"""The words of a draft: their order, their certainty, and what they never say."""

import re

from films import a_film, looked_at
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fakes import FakeEye, Planted
from models.report import compose, wording
from models.report.findings import judge
from models.values import Finding, GroundedReport
from models.vocabulary import AnatomicStructure, Observation, Presence, Side, ViewPosition

COMPARISON = re.compile(
    r"unchanged|stable|increas|decreas|\bnew\b|previous|prior|compar", re.IGNORECASE
)


def report_of(eye: FakeEye) -> GroundedReport:
    found, _ = judge(looked_at(eye))
    return compose.compose(found, eye.limits)


def texts(report: GroundedReport) -> list[str]:
    return [sentence.text for sentence in report.findings]


def test_a_film_without_findings_is_not_called_normal() -> None:
    report = report_of(FakeEye())
    assert texts(report) == [
        "Cardiac silhouette not enlarged: cardiothoracic ratio 0.44, band 0.43 to 0.46.",
        "No opacity seen in the assessed parts of the lungs.",
        "No mass or nodule seen in the assessed parts of the lungs.",
        "No pleural effusion seen in the assessed parts of the film.",
    ]
    assert [sentence.text for sentence in report.impression] == [
        (
            "No enlarged cardiac silhouette, opacity, mass or nodule, or pleural effusion"
            " seen in the assessed parts of the film."
        )
    ]
    assert "normal" not in " ".join(texts(report))
    assert "pneumothorax" in report.not_assessed


def test_findings_are_named_with_side_zone_and_certainty() -> None:
    report = report_of(
        FakeEye(
            cardiothoracic_ratio=0.6,
            planted=(
                Planted(Observation.LUNG_OPACITY, (0.3, 0.52), (0.08, 0.12), 0.5),
                Planted(Observation.MASS, (0.7, 0.3)),
                Planted(Observation.PLEURAL_EFFUSION, (0.18, 0.7)),
            ),
        )
    )
    assert texts(report) == [
        "Enlarged cardiac silhouette: cardiothoracic ratio 0.60, band 0.59 to 0.62.",
        "Possible opacity in the right mid and lower lung zones.",
        "No opacity seen in the assessed parts of the left lung.",
        "Likely mass or nodule in the left upper lung zone.",
        "No mass or nodule seen in the assessed parts of the right lung.",
        "Likely right pleural effusion.",
        "No left pleural effusion seen in the assessed parts of the film.",
    ]
    assert [sentence.text for sentence in report.impression] == [
        "Likely mass or nodule in the left upper lung zone.",
        "Likely right pleural effusion.",
        "Enlarged cardiac silhouette.",
        "Possible opacity in the right mid and lower lung zones.",
    ]


def test_the_same_words_are_said_once_with_their_number() -> None:
    report = report_of(
        FakeEye(
            planted=(
                Planted(Observation.MASS, (0.22, 0.62), (0.03, 0.03)),
                Planted(Observation.MASS, (0.35, 0.62), (0.03, 0.03)),
            )
        )
    )
    (sentence,) = [s for s in report.findings if s.text.startswith("Likely")]
    assert sentence.text == "Likely mass or nodule in the right lower lung zone, 2 places."
    assert sentence.finding_ids == ("F1", "F2")


def test_what_could_not_be_assessed_is_said_once_per_side_and_reason() -> None:
    report = report_of(FakeEye(unseen=frozenset({AnatomicStructure.RIGHT_LUNG})))
    assert "Heart size not assessed (right lung not seen)." in texts(report)
    assert (
        "Not assessed on the right: opacity, mass or nodule and pleural effusion"
        " (right lung not seen)." in texts(report)
    )
    assert report.impression[-1].text == (
        "Not assessed, at least in part: heart size, opacity, mass or nodule and pleural effusion."
    )


def test_a_suspicion_without_a_place_claims_none() -> None:
    report = report_of(FakeEye(planted=(Planted(Observation.PLEURAL_EFFUSION, radius=None),)))
    (sentence,) = [text for text in texts(report) if "effusion" in text]
    assert sentence == (
        "Possible pleural effusion (suspected on the film as a whole, but not localised)."
    )


def test_several_suspicions_without_a_place_are_one_sentence() -> None:
    report = report_of(
        FakeEye(
            planted=(
                Planted(Observation.PLEURAL_EFFUSION, radius=None),
                Planted(Observation.LUNG_OPACITY, radius=None, probability=0.4),
            )
        )
    )
    (sentence,) = [s for s in report.findings if "not localised" in s.text]
    assert sentence.text.startswith("Possible opacity and pleural effusion (")
    assert sentence.finding_ids == ("F1", "F2")
    assert report.impression[0].text == "Possible opacity and pleural effusion, not localised."


def test_an_ap_film_has_an_uncertain_heart_with_its_measurement() -> None:
    eye = FakeEye(cardiothoracic_ratio=0.6)
    found, _ = judge(looked_at(eye, a_film(view_position=ViewPosition.AP)))
    assert compose.compose(found, ()).findings[0].text == (
        "Heart size uncertain: cardiothoracic ratio 0.60, band 0.59 to 0.62"
        " (AP projection enlarges the heart)."
    )


def test_zones_are_listed_as_prose() -> None:
    zones = (
        AnatomicStructure.RIGHT_UPPER_LUNG_ZONE,
        AnatomicStructure.RIGHT_MID_LUNG_ZONE,
        AnatomicStructure.RIGHT_LOWER_LUNG_ZONE,
    )
    assert wording.place(zones) == "right upper, mid and lower lung zones"
    assert wording.place((AnatomicStructure.LEFT_APICAL_ZONE,)) == "left apical lung zone"
    assert wording.place((AnatomicStructure.SPINE,)) == ""


plants = st.builds(
    Planted,
    st.sampled_from(Observation),
    st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)),
    st.none() | st.tuples(st.floats(0.01, 0.2), st.floats(0.01, 0.2)),
    st.floats(0, 1),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(plants, max_size=4), st.floats(0.3, 0.7), st.sets(st.sampled_from(AnatomicStructure))
)
def test_every_finding_is_in_exactly_one_sentence_and_nothing_is_compared(
    planted: list[Planted], ratio: float, unseen: set[AnatomicStructure]
) -> None:
    eye = FakeEye(planted=tuple(planted), cardiothoracic_ratio=ratio, unseen=frozenset(unseen))
    found, _ = judge(looked_at(eye))
    report = compose.compose(found, ())
    cited = [name for sentence in report.findings for name in sentence.finding_ids]
    assert sorted(cited) == sorted(finding.finding_id for finding in found)
    for sentence in (*report.findings, *report.impression):
        assert sentence.finding_ids
        assert sentence.text.endswith(".")
        assert not COMPARISON.search(sentence.text)
        assert "%" not in sentence.text


def a_finding(presence: Presence, side: Side | None) -> Finding:
    return Finding("F1", Observation.LUNG_OPACITY, presence, 0.5, side, (), ())


def test_a_box_without_a_side_says_so() -> None:
    box = looked_at().regions.box(AnatomicStructure.LEFT_LUNG)
    assert box is not None
    finding = Finding("F1", Observation.MASS, Presence.UNCERTAIN, 0.5, None, (), (box,))
    assert wording.stated(finding) == "Possible mass or nodule, side not stated."


def test_a_side_without_a_zone_names_the_lung() -> None:
    assert wording.stated(a_finding(Presence.UNCERTAIN, Side.LEFT)) == (
        "Possible opacity in the left lung."
    )
