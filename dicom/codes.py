"""Our closed vocabularies as coded concepts.

A standard code is used only where it means exactly what we mean and where its meaning could be
read in a source we trust (PS3.16, or the dictionary that pydicom generates from it). Everything
else is a private code under ``99CARINA`` (PS3.16 section 7.2.3): an honest private code is better
than a standard one that says something slightly different. The tables are shown in
``docs/results.md``.

Regions with a side have lateralised codes of their own, because viewers show the code meaning and
not its laterality modifier.
"""

from typing import TYPE_CHECKING, Final

from pydicom.sr.coding import Code

from models.vocabulary import AnatomicStructure, BundleUse, MaskName, Observation, Presence, Side

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE_SCHEME: Final = "99CARINA"


def own(value: str, meaning: str) -> Code:
    """Return a private code: value at most 16, meaning at most 64 characters (PS3.5 6.2)."""
    return Code(value, PRIVATE_SCHEME, meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


AI_DRAFT_TITLE = own("AI-DRAFT", "AI draft, not a report")
IMAGING_MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")
ENGLISH = Code("en", "RFC5646", "English")
PLAIN_RADIOGRAPHY = _sct("168537006", "Plain radiography")
ARTIFICIAL_INTELLIGENCE = _dcm("123110", "Artificial Intelligence")
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")

FINDING = _dcm("121071", "Finding")
FINDINGS = _dcm("121070", "Findings")
IMPRESSIONS = _dcm("121072", "Impressions")
COMMENT = _dcm("121106", "Comment")
CONCLUSION = _dcm("121077", "Conclusion")
TRACKING_IDENTIFIER = _dcm("112039", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = _dcm("112040", "Tracking Unique Identifier")
VISUAL_EXPLANATION = _dcm("130401", "Visual explanation")
SOURCE_OF_PICTURE = _dcm("121322", "Source Image for Image Processing Operation")
FINDING_SITE = _sct("363698007", "Finding Site")

NOTICE = own("NOTICE", "Notice")
STATUS = own("STATUS", "AI DRAFT, not verified: what this is")
STATEMENT = own("STATEMENT", "Statement")
LOOKED_FOR = own("LOOKED-FOR", "What was looked for, and where")
CODED = own("CODED", "The findings as codes")
STATE_OF_FINDING = own("STATE", "State")
GROUNDING = own("GROUNDING", "Grounding")
FILM = own("FILM", "Film")
FILM_READ = own("FILM-READ", "Film that was read")
IMAGES_READ = own("READ", "What was read")
IMAGES_NOT_READ = own("NOT-READ", "What was not read, and why")
NOT_ASSESSED_SECTION = own("NO-ASSESSMENT", "What was not assessed")
LIMITS = own("LIMITS", "Known limits")
WITHHELD = own("WITHHELD", "Withheld by the safety checks")
RATIONALE = own("RATIONALE", "How the draft was reached")
STEP = own("STEP", "Step")
HOW_MADE = own("HOW-MADE", "How this draft was made")
ALGORITHM = own("ALGORITHM", "Algorithm")
GEOMETRY = own("GEOMETRY", "Geometry of boxes and masks")
REPLACES = own("REPLACES", "What this replaces")
WITHDRAWS = own("WITHDRAWS", "What is withdrawn")
REPLACED_OBJECT = own("OBJECT", "Object")
REPLACED_UID = own("REPLACED-UID", "SOP Instance UID")
WITHDRAWN_TITLE = own("WITHDRAWN", "WITHDRAWN AI draft, not to be used")
WITHDRAWAL = own("WITHDRAWAL", "WITHDRAWN: what this is")

REJECTED_FOR_QUALITY = _dcm("113001", "Rejected for Quality Reasons")
REJECTED_FOR_SAFETY = _dcm("113037", "Rejected for Patient Safety Reasons")

RATIONALE_GROUPS: "Mapping[str, Code]" = {
    "mediastinum": own("R-MEDIASTINUM", "Mediastinum and heart"),
    "lungs": own("R-LUNGS", "Lungs and pleura"),
    "bones": own("R-BONES", "Bones"),
    "others": own("R-OTHERS", "Others"),
    "conclusion": CONCLUSION,
}
"""The groups of :class:`models.values.Rationale`."""

OBSERVATIONS: "Mapping[Observation, Code]" = {
    # Cardiomegaly (287272002) is a diagnosis of the heart; what is seen is its silhouette.
    Observation.ENLARGED_CARDIAC_SILHOUETTE: own("ECS", "Enlarged cardiac silhouette"),
    Observation.PLEURAL_EFFUSION: _sct("60046008", "Pleural effusion"),
    Observation.LUNG_OPACITY: _dcm("112001", "Opacity"),
    # Mass (4147007) and Nodule (27925004) are two codes; the network does not tell them apart.
    Observation.MASS: own("MASS-NODULE", "Mass or nodule"),
}

PRESENCES: "Mapping[Presence, Code]" = {
    Presence.PRESENT: _sct("52101004", "Present"),
    Presence.ABSENT: _sct("272519000", "Absent"),
    Presence.UNCERTAIN: _sct("64957009", "Uncertain"),
    Presence.NOT_ASSESSED: own("NOT-ASSESSED", "Not assessed"),
}

STATEMENTS: "Mapping[Presence, Code]" = {
    Presence.PRESENT: own("S-PRESENT", "Seen"),
    Presence.UNCERTAIN: own("S-UNCERTAIN", "Uncertain"),
    Presence.ABSENT: own("S-ABSENT", "Not seen"),
    Presence.NOT_ASSESSED: own("S-NOT-ASSESSED", "Not assessed"),
}
"""Headings of sentences in the text SR: what viewers print above each."""

SIDES: "Mapping[Side, Code]" = {
    Side.RIGHT: _sct("24028007", "Right"),
    Side.LEFT: _sct("7771000", "Left"),
}

ANATOMICAL_STRUCTURE = _sct("91723000", "Anatomical Structure")
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = _sct("49755003", "Morphologically Abnormal Structure")
LUNG = _sct("39607008", "Lung")
HEART = _sct("80891009", "Heart")
CHEST = _sct("51185008", "Chest")

ORGANS: "Mapping[MaskName, tuple[Code, Side | None]]" = {
    MaskName.RIGHT_LUNG: (LUNG, Side.RIGHT),
    MaskName.LEFT_LUNG: (LUNG, Side.LEFT),
    MaskName.HEART: (HEART, None),
}
"""Segmented property type and side of the organs that have a mask."""

_S = AnatomicStructure
STRUCTURES: "Mapping[AnatomicStructure, Code]" = {
    _S.ABDOMEN: _sct("818981001", "Abdomen"),
    _S.AORTIC_ARCH: _sct("57034009", "Aortic arch"),
    _S.LEFT_APICAL_ZONE: own("APEX-L", "Left apical zone of lung"),
    _S.RIGHT_APICAL_ZONE: own("APEX-R", "Right apical zone of lung"),
    _S.CARDIAC_SILHOUETTE: HEART,
    _S.DESCENDING_AORTA: _sct("281130003", "Descending aorta"),
    _S.LEFT_HILAR_STRUCTURES: own("HILUM-L", "Left hilar structures"),
    _S.RIGHT_HILAR_STRUCTURES: own("HILUM-R", "Right hilar structures"),
    _S.LEFT_CLAVICLE: own("CLAVICLE-L", "Left clavicle"),
    _S.LEFT_HEMIDIAPHRAGM: own("HEMIDIAPH-L", "Left hemidiaphragm"),
    _S.LEFT_LOWER_LUNG_ZONE: own("LOWER-ZONE-L", "Left lower lung zone"),
    _S.LEFT_LUNG: _sct("44029006", "Left lung"),
    _S.LEFT_MID_LUNG_ZONE: own("MID-ZONE-L", "Left mid lung zone"),
    _S.LEFT_UPPER_LUNG_ZONE: own("UPPER-ZONE-L", "Left upper lung zone"),
    _S.MEDIASTINUM: _sct("72410000", "Mediastinum"),
    _S.RIGHT_ATRIUM: _sct("73829009", "Right atrium"),
    _S.RIGHT_CARDIAC_BORDER: own("CARD-BORDER-R", "Right cardiac border"),
    _S.RIGHT_CLAVICLE: own("CLAVICLE-R", "Right clavicle"),
    _S.RIGHT_HEMIDIAPHRAGM: own("HEMIDIAPH-R", "Right hemidiaphragm"),
    _S.RIGHT_LOWER_LUNG_ZONE: own("LOWER-ZONE-R", "Right lower lung zone"),
    _S.RIGHT_LUNG: _sct("3341006", "Right lung"),
    _S.RIGHT_MID_LUNG_ZONE: own("MID-ZONE-R", "Right mid lung zone"),
    _S.RIGHT_UPPER_LUNG_ZONE: own("UPPER-ZONE-R", "Right upper lung zone"),
    _S.CARINA: _sct("28700002", "Carina"),
    _S.LEFT_CARDIAC_BORDER: own("CARD-BORDER-L", "Left cardiac border"),
    _S.LEFT_UPPER_QUADRANT_OF_ABDOMEN: _sct("86367003", "Left upper quadrant of abdomen"),
    _S.RIGHT_UPPER_QUADRANT_OF_ABDOMEN: _sct("50519007", "Right upper quadrant of abdomen"),
    _S.UPPER_MEDIASTINUM: own("UPPER-MEDIAST", "Upper mediastinum"),
    _S.SUPERIOR_VENA_CAVA: _sct("48345005", "Superior vena cava"),
    _S.TRACHEA: _sct("44567001", "Trachea"),
    _S.SPINE: _sct("421060004", "Spine"),
    _S.CAVOATRIAL_JUNCTION: own("CAVOATRIAL", "Cavoatrial junction"),
    _S.LEFT_CARDIOPHRENIC_ANGLE: own("CARDIOPHREN-L", "Left cardiophrenic angle"),
    _S.LEFT_COSTOPHRENIC_ANGLE: own("COSTOPHREN-L", "Left costophrenic angle"),
    _S.RIGHT_CARDIOPHRENIC_ANGLE: own("CARDIOPHREN-R", "Right cardiophrenic angle"),
    _S.RIGHT_COSTOPHRENIC_ANGLE: own("COSTOPHREN-R", "Right costophrenic angle"),
}

MEASUREMENTS: "Mapping[str, Code]" = {
    # LOINC has area and circumference ratios only; ours is the ratio of widths.
    "cardiothoracic ratio": own("CTR", "Cardiothoracic ratio (of widths)"),
}
MEASUREMENT = own("MEASUREMENT", "Measurement")

UNITS: "Mapping[str, Code]" = {
    "mm": Code("mm", "UCUM", "mm"),
    "px": Code("{pixels}", "UCUM", "pixels"),
    "%": Code("%", "UCUM", "percent"),
}
RATIO_UNIT = Code("{ratio}", "UCUM", "ratio")

USE_WORDS: "Mapping[BundleUse, str]" = {
    BundleUse.DEMO: "demonstration only, not for clinical use",
    BundleUse.RESEARCH: "research only, not for clinical use",
    BundleUse.CLINICAL: "clinical use as declared by its supplier",
}


def measurement(name: str) -> Code:
    """Return the concept of a measured quantity."""
    return MEASUREMENTS.get(name.lower(), MEASUREMENT)


def unit(symbol: str) -> Code:
    """Return the UCUM unit of a measured quantity; everything without a unit is a ratio."""
    return UNITS.get(symbol, RATIO_UNIT)
