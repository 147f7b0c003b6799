"""Masks of regions wait until somebody asks for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("onnxruntime")

from models import bundles
from models.anatomy.eye import OnnxEye
from models.values import ChestImage
from models.vocabulary import AnatomicStructure

EXAMPLES = Path(bundles.__file__).parent / "examples"


@pytest.fixture(scope="module")
def eye() -> OnnxEye:
    return OnnxEye(bundles.find(), intra_op_num_threads=1)


def example(name: str) -> ChestImage:
    pixels = np.asarray(Image.open(EXAMPLES / name), np.float32)
    return ChestImage(name, pixels / pixels.max())


def test_the_network_is_told_that_nobody_wants_masks_of_regions(
    monkeypatch: pytest.MonkeyPatch, eye: OnnxEye
) -> None:
    told, run = [], eye._session._run

    def listen(squares: NDArray[np.float32], *asked: Any) -> list[NDArray[np.float32]]:
        told.append(asked)
        return run(squares, *asked)

    monkeypatch.setattr(eye._session, "_run", listen)
    (sight,) = eye.look([example("test-00.png")])
    assert sight.region_masks[AnatomicStructure.SPINE].any()
    (names, first), (all_names, second) = told
    assert first == {"with_region_masks": False}
    assert second == {}
    assert {*all_names} - {*names} == {"out_region_masks"}


@pytest.mark.parametrize("mirrored", [False, True])
def test_masks_of_regions_are_computed_when_asked_for_and_once(
    eye: OnnxEye,
    mirrored: bool,
) -> None:
    image = example("test-00.png")
    if mirrored:
        image = ChestImage("x", np.ascontiguousarray(image.pixels[:, ::-1]))
    (at_once,) = OnnxEye(bundles.find(), intra_op_num_threads=1, later=()).look([image])
    (sight,) = eye.look([image])
    before = eye.session_seconds
    assert sight.region_masks[AnatomicStructure.LEFT_LUNG].any()
    assert AnatomicStructure.SPINE in sight.region_masks
    assert eye.session_seconds == before
    spine = sight.region_masks[AnatomicStructure.SPINE]
    after = eye.session_seconds
    assert after > before
    assert spine.any()
    for name, mask in at_once.region_masks.items():
        assert (sight.region_masks[name] == mask).all()
    assert eye.session_seconds == after
    assert at_once.regions == sight.regions
    assert at_once.signs == sight.signs
