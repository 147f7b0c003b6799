"""Words of exam descriptions in English, German, French and Spanish: which part, which view.

Hospitals write descriptions by hand and in their own language, so these are rules of thumb. They
only ever turn a film away, with the reason shown; the image itself has the last word.
"""

import re
import unicodedata
from enum import Enum


class Part(Enum):
    """A part of the body a description can name."""

    CHEST = "chest"
    ABDOMEN = "abdomen"
    SPINE = "spine"
    SKULL = "head"
    NECK = "neck"
    PELVIS = "pelvis or hip"
    SHOULDER = "shoulder"
    RIBS = "ribs or sternum"
    ARM = "arm"
    HAND = "hand"
    LEG = "leg"
    FOOT = "foot"
    BREAST = "breast"
    EXTREMITY = "extremity"
    WHOLE_BODY = "whole body"


_PARTS: dict[Part, str] = {
    Part.SPINE: r"spine|spinal|[a-z]spine|vertebra\w*|lumbar|lumbosacral|sacrum|coccyx|scoliosis"
    r"|\w*wirbelsaule|\w*wirbelsaeule|hws|bws|lws|os sacrum|skoliose|rachis|lombaire|sacrum"
    r"|columna|scoliose|escoliosis|cervical(?! rib)",
    Part.CHEST: r"chest|cxr|thorax|thoracic(?! (spine|vertebra))|lungs?|pulmonary|lunge|lungen"
    r"|brustkorb|brust|torax|poitrine|poumons?|pulmonar|pulmon|pulmones|thx|rx tx|pleura\w*",
    Part.ABDOMEN: r"abdomen\w*|abdominal\w*|kub|asp|bauch|abdominale?|stomach|bowel|kidneys?|renal"
    r"|colon|oesophagus|esophagus",
    Part.SKULL: r"skull|head(?! up)|facial|sinus(es)?|mandib\w*|orbits?|schadel|schaedel|kopf|nnh"
    r"|gesicht|crane|tete|maxil\w*|craneo|cabeza|nasal|dental|zahn\w*|opg|jaw|teeth",
    Part.NECK: r"neck|soft tissue neck|hals|cuello|airway",
    Part.PELVIS: r"pelvis|pelvic|hips?|becken\w*|hufte\w*|huefte\w*|huft\w*|bassin|hanches?"
    r"|caderas?|sacroiliac\w*",
    Part.SHOULDER: r"shoulders?|clavicles?|clavicula|scapula\w*|schulter\w*|schlusselbein"
    r"|schluesselbein|epaules?|hombros?|acromioclav\w*|omoplate",
    Part.RIBS: r"ribs?|sternum|rippen\w*|cotes|costillas?|gril costal|hemithorax rippen",
    Part.ARM: r"arms?|humerus|forearms?|elbows?|radius|ulna|oberarm|unterarm|ellbogen|ellenbogen"
    r"|coudes?|avant bras|bras|humero|codos?|antebrazos?|brazos?|upper extremity",
    Part.HAND: r"hands?|wrists?|fingers?|thumbs?|hand|handgelenk\w*|daumen|poignets?|doigts?"
    r"|main (droite|gauche)|manos?|munecas?|dedos?|scaphoid|metacarp\w*",
    Part.LEG: r"legs?|femur|tibia|fibula|knees?|thighs?|patella|knie\w*|oberschenkel|unterschenkel"
    r"|beine?|genoux?|jambes?|cuisses?|rodillas?|piernas?|muslos?|lower extremity",
    Part.FOOT: r"foot|feet|ankles?|toes?|heel|calcaneus|fuss\w*|zehen?|sprunggelenk\w*|ferse"
    r"|pieds?|chevilles?|orteils?|pies|pie (derecho|izquierdo)|tobillos?|metatars\w*",
    Part.BREAST: r"mammo\w*|breasts?|mamma|mamas?|seins",
    Part.EXTREMITY: r"extremit\w*|limbs?|extremidad\w*|extremitat\w*|membre (inf|sup)\w*",
    Part.WHOLE_BODY: r"babygram\w*|whole ?body|ganzkorper|corps entier|cuerpo entero|full ?body",
}

_COMPILED_PARTS = {part: re.compile(rf"\b(?:{words})\b") for part, words in _PARTS.items()}

_FRONTAL = re.compile(
    r"\b(?:pa|ap|p a|a p|frontal\w*|postero ?anterior|antero ?posterior|face|de frente)\b"
)
_LATERAL = re.compile(
    r"\b(?:lat|lateral(?! decub)|laterale|laterales|seitlich\w*|seitenaufnahme"
    r"|profil|perfil)\b"
)
_OTHER_VIEW = re.compile(
    r"\b(?:oblique\w*|obl|schrag\w*|schraeg\w*|oblicua\w*|lordotic|lordotica|apical lordotic"
    r"|lateral decub\w*|decub\w* (?:lateral|left|right|gauche|droit)|swimmer\w*"
    r"|tangential\w*|inlet|outlet)\b"
)


class View(Enum):
    """A view a description can name."""

    FRONTAL = "frontal"
    LATERAL = "lateral"
    OTHER = "oblique, lordotic or decubitus"


def plain(text: str) -> str:
    """Return text in lower case without accents, every other sign a single space."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(sign for sign in folded if not unicodedata.combining(sign))
    return re.sub(r"[\W_]+", " ", letters).strip()


def parts(text: str) -> frozenset[Part]:
    """Return every part of the body that a text names."""
    words = plain(text)
    return frozenset(part for part, pattern in _COMPILED_PARTS.items() if pattern.search(words))


def views(text: str) -> frozenset[View]:
    """Return every view that a text names."""
    words = plain(text)
    patterns = {View.FRONTAL: _FRONTAL, View.LATERAL: _LATERAL, View.OTHER: _OTHER_VIEW}
    return frozenset(view for view, pattern in patterns.items() if pattern.search(words))


_PROCESSED = re.compile(
    r"\b(?:bone ?supp\w*|bone ?removed|rib ?supp\w*|soft ?tissue|bone ?image|dual ?energy"
    r"|subtract\w*|edge|enhanc\w*|inver\w*|clear ?read|cad|tube|line ?enh\w*|catheter|equali[sz]\w*"
    r"|sharp\w*|knochenunterdruck\w*|weichteil\w*|rehauss\w*|realzad\w*)\b"
)


def is_specially_processed(text: str) -> bool:
    """Return whether a text names a copy made for a special purpose."""
    return _PROCESSED.search(plain(text)) is not None
