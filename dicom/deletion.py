"""Delete objects of ours from an archive, one instance at a time and never anything larger.

Two interfaces: a DELETE on the instance's DICOMweb resource, which PS3.18 leaves to archives and
several offer, and Orthanc's own REST interface. Deleting what is not there is no failure, so
deleting twice is deleting once.
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import requests

from dicom.associate import DEFAULT_TIMEOUTS, Timeouts
from dicom.errors import AssociationFailed, DeletionRefused
from dicom.stow import may_pass, patience, session_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dicom.values import InstanceRef, WebNode

NOT_FOUND: Final = 404


def through_dicomweb(
    refs: "Iterable[InstanceRef]", node: "WebNode", timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> None:
    """Delete each instance by its DICOMweb resource.

    Raises
    ------
    AssociationFailed
        If the archive does not answer, or with a status that may pass.
    DeletionRefused
        If it does not delete: not offered, or not allowed.
    """
    with session_to(node) as session:
        for ref in refs:
            path = (
                f"studies/{quote(ref.study_instance_uid)}/series/{quote(ref.series_instance_uid)}"
                f"/instances/{quote(ref.sop_instance_uid)}"
            )
            _ask(session, "DELETE", f"{node}/{path}", timeouts)


def through_orthanc(
    refs: "Iterable[InstanceRef]", node: "WebNode", timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> None:
    """Delete each instance that Orthanc finds under its SOP Instance UID.

    Raises
    ------
    AssociationFailed
        If Orthanc does not answer, or with a status that may pass.
    DeletionRefused
        If it does not delete, or is no Orthanc.
    """
    with session_to(node) as session:
        for ref in refs:
            for found in _looked_up(session, node, ref, timeouts):
                _ask(session, "DELETE", f"{node}/instances/{quote(found)}", timeouts)


def _looked_up(
    session: requests.Session, node: "WebNode", ref: "InstanceRef", timeouts: Timeouts
) -> list[str]:
    """Return Orthanc's names of an instance; a UID may be there twice, under two patients."""
    answer = _ask(session, "POST", f"{node}/tools/lookup", timeouts, ref.sop_instance_uid)
    if answer is None:
        raise DeletionRefused(f"{node}: no Orthanc answers there")
    try:
        found: list[Mapping[str, str]] = answer.json()
        return [str(one["ID"]) for one in found if one["Type"] == "Instance"]
    except (ValueError, KeyError, TypeError) as error:
        raise DeletionRefused(f"{node}: the answer is not Orthanc's") from error


def _ask(
    session: requests.Session, method: str, url: str, timeouts: Timeouts, content: str = ""
) -> requests.Response | None:
    """Return the answer; None when there is no such thing."""
    try:
        answer = session.request(method, url, data=content or None, timeout=patience(timeouts))
    except requests.RequestException as error:
        raise AssociationFailed(f"no answer ({type(error).__name__})") from error
    if answer.status_code == NOT_FOUND:
        return None
    if answer.ok:
        return answer
    if may_pass(answer.status_code):
        raise AssociationFailed(f"the archive answered {answer.status_code}")
    raise DeletionRefused(f"the archive answered {answer.status_code} to {method}")
