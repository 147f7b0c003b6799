from pathlib import Path

import pytest
from pydicom import dcmread

pytest.importorskip("torch")

from toy_studio import SIDE, toy_studio

from models.simulate.generate import Order
from models.simulate.wishes import Kind
from workers import simulating
from workers.simulating import Photometric


def test_films_truth_and_both_photometrics_are_written_and_progress_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = Order(2, 1, Kind.NORMAL, SIDE, with_masks=False)
    simulating.write(toy_studio(), order, tmp_path, Photometric.BOTH)
    names = {path.name for path in tmp_path.iterdir()}
    for number in range(2):
        stem = f"film_{number:05d}"
        assert {f"{stem}.png", f"{stem}.json", f"{stem}.dcm", f"{stem}.monochrome1.dcm"} <= names
    films = [dcmread(tmp_path / name) for name in sorted(names) if name.endswith(".dcm")]
    assert {ds.PhotometricInterpretation for ds in films} == {"MONOCHROME1", "MONOCHROME2"}
    assert len({ds.SOPInstanceUID for ds in films}) == 4
    said = capsys.readouterr()
    assert "2/2" in said.err
    assert "films/s" in said.err
    assert "wrote 2 films" in said.out


def test_an_unknown_kind_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        simulating.simulate(out=tmp_path, kind="unicorn")
    assert "there are: mixed, normal" in capsys.readouterr().err
