"""Where a draft may go: the safety-of-use rule (design rule 8), as one pure function."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from models.vocabulary import BundleUse
from service.settings_security import is_loopback

if TYPE_CHECKING:
    from dicom.values import PacsNode, WebNode
    from service.settings import Settings
    from service.values import Destination

DEFAULT = "pacs"


class RouteKind(StrEnum):
    """What happens to encoded results."""

    LIVE = "LIVE"
    SHADOW = "SHADOW"


@dataclass(frozen=True, slots=True)
class Route:
    """Whether results are sent, to whom, and why not.

    ``overridden`` is True when only the explicit override lets a bundle that is not for clinical
    use reach this archive: that is audited every time.
    """

    kind: RouteKind
    archive: "Destination | None"
    reason: str = ""
    overridden: bool = False

    @property
    def to(self) -> "PacsNode | WebNode | None":
        """Where the archive is reached."""
        return None if self.archive is None else self.archive.to


def decide(use: BundleUse, settings: "Settings", name: str = DEFAULT) -> Route:
    """Decide whether results made by a bundle for ``use`` go to the destination of this name.

    A bundle for demonstration or research reaches loopback, or the one archive named in the
    override; any archive that is not loopback needs ``delivery = live``; everything else is
    shadow: all is done but delivery.
    """
    archive = next((one for one in settings.archives if one.name == name), None)
    if archive is None:
        missing = "no archive is configured (CARINA_PACS)"
        gone = f"the destination {name} is not configured any more"
        return Route(RouteKind.SHADOW, None, missing if name == DEFAULT else gone)
    to = archive.to
    near = is_loopback(to.host)
    restricted = use is not BundleUse.CLINICAL and not near
    objections = {
        "delivery is set to shadow (CARINA_DELIVERY)": settings.delivery == "shadow",
        f"{to} is not loopback and delivery is not set to live": (
            not near and settings.delivery != "live"
        ),
        f"a bundle for {use} use may not deliver to {to} without the override": (
            restricted and settings.demo_override != str(to)
        ),
    }
    for reason, applies in objections.items():
        if applies:
            return Route(RouteKind.SHADOW, archive, reason)
    return Route(RouteKind.LIVE, archive, overridden=restricted)


def banner(use: BundleUse) -> tuple[str, ...]:
    """Return the lines that every draft of a bundle not for clinical use carries at its top."""
    if use is BundleUse.CLINICAL:
        return ()
    noun = "demonstration" if use is BundleUse.DEMO else "research"
    return (f"Made by a network for {noun} only: NOT FOR CLINICAL USE.",)
