"""The fuzzer finds what it must find; and a small part of its inputs, in every run of the tests."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.fuzz import campaign, child, mutate, samples, targets

if TYPE_CHECKING:
    import random

SEED = 20261122


class Careless:
    """A reader that falls for one input in ten."""

    def __init__(self, folder: Path, fall: str) -> None:
        self._folder = folder
        self._fall = fall
        self._tried = 0

    def make(self, chance: "random.Random") -> bytes:
        return chance.randbytes(4)

    def put(self, data: bytes) -> str:
        self._tried += 1
        if self._tried % 10 == 0:
            if self._fall == "raises":
                raise ValueError("of its own")
            if self._fall == "writes":
                (self._folder / "escaped").write_bytes(data)
            if self._fall == "aborts":
                os.abort()
        return "understood"

    def close(self) -> None:
        targets.FileTarget(self._folder, (), Path.read_bytes).close()


def words_of(fall: str, at: Path) -> list[str]:
    result = child.run("header", (SEED, 0, 20), at, lambda folder: Careless(folder, fall))
    return [one["words"] for one in result["failures"]]


def test_an_exception_that_is_not_ours_is_a_failure_with_its_number(tmp_path: Path) -> None:
    assert words_of("raises", tmp_path / "at") == ["ValueError: of its own"] * 2


def test_a_file_written_where_none_belongs_is_a_failure(tmp_path: Path) -> None:
    assert words_of("writes", tmp_path / "at") == ["Broken: files were left: ['escaped']"]


def test_a_careful_reader_has_no_failures(tmp_path: Path) -> None:
    assert words_of("", tmp_path / "at") == []


def test_a_reader_that_ends_its_process_is_found_and_the_rest_still_tried(tmp_path: Path) -> None:
    deadly = tmp_path / "deadly.py"
    deadly.write_text(
        "import os, sys\n"
        "_, layer, seed, first, count, at = sys.argv\n"
        "if int(first) > 6:\n"
        '    print(\'{"outcomes": {"understood": \' + count + \'}, "failures": [],\'\n'
        '          \' "slowest_s": 0, "grown_bytes": 0}\')\n'
        "    sys.exit(0)\n"
        "open(at, 'w').write('6')\n"
        "os.abort()\n",
        encoding="ascii",
    )
    report = campaign.layer_report("header", SEED, 20, (sys.executable, str(deadly)))
    assert [(one.number, one.words) for one in report.failures] == [
        (6, "the process ended by signal 6")
    ]
    assert report.inputs == 20
    assert report.outcomes["understood"] == 13


def test_the_same_seed_makes_the_same_damage_and_another_seed_another() -> None:
    film = samples.part10(samples.NATIVE[0])

    def first(seed: int) -> list[bytes]:
        return [mutate.mutated(film, mutate.generator(seed, "header", n)) for n in range(20)]

    assert first(SEED) == first(SEED)
    assert first(SEED) != first(SEED + 1)
    assert sum(one == film for one in first(SEED)) <= 1


def test_every_layer_gets_its_share() -> None:
    shares = campaign.shared_out(100_000)
    assert sum(shares.values()) == 100_000
    assert set(shares) == set(targets.LAYERS)


@pytest.mark.parametrize("layer", ["header", "data set", "pixels"])
def test_damaged_films_are_understood_or_refused_and_nothing_else(
    layer: str, tmp_path: Path
) -> None:
    result = child.run(layer, (SEED, 0, 300), tmp_path / "at", targets.LAYERS[layer])
    assert result["failures"] == []
    assert sum(result["outcomes"].values()) == 300
    assert len(result["outcomes"]) >= 2
