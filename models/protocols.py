"""The one seam of the eye: what a pipeline needs from a network, real or fake."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.values import ChestImage, ModelIdentity, Sight
    from models.vocabulary import Observation


class Eye(Protocol):
    """A network that looks at films."""

    @property
    def identity(self) -> "ModelIdentity":
        """Name, version, hash and allowed use of the weights."""
        ...

    @property
    def thresholds(self) -> "Mapping[Observation, tuple[float, float]]":
        """Per observation ``(absent_below, present_from)``: between them is UNCERTAIN.

        ``absent_below = 0`` means that the network can call it but not exclude it.
        """
        ...

    @property
    def cardiothoracic_error(self) -> tuple[float, float]:
        """Measured ``(bias, standard deviation)`` of the cardiothoracic ratio, as a fraction."""
        ...

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences on the measured limits of this bundle, shown in every draft."""
        ...

    def look(self, images: "Sequence[ChestImage]") -> "tuple[Sight, ...]":
        """Look at a batch of films; one sight per film, in order, in source pixels.

        Raises
        ------
        UnreadableImage
            If an array is not a film (shape, size, dtype, NaN, constant).
        GpuOutOfMemory
            If the batch does not fit.
        """
        ...
