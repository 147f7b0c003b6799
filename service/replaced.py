"""What may become of objects that were replaced or withdrawn: words, and options of a site."""

from enum import StrEnum

from dicom.values import PacsNode, WebNode


class Replaced(StrEnum):
    """What an archive does with objects that were replaced or withdrawn."""

    LEAVE = "leave"  # nothing: the newer text says what it replaces
    REJECT = "reject"  # it is sent a rejection note (IHE RAD-66) and hides them
    DELETE = "delete"  # they are deleted through its interface


class RetirementState(StrEnum):
    """What has become of the objects of one job at one archive."""

    OPEN = "OPEN"  # to be rejected or deleted
    LEFT = "LEFT"
    REJECTED = "REJECTED"
    DELETED = "DELETED"
    FAILED = "FAILED"  # the archive does not do it: a person must


def take_options(
    said: dict[str, str], name: str, to: PacsNode | WebNode
) -> tuple[Replaced, WebNode | None]:
    """Take ``replaced``, ``orthanc`` and ``orthanc_token_file`` out of a destination's options.

    Raises
    ------
    ValueError
        If they contradict each other, or name what is not known.
    """
    replaced = Replaced(said.pop("replaced", Replaced.LEAVE))
    url, token_file = said.pop("orthanc", ""), said.pop("orthanc_token_file", "")
    if url and not url.startswith(("http://", "https://")):
        raise ValueError(f"{name}: orthanc={url} is not a URL")
    if url and replaced is not Replaced.DELETE:
        raise ValueError(f"{name}: orthanc= is for replaced=delete")
    if replaced is Replaced.DELETE and not url and isinstance(to, PacsNode):
        raise ValueError(f"{name}: replaced=delete needs orthanc=URL: DIMSE deletes nothing")
    return replaced, WebNode(url.rstrip("/"), token_file) if url else None
