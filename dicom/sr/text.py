"""The text SR: the whole draft in words, for the study, made of every film's draft.

Everything a reader must be able to find is here: every sentence and what it rests on, what was
looked for and not found, what was not assessed, what the safety checks held back, which films
were read and which were not, and what made the draft. Numbers live only here. Each sentence is in
a container of its own, because viewers print the text of one container on one line.
"""

from typing import TYPE_CHECKING

from highdicom.sr import ContainerContentItem, ContentSequence

from dicom import codes
from dicom.sr import document, items, replaced
from dicom.sr.film import Companions, film_sections
from dicom.values import ResultKind
from dicom.words import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from highdicom.sr import ContentItem

    from dicom.drafts import FilmDraft, ResultContext
    from dicom.values import ResultInstance

WITHHELD_NONE = "Nothing was withheld."


def build(
    drafts: "Sequence[FilmDraft]", context: "ResultContext", companions: Companions
) -> "ResultInstance":
    """Return the text SR of a study; ``companions`` are the objects already made beside it."""
    root = ContainerContentItem(name=codes.AI_DRAFT_TITLE)
    root.ContentSequence = ContentSequence()
    root.ContentSequence.append(document.language())
    root.ContentSequence.extend(document.observation_context(context))
    for item in _content(drafts, context, companions):
        root.ContentSequence.append(item)
    described = document.Document(
        kind=ResultKind.TEXT_SR,
        sop_class_uid=context.profile.text_sop_class_uid,
        root=root,
        evidence=tuple(companions.pictures.values()),
        predecessors=context.predecessors,
    )
    return document.build(described, drafts, context)


def _content(
    drafts: "Sequence[FilmDraft]", context: "ResultContext", companions: Companions
) -> "list[ContentItem]":
    notice = items.text(codes.NOTICE, items.DRAFT_LINE)
    return [
        notice,
        *items.lines(codes.STATUS, codes.NOTICE, _status(drafts, context, companions)),
        *replaced.section(context.replaced),
        *_films(drafts, context, companions),
        *items.lines(codes.IMAGES_NOT_READ, codes.STATEMENT, _not_read(context)),
        *items.lines(codes.NOT_ASSESSED_SECTION, codes.STATEMENT, _not_assessed(drafts)),
        *items.lines(codes.WITHHELD, codes.STATEMENT, _withheld(drafts)),
        *items.lines(codes.LIMITS, codes.STATEMENT, _limits(drafts)),
        *items.lines(codes.HOW_MADE, codes.ALGORITHM, _how_made(drafts, context)),
        *items.lines(codes.GEOMETRY, codes.STATEMENT, _geometry(drafts, companions)),
        items.text(codes.NOTICE, items.DRAFT_LINE),
    ]


def _status(
    drafts: "Sequence[FilmDraft]", context: "ResultContext", companions: Companions
) -> list[str]:
    made = ", ".join(dict.fromkeys(one.kind.value for one in companions.made))
    not_taken = context.profile.not_taken(context.kinds)
    partial = [one.analysis.partial_reason for one in drafts if one.analysis.partial_reason]
    return [
        *context.banner,
        *(f"This draft is PARTIAL: {reason}" for reason in partial),
        f"Revision {context.revision} of the draft of this study."
        + (" It replaces the earlier revision." if context.predecessors else ""),
        *([f"Made beside this text: {made}."] if made else []),
        *([f"The archive's profile: {not_taken}."] if not_taken else []),
        *companions.notes,
    ]


def _films(
    drafts: "Sequence[FilmDraft]", context: "ResultContext", companions: Companions
) -> "list[ContentItem]":
    if len(drafts) == 1:
        return film_sections(drafts, 0, context, companions)
    return [
        items.container(codes.FILM, film_sections(drafts, index, context, companions))
        for index in range(len(drafts))
    ]


def _not_read(context: "ResultContext") -> list[str]:
    return [f"Not read: {one.words} (instance {one.sop_instance_uid})" for one in context.rejected]


def _not_assessed(drafts: "Sequence[FilmDraft]") -> list[str]:
    said = [draft.analysis.report.not_assessed for draft in drafts]
    return [*dict.fromkeys(one for one in said if one), "Nothing was compared with earlier images."]


def _withheld(drafts: "Sequence[FilmDraft]") -> list[str]:
    held = [
        f"{_film_prefix(drafts, index)}{one.line} (check: {one.gate})"
        for index, draft in enumerate(drafts)
        for one in draft.analysis.withheld
    ]
    return held or [WITHHELD_NONE]


def _limits(drafts: "Sequence[FilmDraft]") -> list[str]:
    return list(dict.fromkeys(one for draft in drafts for one in draft.analysis.report.limits))


def _how_made(drafts: "Sequence[FilmDraft]", context: "ResultContext") -> list[str]:
    models = dict.fromkeys(model for draft in drafts for model in draft.analysis.models)
    software = (
        f"Software Carina {context.software_version}, job {context.job_id}, "
        f"made {context.produced_at:%Y-%m-%d %H:%M:%S} UTC."
    )
    return [
        *(
            f"Network {shortened(model.name, 64)}, version {shortened(model.version, 64)}, "
            f"weights sha256 {model.weights_sha256}: {codes.USE_WORDS[model.use]}."
            for model in models
        ),
        software,
    ]


def _geometry(drafts: "Sequence[FilmDraft]", companions: Companions) -> list[str]:
    kinds = {one.kind for one in companions.made}
    said = ["Boxes are in pixels of the stored film, counted from its top left corner."]
    if not kinds & {ResultKind.ANATOMY_SEG, ResultKind.FINDING_SEG}:
        return said
    said.append(
        "Masks lie on the pixel grid of the film. Their plane orientation is a placeholder that "
        "viewers need; it does not say how the patient stood."
    )
    for index, draft in enumerate(drafts):
        image = draft.analysis.image
        prefix = _film_prefix(drafts, index)
        if image.pixel_spacing_mm is None or image.spacing_source is None:
            said.append(
                f"{prefix}The pixel spacing of the film is unknown. The masks carry 1 by 1 as a "
                "placeholder: do not measure on them."
            )
        else:
            said.append(f"{prefix}Pixel spacing of the masks: {image.spacing_source.value}.")
    return said


def _film_prefix(drafts: "Sequence[FilmDraft]", index: int) -> str:
    return f"Film {index + 1}: " if len(drafts) > 1 else ""
