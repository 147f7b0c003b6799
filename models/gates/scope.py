"""The scope gate, image part: whether the picture itself looks like what may be read."""

from typing import TYPE_CHECKING

from models.values import OutOfScope
from models.vocabulary import ScopeReason

if TYPE_CHECKING:
    from models.values import ChestImage, ModelIdentity, Sight

IN_SCOPE_FROM = 0.5

WORDS = {
    ScopeReason.NOT_A_CHEST: "another body part, or no radiograph of a chest, is shown",
    ScopeReason.NOT_FRONTAL: "it looks like a lateral or oblique view",
    ScopeReason.NOT_AN_IMAGE: "no anatomy can be made out",
    ScopeReason.INCOMPLETE: "too little of the chest is on the film",
}
_UNKNOWN = "the reason is not clear"


def refuse(image: "ChestImage", sight: "Sight", eye: "ModelIdentity") -> OutOfScope | None:
    """Turn a film away in words for a technologist; None when it may be read."""
    opinion = sight.scope
    if opinion.in_scope >= IN_SCOPE_FROM:
        return None
    why = WORDS[opinion.reason] if opinion.reason is not None else _UNKNOWN
    return OutOfScope(
        image.image_id,
        opinion.reason or ScopeReason.NOT_A_CHEST,
        f"The picture does not look like a frontal chest radiograph: {why}.",
        opinion.in_scope,
        (eye,),
        sight,
    )
