"""The words of a finding. Same finding, same words: templates, no free text.

Certainty is a word, never a percentage, since nothing here is calibrated on real films. A reason
always stands in brackets. There is no word of comparison: no earlier film was read.
"""

from typing import TYPE_CHECKING

from models.grounding import listed
from models.ontology import places
from models.report.localised import BELOW_CALL, NOT_LOCALISED
from models.vocabulary import Observation, Presence, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.values import Finding, Measurement
    from models.vocabulary import AnatomicStructure

CERTAINTY = {Presence.PRESENT: "Likely", Presence.UNCERTAIN: "Possible"}

NAME = {
    Observation.ENLARGED_CARDIAC_SILHOUETTE: "enlarged cardiac silhouette",
    Observation.LUNG_OPACITY: "opacity",
    Observation.MASS: "mass or nodule",
    Observation.PLEURAL_EFFUSION: "pleural effusion",
}

NOT_ASSESSED = (
    "Not looked for by this version, and therefore not excluded: pneumothorax, fractures and other"
    " bone lesions, tubes, lines and devices, interstitial patterns and oedema, hila, widening of"
    " the mediastinum, free air below the diaphragm, and everything else that is not named above."
)
"""The line of design rule 6: what silence must not be taken for."""


def stated(finding: "Finding") -> str:
    """One sentence on a finding that is PRESENT or UNCERTAIN."""
    if finding.observation is Observation.ENLARGED_CARDIAC_SILHOUETTE:
        return heart(finding)
    return f"{CERTAINTY[finding.presence]} {_what_and_where(finding)}{_because(finding)}."


def heart(finding: "Finding") -> str:
    """One sentence on the size of the heart, in any state, with the measurement if there is one."""
    size = f": {_ratio(finding.measurement)}" if finding.measurement is not None else ""
    opening = {
        Presence.PRESENT: "Enlarged cardiac silhouette",
        Presence.UNCERTAIN: "Heart size uncertain",
        Presence.ABSENT: "Cardiac silhouette not enlarged",
        Presence.NOT_ASSESSED: "Heart size not assessed",
    }[finding.presence]
    return f"{opening}{size}{_because(finding)}."


def is_unplaced(finding: "Finding") -> bool:
    """Tell whether a finding is a suspicion of the whole film, without a place."""
    return finding.presence is Presence.UNCERTAIN and finding.reason == NOT_LOCALISED


def not_localised(findings: "Sequence[Finding]") -> str:
    """One sentence on all that is suspected without a place."""
    return f"Possible {_names(findings)}{_because(findings[0])}."


def concluded_not_localised(findings: "Sequence[Finding]") -> str:
    """Word the same for the impression."""
    return f"Possible {_names(findings)}, not localised."


def absent(findings: "Sequence[Finding]") -> str:
    """One sentence on the negatives of one observation, for one side or for both."""
    name = NAME[findings[0].observation]
    sides = {finding.side for finding in findings}
    side = next(iter(sides)) if len(sides) == 1 else None
    if findings[0].observation is Observation.PLEURAL_EFFUSION:
        return f"No {_sided(side)}{name} seen in the assessed parts of the film."
    lungs = f"{side.value} lung" if side else "lungs"
    return f"No {name} seen in the assessed parts of the {lungs}."


def not_assessed(findings: "Sequence[Finding]") -> str:
    """One sentence on what could not be assessed on one side for one reason."""
    side = findings[0].side
    where = f" on the {side.value}" if side else ""
    return f"Not assessed{where}: {_names(findings)}{_because(findings[0])}."


def concluded(finding: "Finding") -> str:
    """Word a PRESENT or UNCERTAIN finding for the impression: short, without numbers or reasons."""
    if finding.observation is Observation.ENLARGED_CARDIAC_SILHOUETTE:
        enlarged = finding.presence is Presence.PRESENT
        return "Enlarged cardiac silhouette." if enlarged else "Heart size uncertain."
    return f"{CERTAINTY[finding.presence]} {_what_and_where(finding)}."


def none_of(observations: "Sequence[Observation]") -> str:
    """One sentence of the impression on all that was looked for and not seen."""
    names = [NAME[observation] for observation in observations]
    # One name holds an "or" itself, so the comma before the last one is needed.
    together = names[0] if len(names) == 1 else f"{', '.join(names[:-1])}, or {names[-1]}"
    return f"No {together} seen in the assessed parts of the film."


def left_out(findings: "Sequence[Finding]") -> str:
    """One sentence of the impression on all that could not be assessed, or not on every side."""
    heart_size = Observation.ENLARGED_CARDIAC_SILHOUETTE
    names = [
        "heart size" if finding.observation is heart_size else NAME[finding.observation]
        for finding in findings
    ]
    return f"Not assessed, at least in part: {listed(list(dict.fromkeys(names)))}."


def place(structures: "Sequence[AnatomicStructure]") -> str:
    """``right mid and lower lung zones``; empty when no zone of a lung is among them."""
    phrases = []
    for side in Side:
        zones = [zone for zone in places.ZONES[side] if zone in structures]
        short = [zone.value.split()[1] for zone in zones]
        if short:
            noun = "lung zone" if len(short) == 1 else "lung zones"
            phrases.append(f"{side.value} {listed(short)} {noun}")
    return listed(phrases)


def _names(findings: "Sequence[Finding]") -> str:
    return listed(list(dict.fromkeys(NAME[finding.observation] for finding in findings)))


def _what_and_where(finding: "Finding") -> str:
    name = NAME[finding.observation]
    if finding.side is None and finding.boxes:
        return f"{name}, side not stated"
    if finding.observation is Observation.PLEURAL_EFFUSION:
        return f"{_sided(finding.side)}{name}"
    where = place(finding.structures) if finding.boxes else ""
    if not where and finding.side is not None:
        where = f"{finding.side.value} lung"
    return f"{name} in the {where}" if where else name


def _sided(side: Side | None) -> str:
    return f"{side.value} " if side else ""


def _because(finding: "Finding") -> str:
    """Return the reason in brackets, unless "likely" or "possible" already says it."""
    return f" ({finding.reason})" if finding.reason and finding.reason != BELOW_CALL else ""


def _ratio(size: "Measurement") -> str:
    return f"{size.name} {size.value:.2f}, band {size.low:.2f} to {size.high:.2f}"
