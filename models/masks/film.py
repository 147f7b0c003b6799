"""The masks of one film: its organs, the blobs of each finding, and the masks that leave."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from models.masks import blobs
from models.values import FindingMask
from models.vocabulary import AnatomicStructure, MaskName, Observation, Presence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.values import Finding, PixelBox, Sight

STRUCTURE_OF: "Mapping[MaskName, AnatomicStructure]" = {
    MaskName.RIGHT_LUNG: AnatomicStructure.RIGHT_LUNG,
    MaskName.LEFT_LUNG: AnatomicStructure.LEFT_LUNG,
    MaskName.HEART: AnatomicStructure.CARDIAC_SILHOUETTE,
}
"""The organs that are drawn, and the region each must lie in."""

MASK_OF: "Mapping[Observation, MaskName]" = {
    Observation.PLEURAL_EFFUSION: MaskName.PLEURAL_EFFUSION,
    Observation.LUNG_OPACITY: MaskName.LUNG_OPACITY,
    Observation.MASS: MaskName.MASS,
}
"""The mask that localises each observation."""

LEAST_DIAMETER: "Mapping[Observation, float]" = {
    Observation.PLEURAL_EFFUSION: 0.06,
    Observation.LUNG_OPACITY: 0.08,
    Observation.MASS: 0.035,
}
"""Diameter of the disc that a blob must at least equal in area, as a share of the longer side of
the box around both lungs (about 300 mm in an adult: 0.035 is about 10 mm)."""

_LEAST_ORGAN = 0.002  # of the film's area: less is noise, not an organ
_IN_ITS_BOX = 0.5  # share of a part of an organ inside the organ's own box
_SECOND_PART = 0.2  # a further part of an organ counts from this share of the largest
_LOCALISED = (Presence.PRESENT, Presence.UNCERTAIN)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Organs as ``(rows, columns)`` bool, and blobs per observation, the largest first.

    ``soft`` are coarse soft masks, every ``step``-th pixel, for questions about faint traces.
    """

    organs: "Mapping[MaskName, NDArray[np.bool_]]" = field(repr=False)
    parts: "Mapping[Observation, tuple[blobs.Blob, ...]]" = field(repr=False)
    soft: "Mapping[Observation, NDArray[np.float32]]" = field(repr=False)
    step: int

    def peak(self, observation: Observation, box: "PixelBox") -> float:
        """Highest soft value of an observation inside a box, 0..1; 0 where nothing was drawn."""
        soft = self.soft.get(observation)
        if soft is None:
            return 0.0
        top, bottom = int(box.y_min) // self.step, -(-int(box.y_max) // self.step)
        left, right = int(box.x_min) // self.step, -(-int(box.x_max) // self.step)
        return float(soft[top:bottom, left:right].max(initial=0.0))


NOTHING_DRAWN = Drawn({}, {}, {}, 1)


def draw(sight: "Sight", span: float, *, across: int = 0) -> Drawn:
    """Draw organs and blobs from the soft masks of a sight.

    ``span`` is the scale for what is too small to count, see ``LEAST_DIAMETER``, px; ``across``
    the axis of the stored grid that runs from side to side of the patient: 0 is x, 1 is y.
    """
    parts, soft, step = {}, {}, 1
    for observation, name in MASK_OF.items():
        if name not in sight.masks:  # a network without masks localises nothing
            continue
        mask = blobs.seen_in_parts(sight.masks, name)
        least = np.pi / 4 * (LEAST_DIAMETER[observation] * span) ** 2
        parts[observation] = blobs.find(mask, least_area=least)
        soft[observation] = blobs.coarse(mask)
        step = blobs.step_of(mask.shape)
    return Drawn(dict(_organs(sight, across)), parts, soft, step)


def _organs(sight: "Sight", across: int) -> "list[tuple[MaskName, NDArray[np.bool_]]]":
    """Lungs and heart, none above or below its own box; an organ that is not seen is left out.

    From side to side they are not cut, so that their width and that of the box are two answers.
    """
    drawn = []
    boxes = {region.structure: region.box for region in sight.regions}
    for name in STRUCTURE_OF:
        if name not in sight.masks:
            continue
        soft = blobs.seen_in_parts(sight.masks, name)
        box = boxes.get(STRUCTURE_OF[name])
        found = [
            part
            for part in blobs.find(soft, least_area=_LEAST_ORGAN * np.prod(soft.shape))
            if box is None or part.share_in(box) >= _IN_ITS_BOX
        ]
        if found:
            kept = [part for part in found if part.area >= _SECOND_PART * found[0].area]
            # A lung may be cut in two by a device; a heart is one.
            organ = paint(soft.shape, kept[:1] if name is MaskName.HEART else kept)
            if box is not None:
                _cut_off(organ, box, across)
            drawn.append((name, organ))
    return drawn


def _cut_off(organ: "NDArray[np.bool_]", box: "PixelBox", across: int) -> None:
    """Empty an organ's mask above and below its box, where real films make it spill over."""
    upright = organ if across == 0 else organ.T
    first, last = (box.y_min, box.y_max) if across == 0 else (box.x_min, box.x_max)
    upright[: max(round(first), 0)] = False
    upright[max(round(last), 0) :] = False


def paint(shape: tuple[int, ...], parts: "Sequence[blobs.Blob]") -> "NDArray[np.bool_]":
    """One mask of the whole film that holds all the parts."""
    canvas = np.zeros(shape, dtype=np.bool_)
    for part in parts:
        part.paint(canvas)
    return canvas


def leaving(
    drawn: Drawn,
    findings: "Sequence[Finding]",
    parts: "Mapping[str, tuple[blobs.Blob, ...]]",
    shape: tuple[int, ...],
    *,
    sides_known: bool = True,
) -> tuple[FindingMask, ...]:
    """Organs first, then each finding that is still localised after the gates.

    ``parts`` holds the blobs of a finding by its id. Where the sides are in doubt no mask is
    called a right or a left lung.
    """
    result = [
        FindingMask(mask, name.value, organ=name)
        for name, mask in drawn.organs.items()
        if sides_known or name is MaskName.HEART
    ]
    for finding in findings:
        kept = parts.get(finding.finding_id, ())
        if finding.presence in _LOCALISED and finding.boxes and kept:
            side = f"{finding.side.value} " if finding.side else ""
            label = f"{finding.finding_id} {side}{finding.observation.value}"
            result.append(FindingMask(paint(shape, kept), label, finding_id=finding.finding_id))
    return tuple(result)
