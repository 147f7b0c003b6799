"""The anatomy network in service: films in, sights out, through ONNX Runtime."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from models.anatomy import retrieval, sides
from models.anatomy.order import Order
from models.anatomy.preparation import INTENSITIES, to_square
from models.anatomy.reading import Reader
from models.anatomy.session import CPU, ON_DEMAND, Session
from models.errors import UnreadableImage, WeightsMismatch
from models.geometry import PIXELS_MAX, Letterbox, turn_for
from models.vocabulary import AnatomicStructure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from models.anatomy.sides import Outputs
    from models.bundles import Bundle
    from models.opinions import SidesOpinion
    from models.values import ChestImage, ModelIdentity, Sight
    from models.vocabulary import Observation

SMALLEST_SIDE = 32  # px; below this nothing anatomical can be seen
AT_ONCE = 16  # films that go through the network together; each goes twice


class OnnxEye:
    """Implements :class:`models.protocols.Eye` with a bundle's ``network.onnx``.

    Every film is looked at together with its mirror image, see :mod:`models.anatomy.sides`. One
    eye serves one thread. Heads in ``later`` are computed when somebody asks for them: masks of
    regions, which no draft uses, take a second look at their film.

    Raises
    ------
    WeightsMismatch
        If the network or the sub-databases are not what the bundle declares, or the bundle
        declares what this class does not know.
    DeviceUnavailable
        If the device is not there.
    """

    def __init__(
        self, bundle: "Bundle", *, provider: str = CPU,
        intra_op_num_threads: int = 2, later: "Collection[str]" = ON_DEMAND,
    ) -> None:  # fmt: skip
        _check_vocabulary(bundle)
        if retrieval.FILE in bundle.files:  # a millisecond, and a bundle is trusted as a whole
            retrieval.load(bundle.folder / retrieval.FILE)
        self._bundle = bundle
        self._intensity = INTENSITIES[bundle.intensity]
        self._session = Session(bundle, provider, intra_op_num_threads)
        self._names = sides.Names(bundle.regions, bundle.masks)
        self._reader, self._later = Reader(bundle), frozenset(later)
        self._rule = None
        if sides.MIRRORED in bundle.heads:
            numbers = bundle.operating
            self._rule = sides.Rule(
                numbers["sides_sure"], numbers["sides_declared"], numbers["mirror_share"]
            )

    @property
    def identity(self) -> "ModelIdentity":
        """Name, version, hash and allowed use of the weights."""
        return self._bundle.identity

    @property
    def thresholds(self) -> "Mapping[Observation, tuple[float, float]]":
        """Per observation ``(absent_below, present_from)``."""
        return self._bundle.thresholds

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences on the measured limits of this bundle."""
        return self._bundle.limits

    @property
    def cardiothoracic_error(self) -> tuple[float, float]:
        """Bias (measured minus true) and standard deviation of the cardiothoracic ratio."""
        return self._bundle.cardiothoracic

    @property
    def session_seconds(self) -> float:
        """Sum of all time spent inside the network."""
        return self._session.seconds

    def look(self, images: "Sequence[ChestImage]") -> "tuple[Sight, ...]":
        """Look at a batch of films; one sight per film, in order, in source pixels.

        Raises
        ------
        UnreadableImage
            If an array is not a film (shape, size, dtype, NaN, constant).
        GpuOutOfMemory
            If the batch does not fit.
        OutputsNotFinite
            If the network computed something that is not a number.
        """
        sights = []
        for image, found in zip(images, self.outputs(images, self._later), strict=True):
            outputs, order = self._settled(*found)
            turn = turn_for(image.patient_orientation)
            rows, columns = turn.apply(image.pixels).shape
            frame = Letterbox(rows, columns, self._bundle.input_side)
            masks = partial(self._region_masks, outputs.get("region_masks"), image)
            sights.append(self._reader.sight(outputs, (frame, turn), found[1], order, masks))
        return tuple(sights)

    def _settled(self, raw: "Outputs", opinion: "SidesOpinion | None") -> "tuple[Outputs, Order]":
        """Lead an answer from the reading frame to the canonical film."""
        if opinion is None:
            return raw, Order()
        outputs, order = sides.in_order(raw, self._names)
        return sides.restore(outputs, opinion), order

    def _region_masks(
        self, known: "NDArray[np.float32] | None", image: "ChestImage"
    ) -> "NDArray[np.float32]":
        """Return the log odds of the masks of regions, canonical frame; look again if need be."""
        if known is not None:
            return known
        (found,) = self.outputs([image])
        return self._settled(*found)[0]["region_masks"]

    def outputs(
        self, images: "Sequence[ChestImage]", without: "Collection[str]" = ()
    ) -> "list[tuple[Outputs, SidesOpinion | None]]":
        """Return the raw numbers by head in the reading frame, for measuring and calibrating.

        Without a head that judges mirroring they are of one look, in the canonical frame. Heads
        in ``without`` are left out.
        """
        for image in images:
            check(image)
        found: list[tuple[Outputs, SidesOpinion | None]] = []
        for start in range(0, len(images), AT_ONCE):
            found += self._some(images[start : start + AT_ONCE], without)
        return found

    def _some(
        self, images: "Sequence[ChestImage]", without: "Collection[str]"
    ) -> "list[tuple[Outputs, SidesOpinion | None]]":
        squares = np.stack([self._square(image) for image in images])
        if self._rule is None:
            return [(looked, None) for looked in self._session.run(squares, without)]
        both = self._session.run(np.concatenate([squares, squares[:, :, ::-1]]), without)
        pairs = zip(images, both[: len(images)], both[len(images) :], strict=True)
        return [
            sides.merge(own, flipped, self._names, self._rule,
                        declared=image.patient_orientation is not None)
            for image, own, flipped in pairs
        ]  # fmt: skip

    def _square(self, image: "ChestImage") -> "NDArray[np.float32]":
        grid = turn_for(image.patient_orientation).apply(image.pixels)
        return to_square(grid, self._bundle.input_side, self._intensity)


def check(image: "ChestImage") -> None:
    """Refuse what is not a film.

    Raises
    ------
    UnreadableImage
        Says what is wrong; never echoes pixels or identifiers.
    """
    pixels: Any = image.pixels
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2:  # noqa: PLR2004
        raise UnreadableImage("a film is an array of rows and columns")
    if pixels.dtype != np.float32:
        raise UnreadableImage(f"pixels are {pixels.dtype}, expected float32")
    if min(pixels.shape) < SMALLEST_SIDE:
        raise UnreadableImage(f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too few")
    if pixels.size > PIXELS_MAX:
        raise UnreadableImage(f"{pixels.shape[0]} x {pixels.shape[1]} pixels are too many")
    # Minimum and maximum carry NaN and infinity with them, and need no copy of a huge film.
    low, high = float(pixels.min()), float(pixels.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableImage("pixels are not all finite numbers")
    if low == high:
        raise UnreadableImage("all pixels are the same")


def _check_vocabulary(bundle: "Bundle") -> None:
    """All 36 regions must be declared, each once, and the input's convention be known."""
    if sorted(bundle.regions) != sorted(AnatomicStructure):
        strange = set(bundle.regions) ^ {*AnatomicStructure}
        raise WeightsMismatch(f"regions: unknown, missing or repeated names {sorted(strange)}")
    if bundle.intensity not in INTENSITIES:
        raise WeightsMismatch(f"input.intensity {bundle.intensity!r} is not known")
