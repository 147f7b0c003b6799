"""Content items of an SR tree (PS3.3 C.17.3), with our words made safe for any character set."""

from typing import TYPE_CHECKING, Final

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    ImageContentItem,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
    UIDRefContentItem,
)

from dicom.words import ascii_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.sr.coding import Code

    from dicom.values import InstanceRef

DRAFT_LINE: Final = "AI DRAFT, not verified"
"""The first and the last line of every text (design rule 7)."""

_CONTAINS = RelationshipTypeValues.CONTAINS


def text(concept: "Code", words: str) -> ContentItem:
    """Return a TEXT item."""
    return TextContentItem(name=concept, value=ascii_only(words), relationship_type=_CONTAINS)


def code(concept: "Code", value: "Code") -> ContentItem:
    """Return a CODE item."""
    return CodeContentItem(name=concept, value=value, relationship_type=_CONTAINS)


def number(concept: "Code", value: float, unit: "Code") -> ContentItem:
    """Return a NUM item, rounded to three decimals: more would promise what was not measured."""
    return NumContentItem(
        name=concept, value=round(value, 3), unit=unit, relationship_type=_CONTAINS
    )


def uid(concept: "Code", value: str) -> ContentItem:
    """Return a UIDREF item."""
    return UIDRefContentItem(name=concept, value=value, relationship_type=_CONTAINS)


def image(concept: "Code", ref: "InstanceRef") -> ContentItem:
    """Return an IMAGE item."""
    return ImageContentItem(
        name=concept,
        referenced_sop_class_uid=ref.sop_class_uid,
        referenced_sop_instance_uid=ref.sop_instance_uid,
        relationship_type=_CONTAINS,
    )


def container(heading: "Code", children: "Sequence[ContentItem]") -> ContentItem:
    """Return a CONTAINER with its children; the heading is what a viewer prints."""
    item = ContainerContentItem(name=heading, relationship_type=_CONTAINS)
    item.ContentSequence = ContentSequence(children)
    return item


def lines(heading: "Code", each: "Code", sentences: "Sequence[str]") -> list[ContentItem]:
    """Return a section with every sentence in a container of its own; none for no sentence.

    Viewers run the TEXT items of one container together on one line.
    """
    if not sentences:
        return []
    return [container(heading, [container(each, [text(each, one)]) for one in sentences])]
