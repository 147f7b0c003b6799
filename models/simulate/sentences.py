"""The words of a simulated film: a sentence per region, findings, impression; from truth alone.

Positives state severity, side and place; negatives are said for every sign that is absent; what
nobody could tell on this film is said to be uncertain.
"""

from typing import TYPE_CHECKING

from models.vocabulary import DEVICE_SIGNS, Presence, Sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.simulate.attributes import SignTruth
    from models.simulate.devices import Device
    from models.vocabulary import AnatomicStructure

STRENGTH = {"small": "mild", "large": "severe"}  # of what is spread out, not of a size
SPREAD = (Sign.INTERSTITIAL_PATTERN, Sign.PULMONARY_EDEMA, Sign.ENLARGED_CARDIAC_SILHOUETTE,
          Sign.MEDIASTINAL_WIDENING, Sign.MEDIASTINAL_SHIFT, Sign.ATELECTASIS,
          Sign.ELEVATED_HEMIDIAPHRAGM)  # fmt: skip
ORDER = (
    Sign.ENLARGED_CARDIAC_SILHOUETTE, Sign.MEDIASTINAL_WIDENING, Sign.MEDIASTINAL_SHIFT,
    Sign.CONSOLIDATION, Sign.ATELECTASIS, Sign.MASS, Sign.NODULE, Sign.INTERSTITIAL_PATTERN,
    Sign.PULMONARY_EDEMA, Sign.PLEURAL_EFFUSION, Sign.PNEUMOTHORAX, Sign.ELEVATED_HEMIDIAPHRAGM,
    Sign.SUBDIAPHRAGMATIC_AIR, Sign.RIB_FRACTURE, Sign.CLAVICLE_FRACTURE,
)  # fmt: skip


def findings(facts: "Sequence[SignTruth]", devices: "Sequence[Device]") -> list[str]:
    """Return the findings in reading order: heart, lungs, pleura, bones, devices; then the rest."""
    by_sign = {fact.sign: fact for fact in facts}
    ordered = [by_sign[sign] for sign in ORDER if sign in by_sign]
    positive = [stated(fact) for fact in ordered if fact.state is Presence.PRESENT]
    unsure = [possible(fact) for fact in ordered if fact.state is Presence.UNCERTAIN]
    return [*positive, *(tube(one) for one in devices), *unsure, *negatives(facts)]


def impression(facts: "Sequence[SignTruth]", devices: "Sequence[Device]") -> list[str]:
    """Return what matters: positives, misplaced devices, or that there is nothing."""
    told = [stated(fact) for fact in facts
            if fact.state is Presence.PRESENT and fact.sign not in DEVICE_SIGNS]  # fmt: skip
    told += [f"Misplaced {one.kind}: tip in the {one.tip.value}." for one in devices
             if one.misplaced]  # fmt: skip
    return told or ["No acute finding."]


def stated(fact: "SignTruth") -> str:
    """Return a positive sentence, such as "Moderate right pleural effusion."."""
    words = [_grade(fact), _sides(fact), fact.sign.value]
    return _sentence(" ".join(word for word in words if word))


def possible(fact: "SignTruth") -> str:
    """Return the sentence of what nobody can tell on this film."""
    return _sentence(f"{fact.sign.value} cannot be excluded")


def negatives(facts: "Iterable[SignTruth]") -> list[str]:
    """Return one negative sentence per absent sign; devices share one."""
    absent = [fact.sign for fact in facts if fact.state is Presence.ABSENT]
    told = [f"No {sign.value}." for sign in ORDER if sign in absent]
    if all(sign in absent for sign in DEVICE_SIGNS):
        told.append("No tubes, lines or devices.")
    return told


def tube(one: "Device") -> str:
    """Return where a device ends."""
    side = f"{one.side.value} " if one.side is not None else ""
    height = ""
    if one.sign is Sign.ENDOTRACHEAL_TUBE and one.tip_above_carina_mm > 0:
        height = f", {one.tip_above_carina_mm / 10:.1f} cm above the carina"
    place = one.tip.value.split(",")[0]
    wrong = " (misplaced)" if one.misplaced else ""
    return _sentence(f"{side}{one.kind} with its tip in the {place}{height}{wrong}")


def of_region(name: "AnatomicStructure", facts: "Iterable[SignTruth]") -> str:
    """Return the sentence of one region: what touches it, or that nothing does."""
    there = [fact for fact in facts
             if fact.state is Presence.PRESENT and name in fact.regions]  # fmt: skip
    if not there:
        return _sentence(f"{name.value}: no abnormality")
    words = [" ".join(w for w in (_grade(fact), fact.sign.value) if w) for fact in there]
    return _sentence(f"{name.value}: {', '.join(words)}")


def _grade(fact: "SignTruth") -> str:
    severity = fact.severity or ""
    return STRENGTH.get(severity, severity) if fact.sign in SPREAD else severity


def _sides(fact: "SignTruth") -> str:
    if fact.sign in DEVICE_SIGNS or not fact.sides:
        return ""
    return fact.sides[0].value if len(fact.sides) == 1 else "bilateral"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
