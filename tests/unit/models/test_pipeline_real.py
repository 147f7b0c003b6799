"""The shipped network under the whole pipeline, on two real films that come with pydicom-data."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from models import bundles, pipeline
from models.protocols import Eye
from models.values import Analysis, ChestImage, OutOfScope
from models.vocabulary import MaskName, Presence, ViewPosition


@pytest.fixture(scope="module")
def eye() -> Eye:
    pytest.importorskip("onnxruntime")
    from models.anatomy.eye import OnnxEye  # noqa: PLC0415 (only where it can run)

    return OnnxEye(bundles.find())


def real_film(name: str) -> ChestImage:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    film = dcmread(path)
    pixels = film.pixel_array.astype(np.float32)
    low, high = np.percentile(pixels, [0.5, 99.5])
    pixels = np.clip((pixels - low) / (high - low), 0, 1)
    if film.PhotometricInterpretation == "MONOCHROME1":
        pixels = 1 - pixels
    return ChestImage(
        name, pixels.astype(np.float32), ViewPosition.PA, patient_orientation=("L", "F")
    )


@pytest.fixture(scope="module")
def chest() -> ChestImage:
    return real_film("RG1_UNCR.dcm")


@pytest.fixture(scope="module")
def draft(chest: ChestImage, eye: Eye) -> Analysis:
    result = pipeline.analyse(chest, eye)
    assert isinstance(result, Analysis)
    return result


def test_a_real_chest_becomes_a_whole_draft_with_its_organs(draft: Analysis) -> None:
    assert draft.partial_reason is None
    assert draft.report.findings
    organs = {mask.organ: mask.mask for mask in draft.masks if mask.organ}
    assert set(organs) == {MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG, MaskName.HEART}
    right, left = (
        np.nonzero(organs[name])[1].mean() for name in (MaskName.RIGHT_LUNG, MaskName.LEFT_LUNG)
    )
    assert right < left


def test_a_real_extremity_is_refused_by_the_picture_alone(eye: Eye) -> None:
    result = pipeline.analyse(real_film("RG3_UNCR.dcm"), eye)
    assert isinstance(result, OutOfScope)
    assert result.words.startswith("The picture does not look like a frontal chest radiograph")


def test_other_pixels_under_the_same_header_give_another_draft(
    chest: ChestImage, draft: Analysis, eye: Eye
) -> None:
    whitened = chest.pixels.copy()
    rows, columns = whitened.shape
    whitened[rows // 2 :, : columns // 2] = 0.9
    changed = pipeline.analyse(replace(chest, pixels=whitened), eye)
    assert not isinstance(changed, Analysis) or changed.report != draft.report


def test_a_film_turned_over_under_the_same_header_states_no_side(
    chest: ChestImage, eye: Eye
) -> None:
    turned = pipeline.analyse(replace(chest, pixels=chest.pixels[:, ::-1].copy()), eye)
    if isinstance(turned, OutOfScope):
        return  # refused: that states no side either
    assert {finding.side for finding in turned.findings} == {None}
    assert Presence.PRESENT not in {f.presence for f in turned.findings if f.boxes and f.side}
