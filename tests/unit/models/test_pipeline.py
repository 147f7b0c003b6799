"""The whole computation on one film, and what it promises whatever the film shows."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
from films import a_film
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import pipeline
from models.errors import UnreadableImage
from models.fakes import FakeEye, Planted
from models.gates import table
from models.masks import film
from models.rationale import pointer
from models.report import compose, findings
from models.values import Analysis, ChestImage, OutOfScope, TextStep
from models.vocabulary import (
    AnatomicStructure,
    MaskName,
    Observation,
    Presence,
    ScopeReason,
    ViewPosition,
)

SIDE_WORD = re.compile(r"\b(right|left|bilateral)\b", re.IGNORECASE)


def analysed(eye: FakeEye, image: ChestImage | None = None) -> Analysis:
    result = pipeline.analyse(image or a_film(), eye)
    assert isinstance(result, Analysis)
    return result


def all_words(analysis: Analysis) -> list[str]:
    sentences = (*analysis.report.findings, *analysis.report.impression)
    steps = [step for part in analysis.rationales for step in part.steps]
    return [
        *(sentence.text for sentence in sentences),
        *(step.text if isinstance(step, TextStep) else step.caption for step in steps),
        *(finding.reason or "" for finding in analysis.findings),
        *(mask.label for mask in analysis.masks),
        *(held.line for held in analysis.withheld),
        *analysis.report.limits,
    ]


def test_a_film_with_a_mass_becomes_a_whole_draft() -> None:
    analysis = analysed(FakeEye(planted=(Planted(Observation.MASS, (0.3, 0.62)),)))
    assert analysis.partial_reason is None
    assert [f.finding_id for f in analysis.findings if f.presence is Presence.PRESENT] == ["F1"]
    assert [mask.label for mask in analysis.masks] == [
        "right lung",
        "left lung",
        "heart",
        "F1 right mass or nodule",
    ]
    assert len(analysis.rationales) == 5
    assert analysis.models[0].name == "fake-eye"
    assert set(analysis.stage_seconds) == {
        "look", "masks", "findings", "report", "rationale", "gates",
    }  # fmt: skip
    assert all(seconds >= 0 for seconds in analysis.stage_seconds.values())


def test_a_film_out_of_scope_gives_no_draft() -> None:
    result = pipeline.analyse(a_film(), FakeEye(in_scope=0.1, reason=ScopeReason.NOT_A_CHEST))
    assert isinstance(result, OutOfScope)
    assert result.image_id == "film"
    assert result.in_scope == 0.1


def test_what_is_not_a_film_is_the_callers_to_know() -> None:
    with pytest.raises(UnreadableImage):
        pipeline.analyse(ChestImage("x", np.full((50, 50), np.nan, np.float32)), FakeEye())


def test_concluding_twice_from_one_sight_gives_the_same_draft() -> None:
    eye = FakeEye(planted=(Planted(Observation.LUNG_OPACITY, (0.7, 0.6)),))
    image = a_film()
    (sight,) = eye.look((image,))
    first, second = (pipeline.conclude(image, sight, eye) for _ in range(2))
    assert isinstance(first, Analysis)
    assert isinstance(second, Analysis)
    assert first.findings == second.findings
    assert first.report == second.report
    assert first.rationales == second.rationales
    assert all(
        np.array_equal(a.mask, b.mask) for a, b in zip(first.masks, second.masks, strict=True)
    )


def test_changing_the_pixels_under_the_same_header_changes_the_draft() -> None:
    eye = FakeEye(sees_paint=True)
    clean = a_film()
    pixels = clean.pixels.copy()
    pixels[120:150, 60:90] = 1.0
    painted = replace(clean, pixels=pixels)
    without, with_mass = analysed(eye, clean), analysed(eye, painted)
    assert without.report != with_mass.report
    assert any(f.presence is Presence.PRESENT for f in with_mass.findings)


class Unpainted(Mapping[MaskName, NDArray[np.float32]]):
    """Masks that cannot be had: what a full memory looks like from here."""

    def __getitem__(self, name: MaskName) -> NDArray[np.float32]:
        raise MemoryError(name)

    def __iter__(self) -> Iterator[MaskName]:
        return iter(MaskName)

    def __len__(self) -> int:
        return len(MaskName)


def test_without_masks_the_draft_is_partial_and_nothing_is_localised() -> None:
    eye = FakeEye(planted=(Planted(Observation.MASS),))
    image = a_film()
    (sight,) = eye.look((image,))
    analysis = pipeline.conclude(image, replace(sight, masks=Unpainted()), eye)
    assert isinstance(analysis, Analysis)
    assert analysis.partial_reason == "These stages failed: masks (MemoryError)."
    assert analysis.masks == ()
    assert analysis.report.findings
    assert Presence.PRESENT not in {f.presence for f in analysis.findings}


@pytest.mark.parametrize(
    ("module", "name", "stage"),
    [
        (findings, "judge", "findings"),
        (table, "pass_findings", "findings"),
        (compose, "compose", "report"),
        (pointer, "explain", "rationale"),
        (table, "pass_words", "gates"),
        (film, "leaving", "masks"),
    ],
)
def test_a_stage_that_fails_takes_only_itself_away(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, stage: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("words that must not leave")

    monkeypatch.setattr(module, name, broken)
    analysis = analysed(FakeEye())
    assert analysis.partial_reason is not None
    assert f"{stage} (ValueError)" in analysis.partial_reason
    assert "words that must not leave" not in analysis.partial_reason
    assert "pneumothorax" in analysis.report.not_assessed


def test_words_that_could_not_pass_the_gates_do_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(table, "pass_words", broken)
    analysis = analysed(FakeEye(planted=(Planted(Observation.MASS),)))
    assert analysis.report.findings == ()
    assert analysis.report.impression == ()
    assert analysis.rationales == ()


plants = st.builds(
    Planted,
    st.sampled_from(Observation),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.none() | st.tuples(st.floats(0.01, 0.3), st.floats(0.01, 0.3)),
    st.floats(0, 1),
)
eyes = st.builds(
    FakeEye,
    st.integers(0, 50),
    st.lists(plants, max_size=5).map(tuple),
    st.floats(0.3, 0.7),
    mirrored=st.sampled_from([0.0, 0.9]),
    view_position=st.sampled_from([None, ViewPosition.PA, ViewPosition.AP]),
    unseen=st.frozensets(st.sampled_from(AnatomicStructure), max_size=12),
)
films = st.builds(
    a_film,
    st.integers(80, 400),
    st.integers(80, 400),
    view_position=st.sampled_from([None, ViewPosition.PA, ViewPosition.AP]),
    patient_orientation=st.sampled_from([None, ("L", "F"), ("R", "F"), ("F", "L"), ("H", "R")]),
)


@settings(max_examples=80, deadline=None)
@given(eyes, films)
def test_whatever_is_seen_the_draft_is_grounded(eye: FakeEye, image: ChestImage) -> None:
    analysis = analysed(eye, image)
    assert analysis.partial_reason is None
    ids = [finding.finding_id for finding in analysis.findings]
    assert len(ids) == len(set(ids))
    for sentence in (*analysis.report.findings, *analysis.report.impression):
        assert sentence.finding_ids
        assert set(sentence.finding_ids) <= set(ids)
    for finding in analysis.findings:
        if finding.presence in (Presence.PRESENT, Presence.ABSENT):
            assert finding.structures
        else:
            assert finding.reason
        for box in finding.boxes:
            assert 0 <= box.x_min < box.x_max <= image.columns
            assert 0 <= box.y_min < box.y_max <= image.rows
    assert {finding.observation for finding in analysis.findings} == set(Observation)
    for mask in analysis.masks:
        assert mask.mask.shape == image.pixels.shape
        assert (mask.finding_id is None) != (mask.organ is None)
        assert mask.finding_id is None or mask.finding_id in ids


@settings(max_examples=60, deadline=None)
@given(eyes, films)
def test_a_mirrored_film_never_yields_a_side(eye: FakeEye, image: ChestImage) -> None:
    analysis = analysed(replace(eye, mirrored=0.8), image)
    assert {finding.side for finding in analysis.findings} == {None}
    assert not [text for text in all_words(analysis) if SIDE_WORD.search(text)]
    assert any(held.gate == "laterality" for held in analysis.withheld)
