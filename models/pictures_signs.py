"""The signs on a picture for `carina look`: their regions, the masks of air and tubes, a legend.

Only what is called present is drawn. Pictures that are delivered never show signs (ADR 0013).
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from models.grounding import Regions
from models.masks import blobs, film
from models.report import signs
from models.vocabulary import DEVICE_SIGNS, MaskName, Presence, Sign

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.canvas import Canvas
    from models.report.signs import ToldSign
    from models.values import ChestImage, PixelBox, Sight
    from models.vocabulary import AnatomicStructure

    Colour = tuple[int, int, int]
    Lines = list[tuple[str, Colour]]

# Beside the colours of findings; air is hatched besides, so that no colour is needed to tell it.
FRAME: Final = (235, 150, 200)
AIR: Final = (255, 95, 95)
DEVICE: Final = (150, 255, 255)
_GREY: Final = (165, 172, 180)

AIR_SIGNS: Final = frozenset({Sign.PNEUMOTHORAX})
_LEAST_DIAMETER: Final = 0.03  # of the longer side of both lungs: a smaller patch of air is noise


@dataclass(frozen=True, slots=True, eq=False)
class SignPicture:
    """What of the signs of one film is drawn: framed regions with their labels, and masks.

    A mask is ``(rows, columns)`` bool; None where no such sign is called, or nothing was outlined.
    """

    told: "tuple[ToldSign, ...]"
    frames: "tuple[tuple[PixelBox, str], ...]"
    air: "NDArray[np.bool_] | None" = field(repr=False)
    devices: "NDArray[np.bool_] | None" = field(repr=False)

    def under(self, canvas: "Canvas") -> None:
        """Draw masks and frames; findings go over them."""
        if self.air is not None:
            canvas.hatch(self.air, AIR)
        if self.devices is not None:
            canvas.outline(self.devices, DEVICE)
        for box, _ in self.frames:
            canvas.frame(box, FRAME)

    def labels(self, canvas: "Canvas") -> None:
        """Write what is called in each frame, where the labels of findings left room."""
        for box, text in self.frames:
            canvas.label(text, box, FRAME, share=0.9)

    def legend(self) -> "Lines":
        """Return the lines of the footer; none where the network knows no signs."""
        if not self.told:
            return []
        called = signs.with_presence(self.told, Presence.PRESENT)
        unsure = signs.with_presence(self.told, Presence.UNCERTAIN)
        names = "; ".join(one.words for one in called) or "none"
        framed = ", regions framed" if self.frames else ""
        lines: Lines = [(f"{signs.HEADING}. Called present{framed}: {names}.", FRAME)]
        for kind, mask, how, colour in (
            (AIR_SIGNS, self.air, "Hatched: pneumothorax", AIR),
            (DEVICE_SIGNS, self.devices, "Outlined: tubes, lines and devices", DEVICE),
        ):
            if any(one.sign in kind for one in called):
                lines.append((how if mask is not None else f"{how}; no outline was found", colour))
        if unsure:
            listed = ", ".join(f"{one.sign.value} {one.probability:.2f}" for one in unsure)
            lines.append((f"Uncertain, not drawn: {listed}.", _GREY))
        return lines


def of(image: "ChestImage", sight: "Sight") -> SignPicture:
    """Choose what is drawn of the signs of one film."""
    regions = Regions(image, sight.regions)
    by_region: dict[AnatomicStructure, list[str]] = {}
    called = [one for one in sight.signs if one.presence is Presence.PRESENT]
    for one in sorted(called, key=lambda one: -one.probability):
        if one.structure is not None:
            text = f"{one.sign.value} {one.probability:.2f}"
            by_region.setdefault(one.structure, []).append(text)
    frames = [(regions.box(place), "\n".join(texts)) for place, texts in by_region.items()]
    least = _LEAST_DIAMETER * regions.thorax_span()
    present = {one.sign for one in called}
    return SignPicture(
        signs.told(sight, sides_known=signs.sides_known(image, sight)),
        tuple((box, text) for box, text in frames if box is not None),
        _mask(sight, MaskName.PNEUMOTHORAX, least**2) if present & AIR_SIGNS else None,
        _mask(sight, MaskName.DEVICE, 0.0) if present & {*DEVICE_SIGNS} else None,
    )


def _mask(sight: "Sight", name: MaskName, least_area: float) -> "NDArray[np.bool_] | None":
    """Return the parts of a mask that count; None when there are none."""
    if name not in sight.masks:
        return None
    soft = blobs.seen_in_parts(sight.masks, name)
    parts = blobs.find(soft, least_area=least_area)
    return film.paint(soft.shape, parts) if parts else None
