"""What the fault campaign finds on a disk after a power cut: what was synced, and nothing else."""

import os
from pathlib import Path

import pytest

from scripts.faults import disk

pytestmark = pytest.mark.integration


def write(path: Path, *, is_synced: bool) -> None:
    with path.open("wb") as file:
        file.write(path.name.encode() * 10_000)
        file.flush()
        if is_synced:
            os.fsync(file.fileno())


def test_only_what_was_brought_to_the_disk_is_found_on_it(tmp_path: Path) -> None:
    with disk.mounted(tmp_path) as spool:
        if spool.disk is None:
            pytest.skip("NOT TESTED HERE: no right to mount a loop device")
        place = tmp_path / "carina" / "spool"
        write(place / "synced", is_synced=True)
        write(place / "forgotten", is_synced=False)
        assert (place / "forgotten").read_bytes() == b"forgotten" * 10_000, "the kernel has it"
        with disk.as_found(spool.disk) as found:
            assert (found / "synced").read_bytes() == b"synced" * 10_000
            assert not (found / "forgotten").exists()
    assert not (place).is_mount()
