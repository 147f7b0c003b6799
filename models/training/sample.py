"""A training sample: a film on the network's square, and what is known about it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.anatomy.heads import MASK_SIDE, MASKS, PLACE_SIDE, SIGNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCOPE_IN, SCOPE_NOT_A_CHEST, SCOPE_NOT_FRONTAL, SCOPE_NOT_AN_IMAGE, SCOPE_INCOMPLETE = range(5)
VIEW_PA, VIEW_AP, VIEW_LATERAL, VIEW_UNKNOWN = 0, 1, 2, -1


@dataclass(slots=True, eq=False)
class Sample:
    """One film on the network's square with what is known about it.

    ``film`` (320, 320) 0..1; ``boxes`` (36, 4) centre and size in 0..1, ``present`` (36,) 1 or 0;
    ``masks`` (8, 160, 160), ``region_masks`` (36, 80, 80), ``findings`` (4,), ``signs`` (20,) and
    ``quality`` (3,) 1 or 0;
    ``attributes`` (36, 20) 1 where a sign touches a region; ``places`` (20, 80, 80) where each is.
    What ends in ``_known`` weighs the losses.
    """

    film: "NDArray[np.float32]"
    scope: int
    view: int = VIEW_UNKNOWN
    mirrored: float = 0.0
    mirror_known: float = 0.0
    boxes: "NDArray[np.float32]" = None  # type: ignore[assignment]
    present: "NDArray[np.float32]" = None  # type: ignore[assignment]
    boxes_known: "NDArray[np.float32]" = None  # type: ignore[assignment]
    presence_known: float = 0.0
    masks: "NDArray[np.float32]" = None  # type: ignore[assignment]
    masks_known: "NDArray[np.float32]" = None  # type: ignore[assignment]
    region_masks: "NDArray[np.float32]" = None  # type: ignore[assignment]
    region_masks_known: "NDArray[np.float32]" = None  # type: ignore[assignment]
    findings: "NDArray[np.float32]" = None  # type: ignore[assignment]
    findings_known: "NDArray[np.float32]" = None  # type: ignore[assignment]
    signs: "NDArray[np.float32]" = None  # type: ignore[assignment]
    signs_known: "NDArray[np.float32]" = None  # type: ignore[assignment]
    attributes: "NDArray[np.float32]" = None  # type: ignore[assignment]
    attributes_known: float = 0.0
    quality: "NDArray[np.float32]" = None  # type: ignore[assignment]
    quality_known: float = 0.0
    places: "NDArray[np.float32]" = None  # type: ignore[assignment]
    places_known: "NDArray[np.float32]" = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Fill what is not known with zeros of the right shape."""
        blank: dict[str, tuple[int, ...]] = {
            **dict.fromkeys(("present", "boxes_known", "region_masks_known"), (36,)),
            "region_masks": (36, PLACE_SIDE, PLACE_SIDE),
            **dict.fromkeys(("findings", "findings_known"), (4,)),
            **dict.fromkeys(("signs", "signs_known", "places_known"), (len(SIGNS),)),
            "places": (len(SIGNS), PLACE_SIDE, PLACE_SIDE),
            "boxes": (36, 4),
            "masks": (len(MASKS), MASK_SIDE, MASK_SIDE),
            "masks_known": (len(MASKS),),
            "quality": (3,),
            "attributes": (36, len(SIGNS)),
        }
        for name, shape in blank.items():
            if getattr(self, name) is None:
                setattr(self, name, np.zeros(shape, np.float32))

    def flip(self) -> None:
        """Mirror all that is known of where things lie; the film itself stays."""
        self.boxes[:, 0] = 1.0 - self.boxes[:, 0]
        for name in ("masks", "region_masks", "places"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[:, :, ::-1]))
