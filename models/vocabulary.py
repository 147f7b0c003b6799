"""The closed vocabularies of the eye: regions, observations, states, reasons."""

from enum import StrEnum
from typing import Final


class AnatomicStructure(StrEnum):
    """The 36 thoracic regions of AnatomiX / Chest ImaGenome, in AnatomiX's query order."""

    ABDOMEN = "abdomen"
    AORTIC_ARCH = "aortic arch"
    LEFT_APICAL_ZONE = "left apical zone"
    RIGHT_APICAL_ZONE = "right apical zone"
    CARDIAC_SILHOUETTE = "cardiac silhouette"
    DESCENDING_AORTA = "descending aorta"
    LEFT_HILAR_STRUCTURES = "left hilar structures"
    RIGHT_HILAR_STRUCTURES = "right hilar structures"
    LEFT_CLAVICLE = "left clavicle"
    LEFT_HEMIDIAPHRAGM = "left hemidiaphragm"
    LEFT_LOWER_LUNG_ZONE = "left lower lung zone"
    LEFT_LUNG = "left lung"
    LEFT_MID_LUNG_ZONE = "left mid lung zone"
    LEFT_UPPER_LUNG_ZONE = "left upper lung zone"
    MEDIASTINUM = "mediastinum"
    RIGHT_ATRIUM = "right atrium"
    RIGHT_CARDIAC_BORDER = "right cardiac border"
    RIGHT_CLAVICLE = "right clavicle"
    RIGHT_HEMIDIAPHRAGM = "right hemidiaphragm"
    RIGHT_LOWER_LUNG_ZONE = "right lower lung zone"
    RIGHT_LUNG = "right lung"
    RIGHT_MID_LUNG_ZONE = "right mid lung zone"
    RIGHT_UPPER_LUNG_ZONE = "right upper lung zone"
    CARINA = "carina"
    LEFT_CARDIAC_BORDER = "left cardiac border"
    LEFT_UPPER_QUADRANT_OF_ABDOMEN = "left upper quadrant of abdomen"
    RIGHT_UPPER_QUADRANT_OF_ABDOMEN = "right upper quadrant of abdomen"
    UPPER_MEDIASTINUM = "upper mediastinum"
    SUPERIOR_VENA_CAVA = "superior vena cava"
    TRACHEA = "trachea"
    SPINE = "spine"
    CAVOATRIAL_JUNCTION = "cavoatrial junction"
    LEFT_CARDIOPHRENIC_ANGLE = "left cardiophrenic angle"
    LEFT_COSTOPHRENIC_ANGLE = "left costophrenic angle"
    RIGHT_CARDIOPHRENIC_ANGLE = "right cardiophrenic angle"
    RIGHT_COSTOPHRENIC_ANGLE = "right costophrenic angle"


class Side(StrEnum):
    """The patient's side."""

    RIGHT = "right"
    LEFT = "left"


class ViewPosition(StrEnum):
    """View Position (0018,5101), the values this project acts on."""

    PA = "PA"
    AP = "AP"
    LL = "LL"
    RL = "RL"


class SpacingSource(StrEnum):
    """Where the spacing came from; the two are not of the same plane (PS3.3 10.7.1.3)."""

    PIXEL_SPACING = "PIXEL_SPACING"
    IMAGER_PIXEL_SPACING = "IMAGER_PIXEL_SPACING"


class Observation(StrEnum):
    """What this version looks for. Everything else is NOT ASSESSED and is said to be so."""

    ENLARGED_CARDIAC_SILHOUETTE = "enlarged cardiac silhouette"
    PLEURAL_EFFUSION = "pleural effusion"
    LUNG_OPACITY = "lung opacity"
    MASS = "mass or nodule"


class Sign(StrEnum):
    """What the eye assesses one by one; shown by ``carina look`` and measured in the eye report.

    Draft reports state the broader :class:`Observation` only, as far as real films bear it out.
    """

    PLEURAL_EFFUSION = "pleural effusion"
    PNEUMOTHORAX = "pneumothorax"
    CONSOLIDATION = "consolidation"
    ATELECTASIS = "atelectasis"
    MASS = "mass"
    NODULE = "nodule"
    INTERSTITIAL_PATTERN = "interstitial pattern"
    PULMONARY_EDEMA = "pulmonary edema"
    ENLARGED_CARDIAC_SILHOUETTE = "enlarged cardiac silhouette"
    MEDIASTINAL_WIDENING = "mediastinal widening"
    MEDIASTINAL_SHIFT = "mediastinal shift"
    ELEVATED_HEMIDIAPHRAGM = "elevated hemidiaphragm"
    SUBDIAPHRAGMATIC_AIR = "subdiaphragmatic air"
    RIB_FRACTURE = "rib fracture"
    CLAVICLE_FRACTURE = "clavicle fracture"
    ENDOTRACHEAL_TUBE = "endotracheal tube"
    ENTERIC_TUBE = "enteric tube"
    CHEST_TUBE = "chest tube"
    CENTRAL_VENOUS_LINE = "central venous line"
    PACEMAKER = "pacemaker"


DEVICE_SIGNS: Final = (Sign.ENDOTRACHEAL_TUBE, Sign.ENTERIC_TUBE, Sign.CHEST_TUBE,
                       Sign.CENTRAL_VENOUS_LINE, Sign.PACEMAKER)  # fmt: skip
"""What somebody put there: tubes, lines and pacemakers."""


class Quality(StrEnum):
    """How a film was taken, where that limits what can be said."""

    ROTATED = "rotated"
    LOW_INSPIRATION = "low inspiration"
    CUT_OFF = "cut off"


class Capability(StrEnum):
    """What a network can tell beside boxes; named where it cannot."""

    PRESENCE = "whether a region is visible"
    SPREAD = "how wide it looked for the edges of a region"
    FINDINGS = "findings"
    SIGNS = "signs"
    ATTRIBUTES = "places of signs"
    MASKS = "outlines"
    REGION_MASKS = "outlines of regions"
    SCOPE = "whether the film may be read"
    VIEW = "the view"
    MIRRORED = "which side is which"
    QUALITY = "how the film was taken"


class Presence(StrEnum):
    """The four states of a finding (design rule 6). Silence is not one of them."""

    PRESENT = "PRESENT"
    UNCERTAIN = "UNCERTAIN"
    ABSENT = "ABSENT"
    NOT_ASSESSED = "NOT ASSESSED"


class ScopeReason(StrEnum):
    """Why the *image itself* says that a film is not an adult frontal chest radiograph."""

    NOT_A_CHEST = "not a chest radiograph"
    NOT_FRONTAL = "not a frontal view"
    NOT_AN_IMAGE = "no anatomy visible"
    INCOMPLETE = "too little of the chest visible"


class BundleUse(StrEnum):
    """What a bundle may be used for (design rule 8)."""

    DEMO = "demo"
    RESEARCH = "research"
    CLINICAL = "clinical"


class MaskName(StrEnum):
    """The masks the eye draws."""

    RIGHT_LUNG = "right lung"
    LEFT_LUNG = "left lung"
    HEART = "heart"
    PLEURAL_EFFUSION = "pleural effusion"
    LUNG_OPACITY = "lung opacity"
    MASS = "mass or nodule"
    PNEUMOTHORAX = "pneumothorax"
    DEVICE = "tube, line or device"
