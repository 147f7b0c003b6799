"""All findings of one film, in the order of a report, each with its id."""

from dataclasses import replace
from typing import TYPE_CHECKING

from models.report import heart, localised
from models.report.localised import Found
from models.vocabulary import Observation, Presence

if TYPE_CHECKING:
    from models.masks.blobs import Blob
    from models.report.looked import Looked
    from models.values import Finding

ORDER = (
    Observation.ENLARGED_CARDIAC_SILHOUETTE,
    Observation.LUNG_OPACITY,
    Observation.MASS,
    Observation.PLEURAL_EFFUSION,
)
"""Heart and mediastinum, lungs, pleura: the order in which a report is read."""


def judge(
    looked: "Looked",
) -> "tuple[tuple[Finding, ...], dict[str, tuple[Blob, ...]]]":
    """Make every finding, with its id, and the blobs of the localised ones by id.

    "F1", "F2" … for what is PRESENT or UNCERTAIN, "N1", "N2" … for negatives and for what could
    not be assessed.
    """
    found: list[Found] = []
    for observation in ORDER:
        if observation is Observation.ENLARGED_CARDIAC_SILHOUETTE:
            found.append(Found(heart.finding(looked)))
        else:
            found.extend(localised.find(looked, observation))
    findings, parts, counts = [], {}, {"F": 0, "N": 0}
    for item in found:
        letter = "F" if item.finding.presence in (Presence.PRESENT, Presence.UNCERTAIN) else "N"
        counts[letter] += 1
        finding_id = f"{letter}{counts[letter]}"
        findings.append(replace(item.finding, finding_id=finding_id))
        if item.parts:
            parts[finding_id] = item.parts
    return tuple(findings), parts
