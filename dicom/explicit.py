"""Sequences of our own making as bytes, Explicit VR Little Endian (PS3.5 7.1.2 and 7.5).

pydicom's writer is made for data sets of any origin: it walks every nesting again for each level
around it, to settle value representations and character sets that are known here, and takes two
thirds of the time of a text SR. The trees we make ourselves are plain ASCII with settled value
representations. Whatever is not is left to pydicom, by the caller; the bytes are the same.
"""

import struct
from typing import TYPE_CHECKING, Final

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.multival import MultiValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydicom import DataElement

_TEXT: Final = frozenset(
    {*("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UR", "UT")}
)
_LONG: Final = frozenset({"SQ", "UC", "UR", "UT"})
"""Value representations with a length of four bytes, among those written here (PS3.5 7.1.2)."""
_NUMBERS: "Mapping[str, str]" = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_SHORT_MAX: Final = 0xFFFF
_CHARACTER_SET: Final = 0x00080005
_ITEM: Final = b"\xfe\xff\x00\xe0"


class _NotPlain(Exception):
    """Something is not as simple as what is written here."""


def settle(ds: Dataset) -> None:
    """Put every sequence that is plain in ``ds`` as bytes, so that pydicom writes it as it is.

    ``ds`` itself must be on the way into Explicit VR Little Endian. Reading one of the sequences
    afterwards decodes it again, as after reading a file.
    """
    plain = [raw for raw in map(_raw, list(ds.values())) if raw is not None]
    for raw in plain:
        del ds[raw.tag]
    correct_ambiguous_vr(ds, is_little_endian=True)
    for raw in plain:
        ds[raw.tag] = raw
    written_in = ds.get("SpecificCharacterSet")
    # With this, pydicom does not decode the bytes again before it writes them.
    ds.set_original_encoding(
        is_implicit_vr=False,
        is_little_endian=True,
        character_encoding=convert_encodings(written_in) if written_in else default_encoding,
    )


def _raw(element: "DataElement | RawDataElement") -> RawDataElement | None:
    if isinstance(element, RawDataElement) or element.VR != "SQ":
        return None
    try:
        value = _value("SQ", element)
    except (_NotPlain, struct.error):
        return None
    return RawDataElement(element.tag, "SQ", len(value), value, 0, False, True)  # noqa: FBT003


def _sequence(items: "Iterable[Dataset]") -> bytes:
    """Return the value of a sequence: its items with their lengths."""
    parts: list[bytes] = []
    for item in items:
        value = _data_set(item)
        parts += (_ITEM, struct.pack("<I", len(value)), value)
    return b"".join(parts)


def _data_set(item: Dataset) -> bytes:
    # What was read from a film may be in any encoding.
    if item.original_encoding != (None, None) or item.is_undefined_length_sequence_item:
        raise _NotPlain
    elements = sorted(item.values(), key=_tag)
    return b"".join(map(_element, elements))


def _tag(element: "DataElement | RawDataElement") -> int:
    return int(element.tag)


def _element(element: "DataElement | RawDataElement") -> bytes:
    if isinstance(element, RawDataElement) or element.tag == _CHARACTER_SET:
        raise _NotPlain
    vr, tag = str(element.VR), int(element.tag)
    value = _value(vr, element)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode("ascii"))
    if vr in _LONG:
        return head + struct.pack("<HI", 0, len(value)) + value
    if len(value) > _SHORT_MAX:
        raise _NotPlain
    return head + struct.pack("<H", len(value)) + value


def _value(vr: str, element: "DataElement") -> bytes:
    value = element.value
    if vr == "SQ":
        if element.is_undefined_length:
            raise _NotPlain
        return _sequence(value)
    if value is None:
        return b""
    values = value if isinstance(value, MultiValue | list) else [value]
    if vr in _NUMBERS:
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *values)
    if vr not in _TEXT and vr != "UI":
        raise _NotPlain
    text = "\\".join(map(_word, values))
    if not text.isascii():
        raise _NotPlain
    if len(text) % 2:
        text += "\0" if vr == "UI" else " "
    return text.encode("ascii")


def _word(value: object) -> str:
    """Return a value as pydicom writes it: numbers as they were given."""
    if isinstance(value, str):
        return value
    if isinstance(value, float | int):
        return str(getattr(value, "original_string", value))
    raise _NotPlain
