"""Fetching the viewer, with an npm of our own that never leaves the machine."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from service import ohif_package
from service.ohif import ViewerFailed


def an_npm(folder: Path, script: str) -> None:
    """Put an ``npm`` into a folder."""
    folder.mkdir(exist_ok=True)
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    npm.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that comes first on the path."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def a_package(tmp_path: Path) -> Path:
    """Return a package that looks like the viewer."""
    page = tmp_path / "index.html"
    page.write_text("viewer", encoding="utf-8")
    package = tmp_path / "viewer.tgz"
    with tarfile.open(package, "w:gz") as archive:
        archive.add(page, "package/dist/index.html")
    return package


def test_a_viewer_that_is_there_is_not_fetched_again(tmp_path: Path, programs: Path) -> None:
    an_npm(programs, "exit 1")
    dist = tmp_path / "cache" / "package" / "dist"
    dist.mkdir(parents=True)
    (dist / "index.html").write_text("viewer", encoding="utf-8")
    assert ohif_package.fetch(tmp_path / "cache") == dist


def test_a_package_other_than_the_tested_one_is_refused(tmp_path: Path, programs: Path) -> None:
    package = a_package(tmp_path)
    cache = tmp_path / "cache"
    an_npm(programs, f'cp {package} "{cache}/" && echo {package.name}')
    with pytest.raises(ViewerFailed, match="not the package that was tested"):
        ohif_package.fetch(cache)
    assert list(cache.iterdir()) == []


def test_the_tested_package_is_unpacked(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = a_package(tmp_path)
    cache = tmp_path / "cache"
    an_npm(programs, f'cp {package} "{cache}/" && echo {package.name}')
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    monkeypatch.setattr(ohif_package, "SHA256", digest)
    dist = ohif_package.fetch(cache)
    assert (dist / "index.html").read_text(encoding="utf-8") == "viewer"


def test_npm_that_fails_is_said(tmp_path: Path, programs: Path) -> None:
    an_npm(programs, "echo no such registry >&2; exit 1")
    with pytest.raises(ViewerFailed, match="no such registry"):
        ohif_package.fetch(tmp_path / "cache")


def test_npm_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ViewerFailed, match="npm is not installed"):
        ohif_package.fetch(tmp_path / "cache")
