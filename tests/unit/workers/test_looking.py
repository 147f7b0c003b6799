from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import GpuOutOfMemory, ModelError, UnreadableImage
from models.fakes import FakeEye
from models.values import ChestImage, Sight
from workers.looking import look


@dataclass(frozen=True, slots=True)
class Picky(FakeEye):
    """Has room for so many films; cannot read some."""

    room: int = 99
    unreadable: frozenset[str] = frozenset()
    batches: list[int] = field(default_factory=list)

    def look(self, images: Sequence[ChestImage]) -> tuple[Sight, ...]:
        self.batches.append(len(images))
        if len(images) > self.room:
            raise GpuOutOfMemory
        if any(image.image_id in self.unreadable for image in images):
            raise UnreadableImage
        return FakeEye.look(self, images)


def films(count: int) -> list[ChestImage]:
    rng = np.random.default_rng(5)
    return [ChestImage(str(n), rng.random((24, 16), np.float32)) for n in range(count)]


def test_films_go_in_batches_of_the_size_asked_for() -> None:
    eye = Picky()
    look(eye, films(7), 3)
    assert eye.batches == [3, 3, 1]


def test_a_batch_without_room_is_halved() -> None:
    eye = Picky(room=2)
    seen = look(eye, films(5), 5)
    assert all(isinstance(one, Sight) for one in seen)
    assert eye.batches == [5, 2, 3, 1, 2]


def test_a_film_that_never_fits_is_told_apart() -> None:
    seen = look(Picky(room=0), films(2), 2)
    assert [type(one) for one in seen] == [GpuOutOfMemory, GpuOutOfMemory]


@given(count=st.integers(0, 9), batch=st.integers(1, 9), bad=st.sets(st.integers(0, 8)))
def test_only_the_unreadable_films_are_lost(count: int, batch: int, bad: set[int]) -> None:
    eye = Picky(unreadable=frozenset(map(str, bad)))
    seen = look(eye, films(count), batch)
    assert [isinstance(one, ModelError) for one in seen] == [n in bad for n in range(count)]


def test_any_other_error_is_not_swallowed() -> None:
    class Broken(FakeEye):
        def look(self, images: Sequence[ChestImage]) -> tuple[Sight, ...]:
            raise RuntimeError(len(images))

    with pytest.raises(RuntimeError):
        look(Broken(), films(2), 2)
