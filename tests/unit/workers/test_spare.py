"""Memory that runs out on the accelerator, told by ONNX Runtime's own error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_networks
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from models.anatomy.eye import OnnxEye
from models.errors import GpuOutOfMemory
from models.protocols import Eye
from models.values import ChestImage, Sight
from workers.looking import look
from workers.spare import EyeWithSpare

# As ONNX Runtime 1.2x words it when cudaMalloc fails, and when its arena cannot grow.
CUDA_SAYS = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running"
    " Conv node. CUDA failure 2: out of memory ; GPU=0"
)
ARENA_SAYS = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bfc_arena.cc:376 BFCArena::AllocateRawInternal"
    " Failed to allocate memory for requested buffer of size 1073741824"
)


class SmallCard:
    """Stands where the session of the accelerator stands: has room for so many squares."""

    def __init__(self, session: Any, room: int, words: str) -> None:
        self._session = session
        self._room = room
        self._words = words
        self.asked: list[int] = []

    def run(self, outputs: list[str], given: dict[str, np.ndarray]) -> object:
        squares = len(next(iter(given.values())))
        self.asked.append(squares)
        if squares > self._room:
            raise RuntimeException(self._words)
        return self._session.run(outputs, given)


@pytest.fixture
def eyes(tmp_path: Path) -> Callable[[], OnnxEye]:
    bundle = tiny_networks.write(tmp_path / "tiny", {"boxes": tiny_networks.boxes()}, {})
    return lambda: OnnxEye(bundle)


def on_a_card(eye: OnnxEye, room: int, words: str = CUDA_SAYS) -> SmallCard:
    card = SmallCard(eye._session._session, room, words)
    eye._session._session = card
    return card


def films(count: int) -> list[ChestImage]:
    rng = np.random.default_rng(1)
    return [
        ChestImage(f"film-{number}", rng.random((64, 64), np.float32)) for number in range(count)
    ]


@pytest.mark.parametrize("words", [CUDA_SAYS, ARENA_SAYS])
def test_a_batch_is_halved_then_goes_to_the_processor(
    eyes: Callable[[], OnnxEye], words: str
) -> None:
    on_card, on_processor = eyes(), eyes()
    card = on_a_card(on_card, 0, words)
    loaded: list[Eye] = []

    def spare() -> Eye:
        loaded.append(on_processor)
        return on_processor

    seen = look(EyeWithSpare(on_card, spare), films(4), 4)
    assert card.asked == [4, 2, 1, 1, 2, 1, 1]
    assert len(loaded) == 4
    alone = on_processor.look(films(4))
    assert [one.regions for one in seen if isinstance(one, Sight)] == [one.regions for one in alone]


def test_what_fits_never_leaves_the_card(eyes: Callable[[], OnnxEye]) -> None:
    on_card = eyes()
    card = on_a_card(on_card, 2)

    def never() -> Eye:
        raise AssertionError("the spare was asked")

    seen = look(EyeWithSpare(on_card, never), films(4), 4)
    assert card.asked == [4, 2, 2]
    assert not any(isinstance(one, Exception) for one in seen)


def test_no_room_on_either_device_is_told_as_such(eyes: Callable[[], OnnxEye]) -> None:
    first, second = eyes(), eyes()
    on_a_card(first, 0)
    on_a_card(second, 0)
    (seen,) = look(EyeWithSpare(first, lambda: second), films(1), 4)
    assert isinstance(seen, GpuOutOfMemory)


def test_a_processor_without_memory_is_the_same(eyes: Callable[[], OnnxEye]) -> None:
    first = eyes()
    on_a_card(first, 0)

    def no_memory() -> Eye:
        raise MemoryError

    (seen,) = look(EyeWithSpare(first, no_memory), films(1), 4)
    assert isinstance(seen, GpuOutOfMemory)


def test_it_answers_for_the_bundle_of_the_first(eyes: Callable[[], OnnxEye]) -> None:
    first = eyes()
    eye: Eye = EyeWithSpare(first, eyes)
    assert eye.identity == first.identity
    assert eye.thresholds == first.thresholds
    assert eye.limits == first.limits
    assert eye.cardiothoracic_error == first.cardiothoracic_error
