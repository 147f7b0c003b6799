"""From drafts to the finished result set of a study: encoded once, then kept and sent.

Same input, same bytes: nothing here asks for the time or draws a random UID.
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pydicom.errors import BytesLengthException

from dicom import pictures, seg
from dicom.drafts import FilmDraft, ResultContext
from dicom.errors import EncodingFailed, InvalidUid
from dicom.sr import boxes, text
from dicom.sr.film import Companions
from dicom.values import ResultKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom.values import ResultInstance

RESERVED_FOR_SR_BYTES: Final = 65_536
"""More than the SRs of a study take: a text SR of two films has some 40 kB."""

__all__ = ["FilmDraft", "ResultContext", "build"]

_CANNOT_ENCODE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    BytesLengthException,
    InvalidUid,
)
"""What highdicom and pydicom raise for content they cannot encode."""


def build(drafts: "Sequence[FilmDraft]", context: ResultContext) -> "tuple[ResultInstance, ...]":
    """Return the result set of a study in the order it is sent: masks, pictures, SRs last.

    Parameters
    ----------
    drafts
        Every film that was read, in the order the reader meets them; all of one study.
    context
        The job, what is wanted, and what the archive takes.

    Raises
    ------
    EncodingFailed
        If an object cannot be built; the message names the object, never the patient.
    """
    if not drafts:
        raise EncodingFailed("no film was read: there is nothing to send")
    if len({str(one.source.get("StudyInstanceUID")) for one in drafts}) != 1:
        raise EncodingFailed("the films belong to several studies")
    made: list[ResultInstance] = []
    for kind in (ResultKind.ANATOMY_SEG, ResultKind.FINDING_SEG):
        made += _masks(drafts, kind, context)
    with _naming(ResultKind.PICTURES):
        booklet = pictures.build(drafts, context, room_for_pictures(drafts, made))
    made += booklet.instances
    with _naming(ResultKind.BOX_SR):
        box_sr = boxes.build(drafts, context) if context.makes(ResultKind.BOX_SR) else None
    made += [box_sr] if box_sr else []
    companions = Companions(tuple(made), booklet.by_step, booklet.notes)
    with _naming(ResultKind.TEXT_SR):
        made.append(text.build(drafts, context, companions))
    return tuple(made)


def _masks(
    drafts: "Sequence[FilmDraft]", kind: ResultKind, context: ResultContext
) -> "list[ResultInstance]":
    if not context.makes(kind):
        return []
    with _naming(kind):
        built = [seg.build(drafts, index, kind, context) for index in range(len(drafts))]
    return [one for one in built if one is not None]


def room_for_pictures(drafts: "Sequence[FilmDraft]", made: "Iterable[ResultInstance]") -> int:
    """Return how many bytes pictures may take: a result set is no larger than its films.

    A film counts with its pixels uncompressed; the SRs, made later, have their share set aside.
    """
    films = sum(
        one.analysis.image.rows
        * one.analysis.image.columns
        * int(one.source.get("BitsAllocated") or 16)
        // 8
        for one in drafts
    )
    return max(0, films - RESERVED_FOR_SR_BYTES - sum(len(one.content) for one in made))


@contextmanager
def _naming(kind: ResultKind) -> "Iterator[None]":
    """Turn what an encoder raises into an error that names the object."""
    try:
        yield
    except _CANNOT_ENCODE as error:
        # The text of the cause may quote a header, so only its class is told.
        raise EncodingFailed(f"{kind.value}: {type(error).__name__}") from error
