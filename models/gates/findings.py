"""Gates on findings, before a word is written.

A gate returns every finding it was given, in order: as it was, lowered to UNCERTAIN, or withheld,
that is NOT ASSESSED without place, box or measurement. It names each one it changed in a line.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from models import geometry
from models.grounding import share
from models.ontology import places
from models.report import heart
from models.report.wording import NAME
from models.values import Withheld
from models.vocabulary import AnatomicStructure, Observation, Presence, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.report.looked import Looked
    from models.values import Finding, PixelBox

    Outcome = tuple[tuple[Finding, ...], tuple[Withheld, ...]]

_POSITIVE = (Presence.PRESENT, Presence.UNCERTAIN)
_STATED = (Presence.PRESENT, Presence.ABSENT)
_MIDLINE = 0.2  # of the distance between the lungs' centres: nearer to the middle has no side
_IN_REGION_FROM = 0.02  # share of a finding's box inside the regions it is named for


def grounding(findings: "Sequence[Finding]", looked: "Looked") -> "Outcome":
    """PRESENT and ABSENT name visible regions; boxes lie on the film and touch those regions."""
    return _sorted_out("grounding", findings, lambda finding: _ungrounded(finding, looked))


def _ungrounded(finding: "Finding", looked: "Looked") -> "tuple[Finding, str] | None":
    name = _title(finding)
    rows, columns = looked.image.pixels.shape
    if any(_outside(box, rows, columns) for box in finding.boxes):
        return withheld(finding, "its box leaves the film"), f"{name}: its box leaves the film."
    if finding.presence in _STATED and not finding.structures:
        return withheld(finding, "no region"), f"{name}: it is tied to no region."
    if finding.presence in _STATED and looked.regions.missing(finding.structures):
        return withheld(finding, "region not seen"), f"{name}: the region it names is not seen."
    if finding.boxes and finding.structures and not _in_regions(finding, looked):
        line = f"{name}: its box does not lie in the region it names."
        return withheld(finding, "box and region disagree"), line
    return None


def _outside(box: "PixelBox", rows: int, columns: int) -> bool:
    return geometry.clip(box, rows, columns) != box


def _in_regions(finding: "Finding", looked: "Looked") -> bool:
    area = looked.regions.union(finding.structures)
    return area is not None and all(share(box, area) >= _IN_REGION_FROM for box in finding.boxes)


def withheld(finding: "Finding", why: str) -> "Finding":
    """Return the finding as NOT ASSESSED: without place, box or measurement, with the reason."""
    return replace(
        finding,
        presence=Presence.NOT_ASSESSED,
        structures=(),
        boxes=(),
        measurement=None,
        reason=f"withheld: {why}",
    )


def _title(finding: "Finding") -> str:
    return NAME[finding.observation].capitalize()


def _sorted_out(
    gate: str,
    findings: "Sequence[Finding]",
    judge: "Callable[[Finding], tuple[Finding, str] | None]",
) -> "Outcome":
    """Apply one judgement to each finding; a judgement of None lets it pass."""
    kept, lines = [], []
    for finding in findings:
        verdict = judge(finding)
        kept.append(finding if verdict is None else verdict[0])
        if verdict is not None:
            lines.append(Withheld(gate, verdict[1], finding.finding_id))
    return tuple(kept), tuple(lines)


def ontology(findings: "Sequence[Finding]", looked: "Looked") -> "Outcome":
    """Let a finding occur where AOR's Table A4 allows it; else flag or withhold it."""
    del looked
    return _sorted_out("ontology", findings, _misplaced)


def _misplaced(finding: "Finding") -> "tuple[Finding, str] | None":
    if finding.presence not in _POSITIVE or not finding.structures:
        return None
    where = set(finding.structures)
    usual = places.OCCURS_IN[finding.observation]
    if where <= usual:
        return None
    if where <= usual | places.UNUSUAL_IN.get(finding.observation, frozenset()):
        lowered = replace(finding, presence=Presence.UNCERTAIN, reason="unusual place")
        return lowered, f"{_title(finding)}: in an unusual place, therefore only possible."
    return withheld(finding, "impossible place"), f"{_title(finding)}: it cannot lie there."


def laterality(findings: "Sequence[Finding]", looked: "Looked") -> "Outcome":
    """Side of the finding, of its regions and of its boxes agree; else no side is stated."""
    if not looked.technique.sides_known:
        line = "No side is stated: the film may be mirrored, or its orientation is in doubt."
        return unsided(findings), (Withheld("laterality", line),)
    return _sorted_out("laterality", findings, lambda finding: _side_conflict(finding, looked))


