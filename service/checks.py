"""Is it there? One question for each thing the service depends on; each answers within seconds."""

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kombu import Connection
from kombu.exceptions import KombuError

from dicom.associate import Timeouts
from dicom.errors import AssociationFailed, CertificateUnusable
from dicom.send import echo
from dicom.values import WebNode
from service import housekeeping, secure

if TYPE_CHECKING:
    from service.settings import Settings
    from service.values import Destination

MEGABYTE = 1_000_000
PATIENCE_S = 2.0
TIMEOUTS = Timeouts(PATIENCE_S, PATIENCE_S, PATIENCE_S, PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Check:
    """One answer; ``words`` say what is wrong, or what there is."""

    name: str
    is_well: bool
    words: str


def broker(settings: "Settings") -> Check:
    """Ask the broker for a connection."""
    url = settings.broker_url.get_secret_value()
    if not url:
        return Check("broker", is_well=False, words="CARINA_BROKER_URL is not set")
    link = Connection(url, connect_timeout=PATIENCE_S, transport_options=_IMPATIENT)
    faults: tuple[type[BaseException], ...] = (OSError, KombuError, *link.connection_errors)
    try:
        link.connect()
    except faults as error:
        return Check("broker", is_well=False, words=f"does not answer ({type(error).__name__})")
    finally:
        link.release()
    return Check("broker", is_well=True, words=url.partition(":")[0])


def pacs(settings: "Settings") -> Check:
    """Ask every destination: by C-ECHO (PS3.4 annex A), or by QIDO-RS where it is DICOMweb."""
    if not settings.archives:
        words = "CARINA_PACS is not set: drafts are kept, not sent"
        return Check("pacs", is_well=True, words=words)
    faults = {one.name: _fault_of(one, settings) for one in settings.archives}
    dead = [f"{name}: {fault}" for name, fault in faults.items() if fault]
    words = ", ".join(dead or [str(one.to) for one in settings.archives])
    return Check("pacs", is_well=not dead, words=words)


def _fault_of(archive: "Destination", settings: "Settings") -> str:
    try:
        if isinstance(archive.to, WebNode):
            from dicom import stow  # noqa: PLC0415  (requests is loaded where DICOMweb is used)

            stow.ask(archive.to, TIMEOUTS)
        else:
            echo(archive.to, secure.requestor(settings, timeouts=TIMEOUTS))
    except (AssociationFailed, CertificateUnusable) as error:
        return str(error)
    return ""


def variables(strangers: "tuple[str, ...]") -> Check:
    """Tell of variables that look like settings and are none: nobody heeds them."""
    words = "; ".join(strangers) or "every CARINA_ variable is a setting"
    return Check("variables", is_well=not strangers, words=words)


def disk(settings: "Settings") -> Check:
    """Look how much room the spool has; below the reserve every film is refused (0xA700)."""
    try:
        free = shutil.disk_usage(settings.home).free // MEGABYTE
    except OSError as error:
        return Check("disk", is_well=False, words=f"{settings.home}: {error.strerror}")
    enough = free >= settings.resume_mb
    return Check("disk", is_well=enough, words=f"{free} MB free, {settings.disk_reserve_mb} kept")


def short_way(settings: "Settings") -> Check:
    """Tell which way a data set takes into the spool, and why not the one that was asked for."""
    if not settings.listener_fast_path:
        return Check("fast path", is_well=True, words="off")
    # The listener is heavy, and most who ask for the state do not ask for this.
    from dicom import fast_path  # noqa: PLC0415

    obstacle = fast_path.obstacle()
    words = "on" if obstacle is None else f"asked for, not taken: {obstacle}"
    return Check("fast path", is_well=obstacle is None, words=words)


def kept(settings: "Settings") -> Check:
    """Tell what the last pass of housekeeping let go, and what it kept although it is old."""
    done = housekeeping.read(settings.home)
    if done is None:
        return Check("kept", is_well=True, words="nothing was looked through yet")
    if done.fault:
        return Check("kept", is_well=False, words=f"letting go of old studies: {done.fault}")
    freed = done.size_bytes // MEGABYTE
    words = f"{done.studies} old studies went ({freed} MB), {done.leftovers} leftovers"
    stay = "".join(f"; {count} stay: {why}" for why, count in sorted(done.kept.items()))
    return Check("kept", is_well=True, words=words + stay)


_IMPATIENT = {"socket_connect_timeout": PATIENCE_S, "socket_timeout": PATIENCE_S, "max_retries": 0}
