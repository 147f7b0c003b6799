"""Rationale in pointer mode: each group is named, pointed at, and described; then the conclusion.

The four groups and their order are those of MMRad-IVL-22K (mediastinum, lungs, bones, others).
The words say what was really done. Bones and the rest are located, not judged, and say so.
"""

from typing import TYPE_CHECKING

from models.ontology import places
from models.report import compose, wording
from models.values import Rationale, TextStep, VisualStep
from models.vocabulary import Presence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.grounding import Regions
    from models.values import Finding, GroundedReport

_POSITIVE = (Presence.PRESENT, Presence.UNCERTAIN)

_OPENING = {
    "mediastinum": "First, the heart and the mediastinum.",
    "lungs": "Second, the lungs and the pleura.",
    "bones": "Third, the bones.",
    "others": "Fourth, the diaphragm and the upper abdomen.",
}
_LOCATED_ONLY = {
    "bones": "Clavicles and spine were located for orientation only; bones are not assessed by"
    " this version.",
    "others": "Diaphragm and abdomen were located for orientation only; they are not assessed by"
    " this version.",
}
_NOT_LOCATED = "Its regions could not be located on this film, so no picture is shown."


def explain(
    findings: "Sequence[Finding]", report: "GroundedReport", regions: "Regions"
) -> tuple[Rationale, ...]:
    """One rationale per group, the conclusion last; a film has all five or the stage failed."""
    groups = tuple(_group(name, findings, regions) for name in places.GROUPS)
    summary = " ".join(sentence.text for sentence in report.impression)
    conclusion = TextStep(f"Taken together: {summary}" if summary else "No conclusion is drawn.")
    return (*groups, Rationale("conclusion", (conclusion, TextStep(report.not_assessed))))


def _group(name: str, findings: "Sequence[Finding]", regions: "Regions") -> Rationale:
    own = [finding for finding in findings if places.GROUP_OF[finding.observation] == name]
    shown = tuple(region for region in places.GROUPS[name] if regions.box(region) is not None)
    area = regions.union(shown)
    opening = TextStep(_OPENING[name])
    if area is None:
        return Rationale(name, (opening, TextStep(f"{_NOT_LOCATED} {_seen(name, own)}".strip())))
    overview = VisualStep(area, _seen(name, own), shown)
    return Rationale(name, (opening, overview, *_close_ups(own)))


def _seen(name: str, own: "Sequence[Finding]") -> str:
    """Say what was seen in a group, in the very words of the draft."""
    if name in _LOCATED_ONLY:
        return _LOCATED_ONLY[name]
    return " ".join(sentence.text for sentence in compose.compose(own, ()).findings)


def _close_ups(own: "Sequence[Finding]") -> "list[TextStep | VisualStep]":
    """Point at each box of each localised finding."""
    steps: list[TextStep | VisualStep] = []
    for finding in own:
        if finding.presence in _POSITIVE and finding.boxes:
            steps.append(TextStep(f"Looking closer at {finding.finding_id}."))
            caption = wording.concluded(finding)
            steps += [VisualStep(box, caption, finding.structures) for box in finding.boxes]
    return steps
