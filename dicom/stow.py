"""DICOMweb as a way to an archive: STOW-RS to send, QIDO-RS to prove (PS3.18 10.5 and 10.6).

One request for each object, masks first and the text SR last, so that no SR points at nothing and
every object has an answer of its own. What is sent is byte for byte what was kept.
"""

import uuid
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset

from dicom.associate import DEFAULT_TIMEOUTS, Timeouts
from dicom.errors import AssociationFailed, KeptResultDamaged, QueryNotOffered
from dicom.send import check_kept, in_sending_order
from dicom.status import SOP_CLASS_NOT_SUPPORTED, StoreStatus, is_stored
from dicom.values import StoreOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dicom.values import InstanceRef, KeptResult, WebNode

JSON: Final = "application/dicom+json"
PART: Final = b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--%s--\r\n"
REDIRECTED: Final = 3  # the hundreds of the code
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
SERVER_ERROR: Final = 500
CONFLICT: Final = 409  # PS3.18 table 10.5.3-1: none stored; the body says why
UNSUPPORTED_MEDIA_TYPE: Final = 415
BY_ITSELF: Final = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals that end without us changing anything: credentials, a service not there yet, load."""

SOP_INSTANCE_UID: Final = "00080018"


def store(
    results: "Sequence[KeptResult]",
    to: "WebNode",
    announce: "Callable[[], None]",
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> tuple[StoreOutcome, ...]:
    """Send the results of one study; one outcome per object, as in :func:`dicom.send.store`.

    A failure reason of the archive stands as status, *SOP class not supported* as not taken.
    ``announce`` is called once the archive answers at all, before the first object leaves.

    Raises
    ------
    AssociationFailed
        If the archive does not answer, or with a status that may pass; ``outcomes`` holds the
        answers up to then.
    KeptResultDamaged
        If a file is not the bytes that were kept; nothing has been sent then.
    """
    ordered = in_sending_order(results)
    for result in ordered:
        check_kept(result)
    outcomes: list[StoreOutcome] = []
    with session_to(to) as session:
        _knock(session, to, timeouts)
        announce()
        for result in ordered:
            try:
                outcome = _store_one(session, to, result, timeouts)
            except AssociationFailed as error:
                lost = StoreOutcome(result.ref.sop_instance_uid, None, None)
                raise AssociationFailed(f"{to}: {error}", (*outcomes, lost)) from error
            outcomes.append(outcome)
            if outcome.taken and not is_stored(outcome.status):
                break
    return tuple(outcomes)


def present(
    refs: "Iterable[InstanceRef]", node: "WebNode", timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> frozenset[str]:
    """Return the SOP Instance UIDs, out of ``refs``, that the archive says it has.

    Raises
    ------
    AssociationFailed
        If it does not answer.
    QueryNotOffered
        If it answers a query with a failure.
    """
    wanted: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for ref in refs:
        wanted[ref.study_instance_uid, ref.series_instance_uid].add(ref.sop_instance_uid)
    found: set[str] = set()
    with session_to(node) as session:
        client = DICOMwebClient(node.url, session, timeout=patience(timeouts))
        client.set_http_retry_params(retry=False)  # what failed is tried again by its row
        for (study, series), instances in wanted.items():
            found |= _instances_of(client, study, series) & instances
    return frozenset(found)


def ask(node: "WebNode", timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Ask for one study by QIDO-RS, as C-ECHO asks a node whether it is there.

    Raises
    ------
    AssociationFailed
        If it does not answer, or not well.
    """
    with session_to(node) as session:
        code = _knock(session, node, timeouts)
    if code >= BAD_REQUEST and code != NOT_FOUND:
        raise AssociationFailed(f"{node}: the archive answered {code} to a query")


def _store_one(
    session: requests.Session, to: "WebNode", result: "KeptResult", timeouts: Timeouts
) -> StoreOutcome:
    """Post one file as it lies on disk (PS3.18 10.5.1)."""
    uid, boundary = result.ref.sop_instance_uid, uuid.uuid4().hex
    try:
        content = result.path.read_bytes()
    except OSError as error:
        raise KeptResultDamaged(f"{result.kind} {result.number}: {type(error).__name__}") from error
    body = PART % (boundary.encode(), content, boundary.encode())
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    try:
        answer = session.post(
            f"{to}/studies", data=body, headers={"Content-Type": kind}, timeout=patience(timeouts)
        )
    except requests.RequestException as error:
        raise AssociationFailed(f"no answer ({type(error).__name__})") from error
    if answer.ok:
        return _outcome(uid, _body(answer))
    return _refused(uid, answer)


