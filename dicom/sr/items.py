"""Content items of an SR tree (PS3.3 C.17.3), with our words made safe for any character set."""

import functools
from typing import TYPE_CHECKING, Final

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ImageContentItem,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.sequence import Sequence

from dicom.words import ascii_only

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.sr.coding import Code

    from dicom.values import InstanceRef

DRAFT_LINE: Final = "AI DRAFT, not verified"
"""The first and the last line of every text (design rule 7)."""

_CONTAINS = RelationshipTypeValues.CONTAINS


@functools.lru_cache(maxsize=512)
def concept_of(code: "Code") -> CodedConcept:
    """Return a code of our closed vocabularies as an item: one and the same, to be read only."""
    return CodedConcept.from_code(code)


def text(concept: "Code", words: str) -> ContentItem:
    """Return a TEXT item."""
    return TextContentItem(
        name=concept_of(concept), value=ascii_only(words), relationship_type=_CONTAINS
    )


def code(concept: "Code", value: "Code") -> ContentItem:
    """Return a CODE item."""
    return CodeContentItem(
        name=concept_of(concept), value=concept_of(value), relationship_type=_CONTAINS
    )


def number(concept: "Code", value: float, unit: "Code") -> ContentItem:
    """Return a NUM item, rounded to three decimals: more would promise what was not measured."""
    return NumContentItem(
        name=concept_of(concept),
        value=round(value, 3),
        unit=concept_of(unit),
        relationship_type=_CONTAINS,
    )


def uid(concept: "Code", value: str) -> ContentItem:
    """Return a UIDREF item."""
    return UIDRefContentItem(name=concept_of(concept), value=value, relationship_type=_CONTAINS)


def image(concept: "Code", ref: "InstanceRef") -> ContentItem:
    """Return an IMAGE item."""
    return ImageContentItem(
        name=concept_of(concept),
        referenced_sop_class_uid=ref.sop_class_uid,
        referenced_sop_instance_uid=ref.sop_instance_uid,
        relationship_type=_CONTAINS,
    )


def container(heading: "Code", children: "Iterable[ContentItem]") -> ContentItem:
    """Return a CONTAINER with its children; the heading is what a viewer prints."""
    item = ContainerContentItem(name=concept_of(heading), relationship_type=_CONTAINS)
    item.ContentSequence = Sequence(children)  # highdicom makes its own of it, and checks it
    return item


def lines(heading: "Code", each: "Code", sentences: list[str]) -> list[ContentItem]:
    """Return a section with every sentence in a container of its own; none for no sentence.

    Viewers run the TEXT items of one container together on one line.
    """
    if not sentences:
        return []
    return [container(heading, [container(each, [text(each, one)]) for one in sentences])]
