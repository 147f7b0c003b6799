"""What the archive takes, asked before results are encoded, and remembered while it is down."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from dicom import profile, send
from dicom.errors import AssociationFailed
from dicom.profile import DestinationProfile, SrFlavour
from workers.files import write_whole

if TYPE_CHECKING:
    from dicom.associate import Offer, Requestor
    from dicom.values import PacsNode

log = structlog.get_logger(__name__)

FRESH_FOR: Final = timedelta(minutes=5)
FILE_NAME: Final = "destinations.json"
AUTO: Final = "auto"


def offers() -> "tuple[Offer, ...]":
    """Return every ``(SOP class, transfer syntax)`` that a result object may come in."""
    syntax_of = {profile.SECONDARY_CAPTURE: str(JPEG2000Lossless)}
    return tuple(
        (uid, syntax_of.get(uid, str(ExplicitVRLittleEndian))) for uid in profile.RESULT_SOP_CLASSES
    )


@dataclass
class ProfileBook:
    """The profiles of archives, asked again when they are older than five minutes.

    An archive that does not answer keeps what it took last time, which is also written to a file
    and so outlives this process; one that was never heard of is taken to accept everything, and
    what it then does not take is left out when it is sent.
    """

    folder: Path
    _asked: dict[str, datetime] = field(default_factory=dict)
    _known: dict[str, frozenset[str]] = field(default_factory=dict)

    def of(
        self, to: "PacsNode | None", flavour: str, requestor: "Requestor", now: datetime
    ) -> DestinationProfile:
        """Return what ``to`` takes; ``flavour`` is the site's fixed box SR, or ``auto``."""
        taken = None if to is None else self._taken(to, requestor, now)
        found = DestinationProfile() if taken is None else profile.from_accepted(taken)
        return found if flavour == AUTO else found.limited_to(SrFlavour(flavour))

    def _taken(
        self, to: "PacsNode", requestor: "Requestor", now: datetime
    ) -> frozenset[str] | None:
        name = str(to)
        asked = self._asked.get(name)
        if asked is not None and now - asked < FRESH_FOR:
            return self._known.get(name)
        self._asked[name] = now
        try:
            accepted = send.accepted_offers(to, offers(), requestor)
        except AssociationFailed:
            log.info("destination_not_asked", destination=name)
            return self._known.setdefault(name, taken) if (taken := self._last(name)) else None
        self._known[name] = frozenset(sop_class for sop_class, _ in accepted)
        self._remember(name)
        return self._known[name]

    def _last(self, name: str) -> frozenset[str] | None:
        if name in self._known:
            return self._known[name]
        found = self._file().get(name)
        return None if found is None else frozenset(found)

    def _remember(self, name: str) -> None:
        content = self._file() | {name: sorted(self._known[name])}
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=1, sort_keys=True)
        write_whole(self.folder / FILE_NAME, text.encode("utf-8"))

    def _file(self) -> dict[str, list[str]]:
        try:
            content = json.loads((self.folder / FILE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return dict(content) if isinstance(content, dict) else {}
