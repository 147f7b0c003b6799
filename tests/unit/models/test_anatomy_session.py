"""A network is held to what its bundle declares: every difference has a name, none a default."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from films import a_film
from tiny_networks import SIDE, boxes, write

from models import bundles, pipeline, summary
from models.anatomy import retrieval
from models.anatomy.eye import OnnxEye
from models.anatomy.session import Session, cores
from models.errors import DeviceUnavailable, GpuOutOfMemory, OutputsNotFinite, WeightsMismatch
from models.values import Analysis, OutOfScope
from models.vocabulary import AnatomicStructure, Presence, Quality, Sign

CPU = "CPUExecutionProvider"
SIGNS = ["pneumothorax", "nodule"]
WITH_SIGNS: Mapping[str, Mapping[str, Any]] = {
    "output": {"signs": SIGNS, "qualities": ["rotated"]},
    "sign_thresholds": {"pneumothorax": [0.2, 0.8], "nodule": [0.2, 0.8]},
    "quality_thresholds": {"rotated": [0.4, 0.6]},
}
IN_SCOPE: Mapping[str, Mapping[str, Any]] = {"operating": {"scope_margin": 0.0}}


def scope(chest: float) -> np.ndarray:
    return np.asarray([chest, 0, 0, 0, 0], np.float32)


def attributes() -> np.ndarray:
    places = np.full((36, len(SIGNS)), -5.0, np.float32)
    places[list(AnatomicStructure).index(AnatomicStructure.LEFT_APICAL_ZONE), 0] = 3.0
    return places


def test_a_network_with_boxes_alone_gives_all_regions_and_says_what_it_lacks(
    tmp_path: Path,
) -> None:
    eye = OnnxEye(write(tmp_path / "b", {"boxes": boxes()}, {}))
    film = a_film(300, 260)
    (sight,) = eye.look([film])
    assert [r.structure for r in sight.regions] == list(AnatomicStructure)
    assert sight.unavailable == (
        "whether a region is visible", "how wide it looked for the edges of a region", "findings",
        "signs", "places of signs", "outlines", "outlines of regions",
        "whether the film may be read", "the view",
        "which side is which", "how the film was taken",
    )  # fmt: skip
    assert sight.sides is None
    assert sight.scope.mirrored >= 0.5  # nobody may state a side
    told = summary.to_json(pipeline.analyse(film, eye))
    assert told["in_scope"] is False
    assert len(told["regions"]) == 36
    assert told["regions"][0]["uncertainty"] is told["regions"][0]["attributes"] is None
    assert told["signs"] is None
    assert told["not_available"] == list(sight.unavailable)


def test_a_network_without_heads_for_findings_makes_none_of_them_normal(tmp_path: Path) -> None:
    outputs = {"boxes": boxes(), "presence": np.full(36, 5.0), "scope": scope(9.0)}
    eye = OnnxEye(write(tmp_path / "b", outputs, IN_SCOPE))
    result = pipeline.analyse(a_film(300, 260), eye)
    assert isinstance(result, Analysis)
    assert result.partial_reason is None
    assert {f.presence for f in result.findings} <= {Presence.NOT_ASSESSED, Presence.UNCERTAIN}


def test_signs_have_their_state_and_their_place(tmp_path: Path) -> None:
    outputs = {
        "boxes": boxes(), "signs": np.asarray([3.0, -3.0]), "attributes": attributes(),
        "quality": np.asarray([2.0]),
    }  # fmt: skip
    eye = OnnxEye(write(tmp_path / "b", outputs, WITH_SIGNS))
    (sight,) = eye.look([a_film(300, 260)])
    pneumothorax, nodule = sight.signs
    assert (pneumothorax.sign, pneumothorax.presence) == (Sign.PNEUMOTHORAX, Presence.PRESENT)
    assert pneumothorax.structure is AnatomicStructure.LEFT_APICAL_ZONE
    assert (nodule.presence, nodule.structure) == (Presence.ABSENT, None)
    here = {region.structure: region.signs for region in sight.regions}
    ((sign, chance),) = [
        (s.sign, s.probability) for s in here.pop(AnatomicStructure.LEFT_APICAL_ZONE) or ()
    ]
    assert (sign, chance) == (Sign.PNEUMOTHORAX, pytest.approx(0.9526, abs=1e-3))
    assert set(here.values()) == {()}
    (rotated,) = sight.qualities
    assert (rotated.quality, rotated.presence) == (Quality.ROTATED, Presence.PRESENT)
    assert rotated.probability == pytest.approx(0.8808, abs=1e-3)


def test_a_sign_stands_in_the_region_it_is_named_for_however_unlikely(tmp_path: Path) -> None:
    places = np.full((36, len(SIGNS)), -5.0, np.float32)
    places[list(AnatomicStructure).index(AnatomicStructure.SPINE), 0] = -1.0
    outputs = {
        "boxes": boxes(), "signs": np.asarray([3.0, -3.0]), "attributes": places,
        "quality": np.asarray([2.0]),
    }  # fmt: skip
    (sight,) = OnnxEye(write(tmp_path / "b", outputs, WITH_SIGNS)).look([a_film(300, 260)])
    (spine,) = [r for r in sight.regions if r.signs]
    assert spine.structure is sight.signs[0].structure is AnatomicStructure.SPINE


def test_the_width_of_the_heat_maps_is_told_in_pixels_of_the_film(tmp_path: Path) -> None:
    outputs = {"boxes": boxes(), "spread": np.full(36, 0.05, np.float32)}
    operating = {"operating": {"spread_limit": 1.0, "spread_slope": 1.0}}
    (sight,) = OnnxEye(write(tmp_path / "b", outputs, operating)).look([a_film(300, 260)])
    longer_side = 300
    assert [r.spread for r in sight.regions] == pytest.approx([0.05 * longer_side] * 36)


def test_a_surplus_and_a_missing_output_are_both_named(tmp_path: Path) -> None:
    bundle = write(tmp_path / "b", {"boxes": boxes(), "presence": np.zeros(36)}, {})
    for heads in ({"boxes"}, {"boxes", "embedding"}):
        with pytest.raises(WeightsMismatch, match="presence"):
            Session(replace(bundle, heads=frozenset(heads)), CPU, 1)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"boxes": boxes()[:35]}, "boxes"),
        ({"boxes": boxes(), "presence": np.zeros((36, 1))}, "presence"),
        ({"boxes": boxes(), "scope": np.zeros(4)}, "scope"),
    ],
)
def test_an_output_of_another_shape_is_named(
    tmp_path: Path, outputs: dict[str, np.ndarray], words: str
) -> None:
    bundle = write(tmp_path / "b", outputs, IN_SCOPE if "scope" in outputs else {})
    with pytest.raises(WeightsMismatch, match=words):
        OnnxEye(bundle)


def test_an_input_of_another_size_is_named(tmp_path: Path) -> None:
    bundle = write(tmp_path / "b", {"boxes": boxes()}, {}, side=SIDE + 32)
    with pytest.raises(WeightsMismatch, match="inputs"):
        OnnxEye(bundle)


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    bundle = write(tmp_path / "b", {"boxes": boxes()}, {})
    (bundle.folder / "network.onnx").write_bytes(b"not a network")
    with pytest.raises(WeightsMismatch, match="not a network"):
        OnnxEye(bundle)


def test_what_is_not_a_number_is_never_drawn(tmp_path: Path) -> None:
    broken = boxes()
    broken[3, 1] = np.nan
    eye = OnnxEye(write(tmp_path / "b", {"boxes": broken}, {}))
    with pytest.raises(OutputsNotFinite, match="boxes"):
        eye.look([a_film(64, 64)])


def test_a_device_that_is_not_there_is_never_replaced_by_another() -> None:
    with pytest.raises(DeviceUnavailable, match="Dml"):
        OnnxEye(bundles.find(), provider="DmlExecutionProvider")


def test_a_film_out_of_scope_keeps_its_regions(tmp_path: Path) -> None:
    outputs = {"boxes": boxes(), "scope": scope(-9.0)}
    result = pipeline.analyse(a_film(300, 260), OnnxEye(write(tmp_path / "b", outputs, IN_SCOPE)))
    assert isinstance(result, OutOfScope)
    assert len(summary.to_json(result)["regions"]) == 36


def test_sub_databases_that_cannot_be_read_are_noticed_when_the_bundle_is_loaded(
    tmp_path: Path,
) -> None:
    bundle = write(tmp_path / "b", {"boxes": boxes()}, {})
    (bundle.folder / retrieval.FILE).write_bytes(b"no archive")
    files = {**bundle.files, retrieval.FILE: bundles.digest(bundle.folder / retrieval.FILE)}
    with pytest.raises(WeightsMismatch, match="cannot be read"):
        OnnxEye(replace(bundle, files=files))


def test_films_beside_each_other_get_the_very_answers_they_get_alone() -> None:
    bundle = bundles.find()
    films = np.random.default_rng(8).random((3, bundle.input_side, bundle.input_side), np.float32)
    alone, beside = Session(bundle, CPU, 1), Session(bundle, CPU, 2)
    wanted = alone.run(films)
    for given in (films, films[:1]):  # an odd number, and one that cannot be shared out
        found = beside.run(given)
        assert len(found) == len(given)
        for row, other in zip(found, wanted, strict=False):
            assert all(np.array_equal(row[head], other[head]) for head in other)


def test_a_half_that_fails_is_told_when_the_other_is_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = bundles.find()
    session = Session(bundle, CPU, 2)
    through, whole = threading.Event(), session._run

    def fail_first(squares: np.ndarray, *asked: Any) -> list[np.ndarray]:
        if squares[0, 0, 0, 0] == 0:
            raise session._refusals("failed to allocate memory")
        time.sleep(0.2)
        through.set()
        return whole(squares, *asked)

    monkeypatch.setattr(session, "_run", fail_first)
    films = np.zeros((2, bundle.input_side, bundle.input_side), np.float32)
    films[1] = 0.5
    with pytest.raises(GpuOutOfMemory):
        session.run(films)
    assert through.is_set()


def test_no_number_of_threads_is_all_that_the_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    Session(bundles.find(), CPU, 0)
