"""What the tables are used for: to flag and to group, never to invent and never to hide.

AOR writes its tables to help a model reason ("fractures can never occur at the cardiac
silhouette"). On a real film a tube may lie exactly where it must not, and that is what a reader
must be told. So a place outside Table A4 is *unusual*, a remark and not a verdict, and nothing here
can turn a finding into a negative or into silence.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from models.ontology.tables import ParentKind, Region, ontology
from models.vocabulary import Observation, Presence, Sign

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.ontology.tables import AssessedRow

Stated: TypeAlias = Sign | Observation
"""What can be stated of a place: one of the eye's signs, or an observation of a report."""


def usual_regions(stated: Stated) -> frozenset[Region]:
    """Regions whose own row in Table A4 lists the finding; regions without a row are left out."""
    tables = ontology()
    wanted = set(_row(stated).attributes)
    return frozenset(
        region
        for region, row in tables.regions.items()
        if not row.row_inherited and wanted & tables.restrictive[row.row]
    )


def unusual(stated: Stated, region: Region) -> bool:
    """Whether Table A4 does not list the finding for this region: worth a remark, no more.

    A region without a row of its own is judged by the row of what it is part of.
    """
    tables = ontology()
    listed = tables.restrictive[tables.regions[region].row]
    return listed.isdisjoint(_row(stated).attributes)


def guarded(stated: Stated) -> bool:
    """Whether this is a tube, a device, air or a fracture: what no rule on places may hide."""
    tables = ontology()
    return any(tables.attributes[name].guarded for name in _row(stated).attributes)


def categories(stated: Stated) -> tuple[str, ...]:
    """Labels that follow from the finding by Table A3, nearest first (atelectasis: lung opacity).

    They group findings in lists and figures; they are words, and no finding is made of them.
    """
    found = (label for name in _row(stated).attributes for label in labels_of(name))
    return tuple(dict.fromkeys(found))


def labels_of(attribute: str) -> tuple[str, ...]:
    """Labels that follow from an attribute of AOR by Table A3, nearest first.

    A parent that is a diagnosis of its own (pleural effusion, pneumothorax) is never added, nor
    what would follow from it, since its pixels may not be there.
    """
    tables = ontology()
    found: dict[str, None] = {}
    level = [attribute]
    while level:
        parents = [parent for name in level for parent in tables.causal.get(name, ())]
        level = [
            parent
            for parent in parents
            if parent not in found and tables.attributes[parent].as_parent is ParentKind.CATEGORY
        ]
        found |= dict.fromkeys(level)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A presence after its places were looked at, and the places that are unusual for it."""

    presence: Presence
    unusual: tuple[Region, ...] = ()


def weighed(stated: Stated, presence: Presence, regions: "Iterable[Region]") -> Weighed:
    """Flag unusual places; lower PRESENT to UNCERTAIN there, but never for what is guarded.

    The only way in which the restrictive table may touch a state. Its outcome is never ABSENT or
    NOT ASSESSED unless that was given.
    """
    odd = tuple(region for region in regions if unusual(stated, region))
    if odd and presence is Presence.PRESENT and not guarded(stated):
        return Weighed(Presence.UNCERTAIN, odd)
    return Weighed(presence, odd)


def ancestors(region: Region) -> tuple[Region, ...]:
    """List what a region is part of, the nearest first."""
    found: list[Region] = []
    parent = ontology().regions[region].parent
    while parent is not None:
        found.append(parent)
        parent = ontology().regions[parent].parent
    return tuple(found)


def parts(region: Region) -> tuple[Region, ...]:
    """List what a region directly consists of, in the order of the table."""
    return tuple(name for name, row in ontology().regions.items() if row.parent == region)


def sub_regions() -> dict[str, tuple[Region, ...]]:
    """Return the 35 sub-regions by domain; reconstructed, see docs/ontology.md."""
    found: dict[str, tuple[Region, ...]] = {}
    for name, row in ontology().regions.items():
        if row.sub_region_of is not None:
            found[row.sub_region_of] = (*found.get(row.sub_region_of, ()), name)
    return found


def _row(stated: Stated) -> "AssessedRow":
    # Signs and observations share words ("pleural effusion"), so their tables are kept apart.
    if isinstance(stated, Sign):
        return ontology().signs[stated]
    return ontology().observations[stated]
