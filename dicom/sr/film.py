"""The sections of the text SR about one film: sentences, what was looked for, rationale."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from dicom import codes, uids
from dicom.profile import BASIC_TEXT_SR
from dicom.sr import items
from dicom.sr.boxes import localised, tracking_uid
from dicom.values import InstanceRef
from dicom.words import place
from models.values import TextStep
from models.vocabulary import Presence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from highdicom.sr import ContentItem
    from pydicom.sr.coding import Code

    from dicom.drafts import FilmDraft, ResultContext
    from dicom.values import ResultInstance
    from models.values import Finding, Measurement, Rationale, ReportSentence, VisualStep


class StepKey(NamedTuple):
    """Which step of which rationale of which film a picture shows."""

    film: int
    rationale: int
    step: int


@dataclass(frozen=True, slots=True)
class Companions:
    """What was made before the text SR: objects, pictures by step, remarks for the reader."""

    made: "tuple[ResultInstance, ...]" = ()
    pictures: "Mapping[StepKey, InstanceRef]" = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def film_sections(
    drafts: "Sequence[FilmDraft]", index: int, context: "ResultContext", companions: Companions
) -> "list[ContentItem]":
    """Return the sections about one film, in reading order."""
    draft = drafts[index]
    report = draft.analysis.report
    rationale = [
        _rationale(one, StepKey(index, number, 0), companions)
        for number, one in enumerate(draft.analysis.rationales)
    ]
    return [
        _what_was_read(drafts, index),
        *_sentences(codes.FINDINGS, report.findings, draft),
        *_sentences(codes.IMPRESSIONS, report.impression, draft),
        *items.lines(
            codes.LOOKED_FOR,
            codes.FINDING,
            [_grounding(draft, one) for one in draft.analysis.findings],
        ),
        *([items.container(codes.RATIONALE, rationale)] if rationale else []),
        *_coded(draft, context),
    ]


def _what_was_read(drafts: "Sequence[FilmDraft]", index: int) -> "ContentItem":
    draft = drafts[index]
    image = draft.analysis.image
    view = image.view_position.value if image.view_position else "view not stated"
    count = f"Film {index + 1} of {len(drafts)}" if len(drafts) > 1 else "One film"
    said = [f"{count}: {view}, {image.columns} columns by {image.rows} rows.", *draft.remarks]
    source = draft.source
    film = InstanceRef(
        study_instance_uid=uids.checked(source.get("StudyInstanceUID")),
        series_instance_uid=uids.checked(source.get("SeriesInstanceUID")),
        sop_class_uid=uids.checked(source.get("SOPClassUID")),
        sop_instance_uid=uids.checked(source.get("SOPInstanceUID")),
    )
    (section,) = items.lines(codes.IMAGES_READ, codes.STATEMENT, said)
    section.ContentSequence[0].ContentSequence.append(items.image(codes.FILM_READ, film))
    return section


def _sentences(
    heading: "Code", sentences: "tuple[ReportSentence, ...]", draft: "FilmDraft"
) -> "list[ContentItem]":
    if not sentences:
        return []
    return [items.container(heading, [_statement(one, draft) for one in sentences])]


def _statement(sentence: "ReportSentence", draft: "FilmDraft") -> "ContentItem":
    children = [items.text(codes.STATEMENT, sentence.text)]
    if sentence.finding_ids:
        grounding = f"[rests on {', '.join(sentence.finding_ids)}]"
        children.append(items.text(codes.GROUNDING, grounding))
    states = {
        one.presence for one in draft.analysis.findings if one.finding_id in sentence.finding_ids
    }
    # The strongest state heads a sentence that speaks of several findings.
    heading = next((codes.STATEMENTS[one] for one in Presence if one in states), codes.STATEMENT)
    return items.container(heading, children)


def _coded(draft: "FilmDraft", context: "ResultContext") -> "list[ContentItem]":
    findings = draft.analysis.findings
    if not findings:
        return []
    return [items.container(codes.CODED, [_finding(draft, one, context) for one in findings])]


def _finding(draft: "FilmDraft", finding: "Finding", context: "ResultContext") -> "ContentItem":
    children = [
        items.text(codes.TRACKING_IDENTIFIER, finding.finding_id),
        items.code(codes.FINDING, codes.OBSERVATIONS[finding.observation]),
        items.code(codes.STATE_OF_FINDING, codes.PRESENCES[finding.presence]),
        *(items.code(codes.FINDING_SITE, codes.STRUCTURES[one]) for one in finding.structures),
    ]
    if finding in localised(draft.analysis):
        children.append(
            items.uid(codes.TRACKING_UNIQUE_IDENTIFIER, tracking_uid(draft, finding, 0, context))
        )
    measured = finding.measurement
    # Basic Text SR allows no NUM (PS3.3 A.35.1.3.1); the words carry the number anyway.
    if measured is not None and context.profile.text_sop_class_uid != BASIC_TEXT_SR:
        concept, unit = codes.measurement(measured.name), codes.unit(measured.unit)
        children.append(items.number(concept, measured.value, unit))
    return items.container(codes.FINDING, children)


def _grounding(draft: "FilmDraft", finding: "Finding") -> str:
    where = ", ".join(one.value for one in finding.structures) or "no region"
    parts = [
        f"{finding.finding_id}: {finding.observation.value}: {finding.presence.value}; {where}"
    ]
    if finding in localised(draft.analysis):
        parts += [f"box at {place(box)}" for box in finding.boxes]
    elif finding.presence.value in {"PRESENT", "UNCERTAIN"}:
        parts.append("not localised: a statement about the whole of these regions")
    if finding.measurement is not None:
        parts.append(measured_words(finding.measurement))
    if finding.reason:
        parts.append(finding.reason)
    return "; ".join(parts)


def measured_words(measured: "Measurement") -> str:
    """Return a measurement with its band: a number without it would look exact."""
    unit = f" {measured.unit}" if measured.unit in codes.UNITS else ""
    return (
        f"{measured.name} {measured.value:.2f}{unit}, "
        f"uncertainty {measured.low:.2f} to {measured.high:.2f}{unit}"
    )


def _rationale(rationale: "Rationale", first: StepKey, companions: Companions) -> "ContentItem":
    heading = codes.RATIONALE_GROUPS.get(rationale.group, codes.RATIONALE)
    steps = []
    for number, step in enumerate(rationale.steps):
        if isinstance(step, TextStep):
            steps.append(items.container(codes.STEP, [items.text(codes.STEP, step.text)]))
        else:
            picture = companions.pictures.get(first._replace(step=number))
            steps.append(_looked_at(step, picture))
    return items.container(heading, steps)


def _looked_at(step: "VisualStep", picture: InstanceRef | None) -> "ContentItem":
    regions = ", ".join(one.value for one in step.structures)
    over = f" ({regions})" if regions else ""
    words = f"Looked at {place(step.box)}{over}: {step.caption}"
    children = [items.text(codes.STEP, words)]
    if picture is not None:
        children.append(items.image(codes.VISUAL_EXPLANATION, picture))
    return items.container(codes.STEP, children)
