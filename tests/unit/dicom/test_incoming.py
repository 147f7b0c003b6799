import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest
from film_builders import a_film

from dicom import film, incoming, spool
from dicom.errors import SpoolUnavailable
from dicom.incoming import IncomingFolder
from dicom.watermark import Room

ROOM = Room(reserve_bytes=0, maximum_object_bytes=1 << 30)


def a_folder(root: Path, room: Room = ROOM) -> IncomingFolder:
    spool.prepare(root)
    return IncomingFolder(root, room)


@pytest.mark.parametrize("piece", [1, 7, 131, 4096, 1 << 20])
def test_the_hash_is_of_the_data_set_however_it_is_cut(tmp_path: Path, piece: int) -> None:
    content = film.encode(a_film("x"))
    file = a_folder(tmp_path).open(threading.current_thread())
    for at in range(0, len(content), piece):
        assert file.write(content[at : at + piece]) == len(content[at : at + piece])
    file.make_durable()
    start = spool.data_set_start(content)
    assert file.sha256 == hashlib.sha256(content[start:]).hexdigest()
    assert file.size_bytes == len(content)
    assert file.path.read_bytes() == content
    file.discard()
    assert not file.path.exists()


def test_a_failing_disk_is_remembered_and_its_space_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_folder(tmp_path).open(threading.current_thread())
    file.write(film.encode(a_film("x")))

    def failing(descriptor: int, data: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(incoming.os, "write", failing)
        assert file.write(b"x" * 1_000_000) == 1_000_000
    assert file.write(b"and more, thrown away") == 21
    assert file.path.stat().st_size == 0
    with pytest.raises(SpoolUnavailable, match="EIO"):
        file.make_durable()
    file.discard()


def test_a_failing_fsync_is_not_taken_for_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_folder(tmp_path).open(threading.current_thread())
    file.write(film.encode(a_film("x")))

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(incoming.os, "fsync", failing)
        with pytest.raises(SpoolUnavailable):
            file.make_durable()
    file.discard()


def test_what_is_held_back_is_in_the_file_when_it_is_finished(tmp_path: Path) -> None:
    content = film.encode(a_film("x"))
    file = a_folder(tmp_path).open(threading.current_thread())
    buffer = bytearray(100)
    for at in range(0, len(content), 100):
        piece = content[at : at + 100]
        buffer[: len(piece)] = piece  # as a reader does that uses its buffer again
        file.write(memoryview(buffer)[: len(piece)])
    file.finish()
    assert file.path.read_bytes() == content
    assert file.sha256 == spool.digest(file.path)
    file.discard()


def test_a_disk_that_fails_at_the_end_fails_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_folder(tmp_path).open(threading.current_thread())
    file.write(film.encode(a_film("x")))

    def failing(descriptor: int, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(incoming.os, "write", failing)
        with pytest.raises(SpoolUnavailable, match="ENOSPC"):
            file.finish()
    file.discard()


def test_without_room_nothing_is_written_at_all(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, Room(reserve_bytes=1 << 62, maximum_object_bytes=1 << 30))
    file = folder.open(threading.current_thread())
    file.write(b"x" * 1000)
    assert list(spool.incoming_folder(tmp_path).iterdir()) == []
    with pytest.raises(SpoolUnavailable, match="ENOSPC"):
        file.raise_failure()


def test_room_that_goes_while_receiving_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = a_folder(tmp_path, Room(1000, 1 << 30)).open(threading.current_thread())
    monkeypatch.setattr(incoming.spool, "free_bytes", lambda _: 999)
    content = film.encode(a_film("x", rows=1024, columns=1024))
    file.write(content)
    with pytest.raises(SpoolUnavailable, match="ENOSPC"):
        file.raise_failure()
    file.discard()


def test_more_than_the_maximum_is_refused(tmp_path: Path) -> None:
    file = a_folder(tmp_path, Room(0, 5000)).open(threading.current_thread())
    file.write(film.encode(a_film("x")))
    with pytest.raises(SpoolUnavailable, match="EFBIG"):
        file.raise_failure()
    file.discard()


def test_files_of_ended_threads_are_orphans_and_others_are_not(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    orphan, kept = folder.open(ended), folder.open(threading.current_thread())
    folder.discard_orphans()
    assert not orphan.path.exists()
    assert kept.path.exists()
    folder.discard_of(threading.current_thread())
    assert not kept.path.exists()


def test_a_claimed_file_belongs_to_the_handler(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    file = folder.open(threading.current_thread())
    assert folder.claim(file.path) is file
    assert folder.claim(file.path) is None
    assert folder.claim(None) is None
    folder.discard_of(threading.current_thread())
    assert file.path.exists()
    file.discard()


def test_writing_after_the_association_ended_is_a_failure_not_an_error(tmp_path: Path) -> None:
    file = a_folder(tmp_path).open(threading.current_thread())
    file.discard()
    file.write(b"late")
    with pytest.raises(SpoolUnavailable, match="EBADF"):
        file.raise_failure()