def _refused(uid: str, answer: requests.Response) -> StoreOutcome:
    code = answer.status_code
    if may_pass(code):
        raise AssociationFailed(f"the archive answered {code}")
    if code == UNSUPPORTED_MEDIA_TYPE:
        return StoreOutcome(uid, None, f"HTTP {code}", taken=False)
    told = _body(answer) if code == CONFLICT else Dataset()
    if told.get("FailedSOPSequence"):
        return _outcome(uid, told)
    return StoreOutcome(uid, StoreStatus.CANNOT_UNDERSTAND.value, f"HTTP {code}")


def may_pass(code: int) -> bool:
    """Return whether an HTTP status may end without us changing anything."""
    return code in BY_ITSELF or code >= SERVER_ERROR or code // 100 == REDIRECTED


def _outcome(uid: str, answer: Dataset) -> StoreOutcome:
    for failed in answer.get("FailedSOPSequence") or ():
        if str(failed.get("ReferencedSOPInstanceUID", uid)) == uid:
            reason = int(failed.get("FailureReason", None) or StoreStatus.CANNOT_UNDERSTAND)
            if reason == SOP_CLASS_NOT_SUPPORTED:
                return StoreOutcome(uid, None, "SOP class not supported", taken=False)
            return StoreOutcome(uid, reason, None)
    return StoreOutcome(uid, StoreStatus.SUCCESS.value, None)


def _body(response: requests.Response) -> Dataset:
    try:
        content = response.json()
        return Dataset.from_json(content[0] if isinstance(content, list) else content)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return Dataset()


def _instances_of(client: DICOMwebClient, study: str, series: str) -> set[str]:
    try:
        found = client.search_for_instances(study, series, fields=["SOPInstanceUID"])
    except requests.HTTPError as error:
        code = 0 if error.response is None else error.response.status_code
        if code == NOT_FOUND:  # said by some for a study they do not have
            return set()
        if may_pass(code):
            raise AssociationFailed(f"the archive answered {code}") from error
        raise QueryNotOffered(f"query failed with HTTP {code}") from error
    except requests.JSONDecodeError as error:
        raise QueryNotOffered("the answer to the query is not JSON") from error
    except requests.RequestException as error:
        raise AssociationFailed(f"no answer ({type(error).__name__})") from error
    return {str(value) for one in found for value in _values(one)}


def _values(found: "Mapping[str, Any]") -> "Sequence[Any]":
    values: Sequence[Any] = found.get(SOP_INSTANCE_UID, {}).get("Value", ())
    return values


def _knock(session: requests.Session, to: "WebNode", timeouts: Timeouts) -> int:
    """See that something answers, and with what: until then nothing can have been sent."""
    try:
        answer = session.get(f"{to}/studies", params={"limit": "1"}, timeout=patience(timeouts))
    except requests.RequestException as error:
        raise AssociationFailed(f"{to}: no connection ({type(error).__name__})") from error
    if may_pass(answer.status_code):
        raise AssociationFailed(f"{to}: the archive answered {answer.status_code}")
    return answer.status_code


def patience(timeouts: Timeouts) -> tuple[float, float]:
    """Return how long to wait for a connection and for an answer, in seconds."""
    return timeouts.connect_s, timeouts.dimse_s


def session_to(node: "WebNode") -> requests.Session:
    """Return a session that shows the node's token and follows no redirection."""
    session = requests.Session()
    session.max_redirects = 0  # results go where the site said, and nowhere that is named later
    session.auth = _Bearer(node.token_file)
    session.headers["Accept"] = JSON
    return session


class _Bearer(requests.auth.AuthBase):
    """Puts the token on each request; without one, nothing: not even what a .netrc would say."""

    def __init__(self, token_file: str) -> None:
        self._token_file = token_file

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token_file:
            try:
                token = Path(self._token_file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise AssociationFailed("the token file cannot be read") from error
            request.headers["Authorization"] = f"Bearer {token}"
        return request
