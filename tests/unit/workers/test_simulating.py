import sys
from pathlib import Path

import pytest
from pydicom import dcmread

pytest.importorskip("torch")

from toy_studio import SIDE, toy_studio

from models.simulate import source
from models.simulate.generate import Order
from models.simulate.wishes import Kind
from service import cli
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


def test_without_a_package_index_the_command_says_in_a_sentence_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\nexit 1\n")
    failing.chmod(0o755)
    arguments = ["simulate", "--out", str(tmp_path / "films"), "--data", str(tmp_path / "home")]
    monkeypatch.setattr(sys, "argv", ["carina", *arguments])
    monkeypatch.setattr(sys, "executable", str(failing))
    monkeypatch.setenv("CARINA_HOME", str(tmp_path / "home"))  # put back afterwards
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == cli.FAILED
    said = " ".join(capsys.readouterr().err.split())
    assert f"carry the wheel of {source.WHEEL}" in said
    assert "Traceback" not in said
