"""A film that finds no room on the accelerator is shown to the same network on the processor.

The ladder: a batch without room is halved (:mod:`workers.looking`) until films go alone; one that
finds no room alone goes to the processor, slower and with the same weights; what finds no room
there either is tried again and at last left out of a draft marked PARTIAL.
"""

from typing import TYPE_CHECKING

import structlog

from models.errors import GpuOutOfMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from models.protocols import Eye
    from models.values import ChestImage, ModelIdentity, Sight
    from models.vocabulary import Observation

log = structlog.get_logger(__name__)


class EyeWithSpare:
    """An eye on the accelerator, and how to get at the same one on the processor."""

    def __init__(self, first: "Eye", spare: "Callable[[], Eye]") -> None:
        self._first = first
        self._spare = spare

    @property
    def identity(self) -> "ModelIdentity":
        """Name, version, hash and allowed use of the weights: both have the same."""
        return self._first.identity

    @property
    def thresholds(self) -> "Mapping[Observation, tuple[float, float]]":
        """Per observation ``(absent_below, present_from)``."""
        return self._first.thresholds

    @property
    def cardiothoracic_error(self) -> tuple[float, float]:
        """Measured bias and standard deviation of the cardiothoracic ratio, as a fraction."""
        return self._first.cardiothoracic_error

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences on the measured limits of the bundle."""
        return self._first.limits

    def look(self, images: "Sequence[ChestImage]") -> "tuple[Sight, ...]":
        """Look at a batch of films; one sight per film, in order, in source pixels.

        Raises
        ------
        UnreadableImage
            If an array is not a film (shape, dtype, NaN, constant).
        GpuOutOfMemory
            If several do not fit on the accelerator, or one on neither device.
        """
        try:
            return self._first.look(images)
        except GpuOutOfMemory:
            if len(images) > 1:
                raise
            log.warning("film_read_on_the_processor")
        try:
            return self._spare().look(images)
        except MemoryError:
            raise GpuOutOfMemory("no room for one film on either device") from None
