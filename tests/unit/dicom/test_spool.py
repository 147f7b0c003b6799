import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from film_builders import a_film
from hypothesis import given
from hypothesis import strategies as st

from dicom import film, spool
from dicom.errors import SpoolUnavailable, UndecodableInstance

SHA256 = "ab" * 32


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_of_a_sender_reaches_a_path(study: str, instance: str) -> None:
    root = Path("/spool")
    path = spool.object_path(root, study, instance, SHA256)
    relative = path.relative_to(root / "objects")
    assert len(relative.parts) == 3
    assert all(set(part) <= set("0123456789abcdef-.dcm") for part in relative.parts)
    assert ".." not in relative.parts


def test_another_data_set_under_the_same_uid_has_its_own_file() -> None:
    one = spool.object_path(Path("/s"), "1.2", "1.3", "a" * 64)
    other = spool.object_path(Path("/s"), "1.2", "1.3", "b" * 64)
    assert one != other
    assert one.parent == other.parent


def test_a_moved_file_is_under_its_final_name_alone(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    incoming = spool.incoming_folder(tmp_path) / "x.dcm"
    incoming.write_bytes(b"bytes")
    final = spool.object_path(tmp_path, "1.2", "1.3", SHA256)
    spool.move(incoming, final)
    assert final.read_bytes() == b"bytes"
    assert not incoming.exists()
    assert list(spool.reconcile(tmp_path)) == [final]


def test_file_directory_and_parents_are_synced_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.prepare(tmp_path)
    incoming = spool.incoming_folder(tmp_path) / "x.dcm"
    incoming.write_bytes(b"bytes")
    final = spool.object_path(tmp_path, "1.2", "1.3", SHA256)
    synced: list[tuple[Path, bool]] = []
    stock = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), final.exists()))
        stock(descriptor)

    monkeypatch.setattr(spool.os, "fsync", watched)
    spool.move(incoming, final)
    folders = [final.parents[2], final.parents[1], final.parent]
    assert synced == [(folders[0], False), (folders[1], False), (folders[2], True)]


def test_a_folder_that_another_made_a_moment_ago_is_synced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.prepare(tmp_path)
    final = spool.object_path(tmp_path, "1.2", "1.3", SHA256)
    final.parent.mkdir(parents=True)  # and its maker has not come to the fsync above it yet
    synced: list[Path] = []
    stock = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        stock(descriptor)

    monkeypatch.setattr(spool.os, "fsync", watched)
    for _ in range(2):
        incoming = spool.incoming_folder(tmp_path) / "x.dcm"
        incoming.write_bytes(b"bytes")
        spool.move(incoming, final)
    folders = [final.parents[2], final.parents[1], final.parent]
    assert synced == [*folders, final.parent], "the second time the folders are known"


def test_the_digest_leaves_out_group_2(tmp_path: Path) -> None:
    one, other = a_film("x"), a_film("x")
    other.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    digests = set()
    for number, ds in enumerate((one, other)):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(film.encode(ds))
        digests.add(spool.digest(path))
    assert len(digests) == 1
    content = film.encode(one)
    start = spool.data_set_start(content)
    assert digests == {hashlib.sha256(content[start:]).hexdigest()}


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 500, b"\0" * 128 + b"DICM" + b"\0" * 40])
def test_what_is_no_part_10_file_has_no_digest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UndecodableInstance):
        spool.digest(path)


def test_the_sweep_takes_only_what_is_old(tmp_path: Path) -> None:
    spool.prepare(tmp_path)
    old, fresh = (spool.incoming_folder(tmp_path) / name for name in ("old.dcm", "fresh.dcm"))
    old.touch()
    fresh.touch()
    os.utime(old, (1000, 1000))
    assert spool.sweep_incoming(tmp_path, datetime(2001, 1, 1, tzinfo=UTC)) == 1
    assert not old.exists()
    assert fresh.exists()


def test_a_spool_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnavailable):
        spool.prepare(tmp_path / "file")


def test_the_spool_is_for_its_owner_only(tmp_path: Path) -> None:
    spool.prepare(tmp_path / "spool")
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0
