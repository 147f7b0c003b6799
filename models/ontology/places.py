"""Tables over the 36 regions: their side, the groups they belong to, and where findings occur.

Names follow Chest ImaGenome as used by AnatomiX. ``SIDE_OF`` and ``OCCURS_IN`` are read from the
ontology's tables, the latter from the restrictive relations of AOR (its Table A4, "objects and
attributes"); the other tables follow from how a draft is built and are written here. AOR uses
"lung lesion" for a mass that is not inside a lung zone; here that counts as an unusual place, not
as an impossible one (see ``UNUSUAL_IN``).
"""

from typing import TYPE_CHECKING

from models.ontology.relations import usual_regions
from models.ontology.tables import ontology
from models.vocabulary import AnatomicStructure as Region
from models.vocabulary import Observation, Side

if TYPE_CHECKING:
    from collections.abc import Mapping

SIDE_OF: "Mapping[Region, Side]" = {
    # Both atria and both borders of the heart are chambers of one organ, not a side of the chest.
    place: row.side
    for place, row in ontology().regions.items()
    if isinstance(place, Region) and row.side is not None
}
"""The patient's side of every region that has one."""


def on(side: Side, *names: str) -> tuple[Region, ...]:
    """Return the regions of these names on one side: ``on(Side.LEFT, "lung")``."""
    return tuple(Region(f"{side.value} {name}") for name in names)


_ZONE_NAMES = ("apical zone", "upper lung zone", "mid lung zone", "lower lung zone")

ZONES: "Mapping[Side, tuple[Region, ...]]" = {side: on(side, *_ZONE_NAMES) for side in Side}
"""The four zones of each lung, from the apex down."""

LUNG: "Mapping[Side, Region]" = {side: on(side, "lung")[0] for side in Side}

CHEST: "Mapping[Side, tuple[Region, ...]]" = {
    side: on(side, "lung", "costophrenic angle", "hemidiaphragm") for side in Side
}
"""The regions that tell on which side something lies."""

SEARCHED: "Mapping[Observation, Mapping[Side, tuple[Region, ...]]]" = {
    Observation.PLEURAL_EFFUSION: {side: on(side, "lung", "costophrenic angle") for side in Side},
    Observation.LUNG_OPACITY: {side: on(side, "lung") for side in Side},
    Observation.MASS: {side: on(side, "lung") for side in Side},
}
"""The regions that must be visible before a negative is made on one side."""

OCCURS_IN: "Mapping[Observation, frozenset[Region]]" = {
    observation: frozenset(
        place for place in usual_regions(observation) if isinstance(place, Region)
    )
    for observation in Observation
}
"""AOR Table A4, restricted to what is looked for. The finding may be stated there."""

_MIDDLE = (Region.MEDIASTINUM, Region.UPPER_MEDIASTINUM, Region.ABDOMEN)
_DOMES = tuple(region for side in Side for region in on(side, "hemidiaphragm"))
_PLEURA: "dict[Side | None, tuple[Region, ...]]" = {
    side: (*ZONES[side], *on(side, "costophrenic angle")) for side in Side
}
_LUNGS: "dict[Side | None, tuple[Region, ...]]" = {side: ZONES[side] for side in Side}

TRUNK = (*_MIDDLE, *_DOMES)
"""Regions of the trunk that belong to no lung; a blob in none of these and in no lung is no
finding."""

TIED_TO: "Mapping[Observation, Mapping[Side | None, tuple[Region, ...]]]" = {
    Observation.PLEURAL_EFFUSION: {**_PLEURA, None: (*_DOMES, Region.ABDOMEN)},
    Observation.LUNG_OPACITY: {**_LUNGS, None: _MIDDLE},
    Observation.MASS: {**_LUNGS, None: _MIDDLE},
}
"""The regions a blob may be named for, by its side; None when it lies on neither side."""

UNUSUAL_IN: "Mapping[Observation, frozenset[Region]]" = {
    Observation.MASS: frozenset({Region.MEDIASTINUM, Region.UPPER_MEDIASTINUM}),
    Observation.PLEURAL_EFFUSION: frozenset(
        region for side in Side for region in on(side, "hemidiaphragm", "cardiophrenic angle")
    ),
}
"""Not in Table A4 for this attribute, yet not impossible: flagged and lowered to UNCERTAIN."""

GROUPS: "Mapping[str, tuple[Region, ...]]" = {
    "mediastinum": (
        Region.MEDIASTINUM,
        Region.UPPER_MEDIASTINUM,
        Region.CARDIAC_SILHOUETTE,
        Region.AORTIC_ARCH,
        Region.TRACHEA,
        Region.CARINA,
        Region.SUPERIOR_VENA_CAVA,
    ),
    "lungs": (
        Region.RIGHT_LUNG,
        Region.LEFT_LUNG,
        Region.RIGHT_COSTOPHRENIC_ANGLE,
        Region.LEFT_COSTOPHRENIC_ANGLE,
    ),
    "bones": (Region.RIGHT_CLAVICLE, Region.LEFT_CLAVICLE, Region.SPINE),
    "others": (
        Region.RIGHT_HEMIDIAPHRAGM,
        Region.LEFT_HEMIDIAPHRAGM,
        Region.ABDOMEN,
    ),
}
"""The four groups of MMRad-IVL-22K, by the regions that are shown for each."""

GROUP_OF: "Mapping[Observation, str]" = {
    Observation.ENLARGED_CARDIAC_SILHOUETTE: "mediastinum",
    Observation.LUNG_OPACITY: "lungs",
    Observation.MASS: "lungs",
    Observation.PLEURAL_EFFUSION: "lungs",
}
