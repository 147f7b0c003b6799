from pathlib import Path

import numpy as np
import pytest

from models.anatomy import retrieval
from models.errors import WeightsMismatch
from models.vocabulary import AnatomicStructure, Sign

REGIONS, SIGNS = tuple(AnatomicStructure), tuple(Sign)
LUNG = REGIONS.index(AnatomicStructure.LEFT_LUNG)


def databases() -> retrieval.SubDatabases:
    """Every region knows "healthy" (first axis) and a mass (second); the left lung also both."""
    mass = np.zeros((1, len(SIGNS)), bool)
    mass[0, SIGNS.index(Sign.MASS)] = True
    both = mass.copy()
    both[0, SIGNS.index(Sign.NODULE)] = True
    healthy = np.zeros_like(mass)
    region = np.asarray([*range(36), *range(36), LUNG])
    signs = np.concatenate([np.repeat(healthy, 36, 0), np.repeat(mass, 36, 0), both])
    embedding = np.concatenate(
        [np.tile([[1.0, 0, 0]], (36, 1)), np.tile([[0, 1.0, 0]], (36, 1)), [[0, 0, 1.0]]]
    ).astype(np.float32)
    frequency = np.zeros(len(region), np.float32)
    return retrieval.SubDatabases(region, signs, embedding, frequency)


def test_each_region_is_looked_up_in_its_own_sub_database(tmp_path: Path) -> None:
    databases().save(tmp_path / retrieval.FILE)
    kept = retrieval.load(tmp_path / retrieval.FILE)
    film = np.tile(np.asarray([[0.1, 0.2, 5.0]], np.float32), (36, 1))
    found = {r.structure: r for r in kept.nearest(film)}
    assert found[AnatomicStructure.LEFT_LUNG].sentence == "left lung shows mass and nodule."
    assert found[AnatomicStructure.RIGHT_LUNG].sentence == "right lung shows mass."
    assert found[AnatomicStructure.LEFT_LUNG].cosine == pytest.approx(0.999, abs=2e-3)
    healthy = kept.nearest(np.tile(np.asarray([[3.0, 0, 0]], np.float32), (36, 1)))
    assert healthy[0].sentence == "abdomen is healthy."
    assert len(healthy) == 36


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="does not fit"):
        databases().nearest(np.zeros((36, 4), np.float32))


GOOD: dict[str, np.ndarray] = {
    "region": np.asarray([0, 35], np.uint8),
    "signs": np.zeros((2, len(SIGNS)), bool),
    "embedding": np.ones((2, 4), np.float16),
    "frequency": np.zeros(2, np.float32),
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"region": None}, "missing or surplus arrays: region"),
        ({"more": np.zeros(1)}, "missing or surplus arrays: more"),
        ({"signs": np.zeros((2, 3), bool)}, "wrong shape"),
        ({"region": np.zeros((2, 1), np.uint8)}, "wrong shape"),
        ({"embedding": np.ones(2, np.float16)}, "wrong shape"),
        ({"frequency": np.zeros(3, np.float32)}, "wrong shape"),
        ({"signs": np.zeros((2, len(SIGNS)))}, "wrong type"),
        ({"region": np.asarray([0, -1])}, "wrong type"),
        ({"embedding": np.full((2, 4), np.nan, np.float16)}, "not finite"),
        ({"frequency": np.full(2, -np.inf, np.float32)}, "not finite"),
        ({"region": np.asarray([0, 36], np.uint8)}, "cannot be"),
        ({"frequency": np.ones(2, np.float32)}, "cannot be"),
    ],
)
def test_what_cannot_be_a_sub_database_is_named(
    tmp_path: Path, changes: dict[str, np.ndarray | None], words: str
) -> None:
    path = tmp_path / retrieval.FILE
    np.savez(path, allow_pickle=False, **GOOD)
    assert len(retrieval.load(path).region) == 2
    held = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(path, allow_pickle=False, **held)
    with pytest.raises(WeightsMismatch, match=words):
        retrieval.load(path)


def test_a_file_cut_short_or_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / retrieval.FILE
    np.savez(path, allow_pickle=False, **GOOD)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[whole.index(b"NUMPY") + 80] ^= 255
    one = tmp_path / "one.npy"
    np.save(one, np.zeros(3))
    for content in (b"", whole[:-40], bytes(damaged), b"PK\x03\x04 no archive", one.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(WeightsMismatch, match="cannot be read"):
            retrieval.load(path)


def test_what_is_frequent_wins_where_likeness_leaves_it_open() -> None:
    plain = databases()
    healthy = np.log(np.where(plain.signs.any(1), 0.1, 0.9)).astype(np.float32)
    known = retrieval.SubDatabases(plain.region, plain.signs, plain.embedding, healthy)
    unsure = np.tile(np.asarray([[0.99, 1.0, 0.0]], np.float32), (36, 1))
    sure = np.tile(np.asarray([[0.1, 1.0, 0.0]], np.float32), (36, 1))
    assert not known.nearest(unsure)[0].signs
    assert known.nearest(unsure, likeness_alone=True)[0].signs == (Sign.MASS,)
    assert known.nearest(sure)[0].signs == (Sign.MASS,)
