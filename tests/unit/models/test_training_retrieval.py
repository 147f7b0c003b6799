import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.anatomy.heads import REGIONS, SIGNS  # noqa: E402
from models.training.alignment import SignTower  # noqa: E402
from models.training.retrieval import build, known_sets  # noqa: E402


def test_only_sets_seen_in_two_training_films_are_known_beside_the_healthy_one() -> None:
    attributes = np.zeros((5, len(REGIONS), len(SIGNS)), np.uint8)
    attributes[0, 3, 2] = attributes[1, 3, 2] = 1
    attributes[2, 3, 4] = 1  # seen once
    sets = known_sets(attributes)
    assert [len(s) for s, _ in sets] == [2 if r == 3 else 1 for r in range(36)]
    assert sets[3][0][0].sum() == 0
    assert sets[3][0][1][2] == 1
    assert list(sets[3][1]) == [2, 2]


def test_what_was_embedded_is_found_again() -> None:
    torch.manual_seed(0)
    attributes = np.zeros((4, len(REGIONS), len(SIGNS)), np.uint8)
    attributes[:2, :, 6] = 1
    tower = SignTower(32)
    made = build(tower, attributes)
    with torch.no_grad():
        words = tower(torch.from_numpy(attributes.astype(np.float32)))
    for film, wanted in ((0, {SIGNS[6]}), (3, set())):
        assert all(set(r.signs) == wanted for r in made.nearest(words[film].numpy()))
