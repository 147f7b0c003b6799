"""What a second instance under a known SOP Instance UID is (design rule 5).

Identical, the same pixels in another encoding, a corrected header over the same pixels, or other
pixels: then no draft is made, and a person must look.
"""

from typing import TYPE_CHECKING

import numpy as np
from pydicom.datadict import keyword_for_tag
from pydicom.sequence import Sequence

from dicom import header, pixels, quiet, spool
from dicom.errors import UnsupportedPixelData
from dicom.values import Resend

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

_ENCODING_KEYWORDS = frozenset(
    {
        "InstanceCreationDate",
        "InstanceCreationTime",
        "InstanceCreatorUID",
        "DerivationDescription",
        "DerivationCodeSequence",
        "LossyImageCompression",
        "LossyImageCompressionRatio",
        "LossyImageCompressionMethod",
        "PlanarConfiguration",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "DataSetTrailingPadding",
        "ContributingEquipmentSequence",
    }
)
"""What an archive that compresses an image may touch without saying anything new about it."""

_PIXELS_GROUP = 0x7FE0
_GROUP_LENGTH = 0x0000


def classify(old: "Path", new: "Path") -> Resend:
    """Return how a new file relates to the one already kept under its SOP Instance UID.

    Pixels that cannot be decoded are compared as they lie in the file.

    Raises
    ------
    UndecodableInstance
        If either file is not a data set.
    """
    if spool.digest(old) == spool.digest(new):
        return Resend.IDENTICAL
    if _pixels_differ(old, new):
        return Resend.PIXELS_DIFFER
    return Resend.CORRECTED if header_changes(old, new) else Resend.REENCODED


def header_changes(old: "Path", new: "Path") -> tuple[str, ...]:
    """Return the names of changed attributes, sorted, never their values.

    Attributes that only tell how the data set is encoded do not count, nor do group lengths and
    the pixels. A private attribute is named by its tag, ``(0009,1001)``.

    Raises
    ------
    UndecodableInstance
        If either file is not a data set.
    """
    before, after = _elements(old), _elements(new)
    changed = {
        _name(tag) for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag)
    }
    return tuple(sorted(changed - _ENCODING_KEYWORDS))


def _pixels_differ(old: "Path", new: "Path") -> bool:
    try:
        return not np.array_equal(pixels.stored_values(old), pixels.stored_values(new))
    except UnsupportedPixelData:
        return _pixel_bytes(old) != _pixel_bytes(new)


def _pixel_bytes(path: "Path") -> bytes:
    data = _read(path).get("PixelData")
    return data if isinstance(data, bytes) else b""


def _elements(path: "Path") -> "dict[BaseTag, object]":
    ds = _read(path)
    with quiet.reading(), header.garbage_refused():
        return _comparable_elements(ds)


def _read(path: "Path") -> "Dataset":
    return pixels.read_data_set(path, header.read(path).transfer_syntax_uid)


def _comparable_elements(ds: "Dataset") -> "dict[BaseTag, object]":
    """Return the comparable value of every attribute by tag."""
    return {
        element.tag: _comparable(element.value)
        for element in ds
        if element.tag.group < _PIXELS_GROUP and element.tag.element != _GROUP_LENGTH
    }


def _comparable(value: object) -> object:
    """Return a value without what the encoding adds: padding, empty or absent, number formats."""
    if isinstance(value, Sequence):
        return [sorted(_comparable_elements(item).items()) for item in value] or None
    if isinstance(value, bytes):
        # Private text is UN in implicit VR and a string in explicit VR.
        value = value.decode("latin-1")
    return (str(value).strip("\0 ") or None) if value is not None else None


def _name(tag: "BaseTag") -> str:
    return keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})"