def _side_conflict(finding: "Finding", looked: "Looked") -> "tuple[Finding, str] | None":
    named = {side for name in finding.structures if (side := places.SIDE_OF.get(name))}
    shown = {side for box in finding.boxes if (side := _side_of_box(box, looked))}
    sides = named | shown if finding.side is None else named | shown | {finding.side}
    if finding.side is None and finding.presence is not Presence.PRESENT:
        return None  # a negative or a suspicion of the whole film may rest on both sides
    if len(sides) <= 1:
        return None
    if finding.observation is Observation.ENLARGED_CARDIAC_SILHOUETTE:
        return None  # one organ across the midline
    return withheld(
        replace(finding, side=None), "side conflict"
    ), f"{_title(finding)}: side conflict."


def _side_of_box(box: "PixelBox", looked: "Looked") -> Side | None:
    """Tell on whose half of the chest the centre of a box lies; None near the midline."""
    lungs = {side: looked.regions.box(places.LUNG[side]) for side in Side}
    right, left = lungs[Side.RIGHT], lungs[Side.LEFT]
    if right is None or left is None:
        return None
    x, y = box.centre
    towards_right = (right.centre[0] - left.centre[0], right.centre[1] - left.centre[1])
    middle = ((right.centre[0] + left.centre[0]) / 2, (right.centre[1] + left.centre[1]) / 2)
    along = (x - middle[0]) * towards_right[0] + (y - middle[1]) * towards_right[1]
    along /= towards_right[0] ** 2 + towards_right[1] ** 2  # 0.5 is the middle of the right lung
    if abs(along) < _MIDLINE:
        return None
    return Side.RIGHT if along > 0 else Side.LEFT


def unsided(findings: "Sequence[Finding]") -> "tuple[Finding, ...]":
    """Take every side out: positives become possible, negatives stay only where both sides are."""
    absent_on: dict[Observation, set[Side]] = {}
    for finding in findings:
        if finding.presence is Presence.ABSENT and finding.side:
            absent_on.setdefault(finding.observation, set()).add(finding.side)
    return tuple(
        _unsided(finding, on_both=absent_on.get(finding.observation) == set(Side))
        for finding in findings
    )


def _unsided(finding: "Finding", *, on_both: bool) -> "Finding":
    reason = re.sub(r"\b(right|left) ", "", finding.reason) if finding.reason else finding.reason
    if finding.side is None:
        return replace(finding, reason=reason)
    if finding.presence is Presence.ABSENT and on_both:
        # What holds on both sides holds whichever side is which.
        both = places.SEARCHED[finding.observation]
        structures: tuple[AnatomicStructure, ...] = tuple(
            name for side in Side for name in both[side]
        )
        return replace(finding, side=None, structures=structures, reason=reason)
    if finding.presence in _POSITIVE:
        reason = reason or "the sides are in doubt"
        return replace(
            finding, presence=Presence.UNCERTAIN, side=None, structures=(), reason=reason
        )
    reason = reason or "on the other side, while the sides are in doubt"
    return replace(
        finding,
        presence=Presence.NOT_ASSESSED,
        side=None,
        structures=(),
        probability=None,
        reason=reason,
    )


def measurement(findings: "Sequence[Finding]", looked: "Looked") -> "Outcome":
    """Hold a statement on size to its measurement and to how the film was taken."""

    def judge(finding: "Finding") -> "tuple[Finding, str] | None":
        if (
            finding.observation is not Observation.ENLARGED_CARDIAC_SILHOUETTE
            or finding.presence not in _STATED
        ):
            return None
        if finding.measurement is None:
            line = "Heart size: stated without a measurement."
            return withheld(finding, "stated without a measurement"), line
        presence, reason = heart.judged(finding.measurement, looked.technique)
        if presence is finding.presence:
            return None
        lowered = replace(
            finding,
            presence=Presence.UNCERTAIN,
            boxes=(),
            reason=reason or "the statement and the measurement disagree",
        )
        return lowered, f"Heart size: only uncertain ({lowered.reason})."

    return _sorted_out("measurement", findings, judge)


def confidence(findings: "Sequence[Finding]", looked: "Looked") -> "Outcome":
    """PRESENT and ABSENT stand on their own side of the two thresholds."""
    localised = {finding.observation for finding in findings if finding.boxes}

    def judge(finding: "Finding") -> "tuple[Finding, str] | None":
        # The heart is measured, and has a gate of its own; what was not assessed claims nothing.
        heart = finding.observation is Observation.ENLARGED_CARDIAC_SILHOUETTE
        if heart or finding.presence is Presence.NOT_ASSESSED:
            return None
        absent_below, present_from = looked.thresholds[finding.observation]
        p = finding.probability
        called = finding.presence is Presence.PRESENT and (p is None or p < present_from)
        # A high value of the whole film is explained by what was found elsewhere on it.
        denied = (
            finding.presence is Presence.ABSENT
            and (p is None or p >= absent_below)
            and finding.observation not in localised
        )
        if not called and not denied:
            return None
        lowered = replace(finding, presence=Presence.UNCERTAIN, reason="the eye is not sure enough")
        return lowered, f"{_title(finding)}: not sure enough, therefore only possible."

    return _sorted_out("confidence", findings, judge)
