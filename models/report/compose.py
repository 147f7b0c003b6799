"""From findings to the sentences of a draft, each pointing at what it rests on.

Order: heart and mediastinum, lungs, pleura, then what could not be assessed. Bones and the rest
have no sentence of their own: this version does not look at them, and ``not_assessed`` says so.
"""

from typing import TYPE_CHECKING

from models.report import wording
from models.values import GroundedReport, ReportSentence
from models.vocabulary import Observation, Presence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.values import Finding

_POSITIVE = (Presence.PRESENT, Presence.UNCERTAIN)
_URGENCY = (
    Observation.MASS,
    Observation.PLEURAL_EFFUSION,
    Observation.LUNG_OPACITY,
    Observation.ENLARGED_CARDIAC_SILHOUETTE,
)


def compose(findings: "Sequence[Finding]", limits: tuple[str, ...]) -> GroundedReport:
    """Write the draft; every finding is in exactly one sentence of ``findings``."""
    return GroundedReport(
        (
            *_heart(findings),
            *_lungs_and_pleura(findings),
            *_together(wording.not_localised, findings),
            *_not_assessed(findings),
        ),
        impression(findings),
        wording.NOT_ASSESSED,
        limits,
    )


def _heart(findings: "Sequence[Finding]") -> list[ReportSentence]:
    return [
        ReportSentence(wording.heart(finding), (finding.finding_id,))
        for finding in findings
        if finding.observation is Observation.ENLARGED_CARDIAC_SILHOUETTE
    ]


def _lungs_and_pleura(findings: "Sequence[Finding]") -> list[ReportSentence]:
    sentences = []
    for observation in (Observation.LUNG_OPACITY, Observation.MASS, Observation.PLEURAL_EFFUSION):
        own = [finding for finding in findings if finding.observation is observation]
        sentences += _once(
            [
                (wording.stated(finding), finding)
                for finding in own
                if finding.presence in _POSITIVE and not wording.is_unplaced(finding)
            ]
        )
        negative = [finding for finding in own if finding.presence is Presence.ABSENT]
        if negative:
            sentences.append(ReportSentence(wording.absent(negative), _ids(negative)))
    return sentences


def _together(
    word: "Callable[[Sequence[Finding]], str]", findings: "Sequence[Finding]"
) -> list[ReportSentence]:
    """Say in one sentence what is suspected without a place."""
    unplaced = [finding for finding in findings if wording.is_unplaced(finding)]
    return [ReportSentence(word(unplaced), _ids(unplaced))] if unplaced else []


def _not_assessed(findings: "Sequence[Finding]") -> list[ReportSentence]:
    """One sentence per side and reason, whatever the number of observations."""
    groups: dict[tuple[object, object], list[Finding]] = {}
    for finding in findings:
        heart = finding.observation is Observation.ENLARGED_CARDIAC_SILHOUETTE
        if finding.presence is Presence.NOT_ASSESSED and not heart:
            groups.setdefault((finding.side, finding.reason), []).append(finding)
    return [ReportSentence(wording.not_assessed(group), _ids(group)) for group in groups.values()]


def impression(findings: "Sequence[Finding]") -> tuple[ReportSentence, ...]:
    """Summarise: what is likely, what is possible, else what was looked for and is not seen."""
    ranked = sorted(findings, key=lambda finding: _URGENCY.index(finding.observation))
    sentences = _once(
        [
            (wording.concluded(finding), finding)
            for presence in _POSITIVE
            for finding in ranked
            if finding.presence is presence and not wording.is_unplaced(finding)
        ]
    )
    sentences += _together(wording.concluded_not_localised, findings)
    absent = _absent_throughout(findings)
    if absent and not _suspected_in_lungs(findings):
        named = list(dict.fromkeys(finding.observation for finding in absent))
        sentences.append(ReportSentence(wording.none_of(named), _ids(absent)))
    left_out = [finding for finding in findings if finding.presence is Presence.NOT_ASSESSED]
    if left_out:
        sentences.append(ReportSentence(wording.left_out(left_out), _ids(left_out)))
    return tuple(sentences)


def _absent_throughout(findings: "Sequence[Finding]") -> "list[Finding]":
    """Negatives of the observations that are ABSENT on every side."""
    denied = {finding.observation for finding in findings if finding.presence is Presence.ABSENT}
    open_ = {finding.observation for finding in findings if finding.presence is not Presence.ABSENT}
    return [finding for finding in findings if finding.observation in denied - open_]


def _suspected_in_lungs(findings: "Sequence[Finding]") -> bool:
    return any(
        finding.presence in _POSITIVE
        and finding.observation is not Observation.ENLARGED_CARDIAC_SILHOUETTE
        for finding in findings
    )


def _once(worded: "Sequence[tuple[str, Finding]]") -> list[ReportSentence]:
    """Say the same words once, for all the findings they fit, with their number."""
    groups: dict[str, list[Finding]] = {}
    for text, finding in worded:
        groups.setdefault(text, []).append(finding)
    return [
        ReportSentence(
            text if len(group) == 1 else f"{text.removesuffix('.')}, {len(group)} places.",
            _ids(group),
        )
        for text, group in groups.items()
    ]


def sentence_for(findings: "Sequence[Finding]") -> ReportSentence | None:
    """Word the findings of one sentence afresh; None when there is nothing to say."""
    report = compose(findings, ())
    if not report.findings:
        return None
    text = " ".join(sentence.text for sentence in report.findings)
    return ReportSentence(text, _ids(findings))


def _ids(findings: "Sequence[Finding]") -> tuple[str, ...]:
    return tuple(finding.finding_id for finding in findings)
