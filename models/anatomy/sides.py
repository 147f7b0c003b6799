"""Which side is which: a film is judged together with its own mirror image.

The network looks at a film and at its mirror image. What its *mirrored* head says of the one minus
what it says of the other cannot depend on how the film was handed in: mirror the film and the
difference changes its sign, nothing else. So a film and its mirror image always get answers that
are mirror images of each other, with the same names.

Then the film is laid the usual way round, both looks are brought into that frame, averaged, and
brought back. A look that put the patient's sides the wrong way round has read its picture by
position; its names are exchanged first.

An orientation that the header declares is believed unless the difference is large: displays are
almost always as declared. When in doubt either way the film is flagged (``sure`` is false), and
nobody writes a sentence with a side.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.anatomy import order
from models.opinions import SidesOpinion
from models.vocabulary import MaskName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Outputs = Mapping[str, NDArray[np.float32]]

PER_REGION: Final = frozenset(
    {"boxes", "presence", "spread", "attributes", "embedding", "region_masks"}
)
PLANES: Final = ("masks", "region_masks")
MIRRORED: Final = "mirrored"


@dataclass(frozen=True, slots=True)
class Rule:
    """The numbers by which sides are judged; all log odds but the share.

    ``sure`` is the least evidence either way for a side to be stated; ``declared`` the evidence
    for mirroring that overrules a declared orientation; ``mirror_share`` the weight, 0..1, of the
    look at the picture that shows the patient mirrored.
    """

    sure: float
    declared: float
    mirror_share: float


@dataclass(frozen=True, slots=True)
class Names:
    """Regions and masks in the order of the network's outputs."""

    regions: "Sequence[str]"
    masks: "Sequence[str]"


def judge(evidence: float, rule: Rule, *, declared: bool) -> SidesOpinion:
    """Decide whether a film is shown mirrored; ``evidence`` > 0 speaks for it.

    With no declared orientation the sign decides, so that a film and its mirror image never get
    the same answer.
    """
    least = rule.declared if declared else 0.0
    mirrored = evidence > least
    against_header = declared and not mirrored and evidence > 0
    return SidesOpinion(mirrored, abs(evidence) >= rule.sure and not against_header, evidence)


def belief(opinion: SidesOpinion) -> float:
    """Return :class:`models.opinions.ScopeOpinion`'s ``mirrored``: from 0.5 the film is flagged."""
    chance = float(0.5 * (1.0 + np.tanh(0.5 * opinion.evidence)))
    return chance if opinion.sure and not opinion.mirrored else max(chance, 0.5)


def merge(
    own: "Outputs", flipped: "Outputs", names: Names, rule: Rule, *, declared: bool
) -> "tuple[dict[str, NDArray[np.float32]], SidesOpinion]":
    """Make one answer of the two looks at a film, in the reading frame.

    ``own`` and ``flipped`` are the raw outputs for the square film and for its mirror image. In
    the reading frame the patient's right is on the left; :func:`restore` leads back. In the
    result ``mirrored`` ``(1,)`` is the evidence; everything else has the form of the inputs.
    """
    opinion = judge(_evidence(own, flipped), rule, declared=declared)
    usual, other = (flipped, own) if opinion.mirrored else (own, flipped)
    first = _named_by_anatomy(dict(usual), names)
    second = _named_by_anatomy(_mirror(other), names)
    share = np.float32(rule.mirror_share)
    mean = {name: (1 - share) * first[name] + share * second[name] for name in first}
    mean[MIRRORED] = np.asarray([opinion.evidence], np.float32)
    return mean, opinion


def restore(outputs: "Outputs", opinion: SidesOpinion) -> "Outputs":
    """Bring an answer from the reading frame back to the film as it was handed in."""
    return _mirror(outputs) if opinion.mirrored else outputs


def in_order(outputs: "Outputs", names: Names) -> "tuple[Outputs, order.Order]":
    """Exchange what was evidently exchanged, see :mod:`models.anatomy.order`; reading frame."""
    taken, found = order.settle(outputs["boxes"], names.regions)
    moved = {n: v[taken] if n in PER_REGION else v for n, v in outputs.items()}
    return moved, found


def _evidence(own: "Outputs", flipped: "Outputs") -> float:
    return float(own[MIRRORED][0] - flipped[MIRRORED][0]) / 2


def _mirror(outputs: "Outputs") -> "dict[str, NDArray[np.float32]]":
    """Move boxes and masks with the pixels of a square; names stay where they are."""
    moved: dict[str, Any] = dict(outputs)
    moved["boxes"] = outputs["boxes"] * (-1, 1, 1, 1) + np.asarray((1, 0, 0, 0), np.float32)
    moved["boxes"] = moved["boxes"].astype(np.float32)
    return moved | {name: outputs[name][..., ::-1] for name in PLANES if name in outputs}


def _named_by_anatomy(
    outputs: "dict[str, NDArray[np.float32]]", names: Names
) -> "dict[str, NDArray[np.float32]]":
    """Exchange right and left in a reading frame where the patient's right came out right."""
    if order.lean(outputs["boxes"], names.regions) >= 0:
        return outputs
    rows = [names.regions.index(order.other_side(name)) for name in names.regions]
    exchanged = {
        name: values[rows] if name in PER_REGION else values for name, values in outputs.items()
    }
    if "masks" in outputs:
        planes = [names.masks.index(_other_mask(name)) for name in names.masks]
        exchanged["masks"] = outputs["masks"][planes]
    return exchanged


def _other_mask(name: str) -> str:
    pairs = {MaskName.RIGHT_LUNG.value: MaskName.LEFT_LUNG, MaskName.LEFT_LUNG: MaskName.RIGHT_LUNG}
    return pairs.get(name, name)
