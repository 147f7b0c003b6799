"""How large a compressed frame says it is, before anybody decodes it.

A decoder makes room for the size in the stream, whatever the header says, so a small file could
ask for all memory. The size stands near the beginning of every stream of the JPEG family.
"""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOC_J2K = b"\xff\x4f\xff\x51"  # SOC then SIZ (ISO 15444-1 A.5.1)
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_SOI_JPEG = b"\xff\xd8"
_STANDALONE = {0x01, *range(0xD0, 0xDA)}
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF; 0xF7 is that of JPEG-LS
_START_OF_SCAN = 0xDA
_SIZ_BYTES = 24
_SOF_BYTES = 9


def size(frame: bytes) -> tuple[int, int] | None:
    """Return ``(rows, columns)`` of a JPEG, JPEG-LS or JPEG 2000 stream; None when it says none."""
    if frame.startswith(_JP2_SIGNATURE):
        # A JP2 file around the stream is not DICOM (PS3.5 A.4.4) but found in the field.
        frame = frame[max(frame.find(_SOC_J2K), 0) :]
    if frame.startswith(_SOC_J2K):
        return _j2k_size(frame)
    if frame.startswith(_SOI_JPEG):
        return next(_jpeg_sizes(frame), None)
    return None


def _j2k_size(frame: bytes) -> tuple[int, int] | None:
    if len(frame) < _SIZ_BYTES:
        return None
    width, height, left, top = struct.unpack(">4L", frame[8:_SIZ_BYTES])
    return height - top, width - left


def _jpeg_sizes(frame: bytes) -> "Iterator[tuple[int, int]]":
    at = 2
    while at + _SOF_BYTES <= len(frame) and frame[at] == 0xFF:  # noqa: PLR2004 - a marker's first byte
        marker = frame[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - a fill byte (ISO 10918-1 B.1.1.2)
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _FRAME_HEADERS:
            rows, columns = struct.unpack(">HH", frame[at + 5 : at + _SOF_BYTES])
            yield rows, columns
            return
        elif marker == _START_OF_SCAN:
            return
        else:
            at += 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
