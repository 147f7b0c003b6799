"""What a simulated film shall show, and how wishes are drawn for a mixed set."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from models.simulate.pose import Projection
from models.vocabulary import Side, Sign

if TYPE_CHECKING:
    import numpy as np

    from models.simulate.film import Tone


class Kind(StrEnum):
    """What is asked for by name, ``carina simulate --kind``."""

    MIXED = "mixed"
    NORMAL = "normal"
    EFFUSION = "effusion"
    PNEUMOTHORAX = "pneumothorax"
    CONSOLIDATION = "consolidation"
    ATELECTASIS = "atelectasis"
    MASS = "mass"
    NODULE = "nodule"
    INTERSTITIAL = "interstitial"
    EDEMA = "edema"
    LARGE_HEART = "large-heart"
    WIDE_MEDIASTINUM = "wide-mediastinum"
    SHIFT = "shift"
    RAISED_DOME = "raised-dome"
    FREE_AIR = "free-air"
    RIB_FRACTURE = "rib-fracture"
    CLAVICLE_FRACTURE = "clavicle-fracture"
    WHITE_OUT = "white-out"
    TUBES = "tubes"
    PACEMAKER = "pacemaker"
    LATERAL = "lateral"


NORMAL_HEART, LARGE_HEART = 0.92, 1.4  # relative size; gives ratios near 0.43 and 0.57
HEARTS = {Kind.LARGE_HEART: (1.36, 1.55)}
ORDINARY_HEARTS = (0.82, 1.0)
UPRIGHT_ONLY = (Kind.FREE_AIR,)
DEVICES_OF = {
    Kind.TUBES: (Sign.ENDOTRACHEAL_TUBE, Sign.ENTERIC_TUBE, Sign.CENTRAL_VENOUS_LINE),
    Kind.PACEMAKER: (Sign.PACEMAKER,),
}
# How often a mixed set shows each; what is left over is a film without findings.
MIXED_SHARES = {
    Kind.EFFUSION: 0.08, Kind.PNEUMOTHORAX: 0.07, Kind.CONSOLIDATION: 0.07,
    Kind.ATELECTASIS: 0.06, Kind.MASS: 0.05, Kind.NODULE: 0.06, Kind.INTERSTITIAL: 0.04,
    Kind.EDEMA: 0.05, Kind.LARGE_HEART: 0.06, Kind.WIDE_MEDIASTINUM: 0.03, Kind.SHIFT: 0.03,
    Kind.RAISED_DOME: 0.03, Kind.FREE_AIR: 0.03, Kind.RIB_FRACTURE: 0.04,
    Kind.CLAVICLE_FRACTURE: 0.02, Kind.WHITE_OUT: 0.02, Kind.LATERAL: 0.03,
}  # fmt: skip
SECOND_FINDING = 0.25


@dataclass(frozen=True, slots=True)
class Wish:
    """What a film shall show.

    ``strength`` runs from 0 (barely there) to 1 (as large as it gets); ``devices`` None draws them
    as on films of that view, an empty tuple means none. ``flat`` inserts by the second method,
    ``held_out`` takes pose and shape from ranges that no training film has, ``tone`` fixes the
    family of grey curves: these three are for the frozen test.
    """

    kinds: tuple[Kind, ...] = (Kind.NORMAL,)
    projection: Projection = Projection.PA
    side: Side = Side.RIGHT
    strength: float = 0.5
    heart: float = NORMAL_HEART
    devices: tuple[Sign, ...] | None = ()
    flat: bool = False
    held_out: bool = False
    tone: "Tone | None" = None


def draw(rng: "np.random.Generator", kind: Kind = Kind.MIXED) -> Wish:
    """Draw a wish of one kind; for MIXED the kind is drawn too, and some films show two."""
    kinds = _mixed(rng) if kind is Kind.MIXED else (kind,)
    view = Projection.AP if rng.random() < 0.5 else Projection.PA  # noqa: PLR2004
    if Kind.LATERAL in kinds:
        view = Projection.LATERAL
    elif any(one in UPRIGHT_ONLY for one in kinds):
        view = Projection.PA
    low, high = next((HEARTS[one] for one in kinds if one in HEARTS), ORDINARY_HEARTS)
    devices: tuple[Sign, ...] | None = None if kind is Kind.MIXED else ()
    for one in kinds:
        devices = DEVICES_OF.get(one, devices)
    return Wish(
        kinds,
        view,
        Side.RIGHT if rng.random() < 0.5 else Side.LEFT,  # noqa: PLR2004
        float(rng.uniform(0.0, 1.0)) if kind is Kind.MIXED else float(rng.uniform(0.3, 1.0)),
        float(rng.uniform(low, high)),
        devices,
    )


def _mixed(rng: "np.random.Generator") -> tuple[Kind, ...]:
    """Draw one kind, or two that can be seen beside each other."""
    names = (*MIXED_SHARES, Kind.NORMAL)
    shares = (*MIXED_SHARES.values(), 1.0 - sum(MIXED_SHARES.values()))
    first = names[int(rng.choice(len(names), p=shares))]
    second = names[int(rng.choice(len(names), p=shares))]
    alone = {Kind.LATERAL, Kind.WHITE_OUT, Kind.NORMAL}
    if rng.random() >= SECOND_FINDING or first in alone or second in alone or first is second:
        return (first,)
    return first, second
