"""Read the pixels of a film on its stored grid: brightness 0..1, bright = dense, never cropped."""

import math
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder

from dicom import apart, codestream, contexts, header, levels, quiet, spool
from dicom.errors import PixelDataMismatch, UnsupportedPixelData
from dicom.header import GARBAGE
from models.geometry import PIXELS_MAX
from models.values import ChestImage
from models.vocabulary import SpacingSource, ViewPosition

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from dicom.header import InstanceHeader

_SIDE_MAX = 16384
_FILE_BYTES_MAX = 1 << 30
_INFLATED_PIECE = 16 << 20
_INFLATED_BYTES_MAX = 512 << 20
_BYTES_BY_BITS = {8: 1, 16: 2}
_SPACING_RANGE_MM = (0.01, 5.0)
_DEFLATED = "1.2.840.10008.1.2.1.99"
_RLE = "1.2.840.10008.1.2.5"
_JPEG_FAMILY_SLACK = 2
_SLACK_BYTES = 1 << 16

_PLUGINS = {
    _RLE: "pydicom",  # the plugin in Rust panics on damaged streams, past every handler
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "pillow",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg",
}
"""One decoder per syntax, so that a film decodes the same everywhere."""

_DECODED_APART = {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}  # lossless JPEG


@dataclass(frozen=True, slots=True)
class ReadFilm:
    """A film and what was odd about its levels, in words for the draft."""

    image: ChestImage
    remarks: tuple[str, ...]


def read(path: "Path") -> ChestImage:
    """Return the film in a Part 10 file; see :func:`read_with_remarks`."""
    return read_with_remarks(path).image


def read_with_remarks(path: "Path") -> ReadFilm:
    """Return the film in a Part 10 file, on its stored grid.

    Padding (PS3.3 C.7.5.1.1.2) and what lies behind a rectangular shutter (C.7.6.11) is black.

    Raises
    ------
    UndecodableInstance
        If the file is not a data set.
    UnsupportedPixelData
        If the pixels cannot, or must not, be read; :class:`PixelDataMismatch` if they are not what
        the header says.
    """
    instance = header.read(path)
    ds = read_data_set(path, instance.transfer_syntax_uid)
    try:
        with quiet.reading():
            stored, void = _stored(ds, instance.transfer_syntax_uid)
            levelled = levels.level(stored, void, ds)
            spacing, source = _spacing(ds)
    except UnsupportedPixelData:
        raise
    except (*GARBAGE, OSError) as error:  # Pillow raises OSError for a broken stream
        raise UnsupportedPixelData(f"pixels cannot be decoded: {type(error).__name__}") from None
    image = ChestImage(
        image_id=instance.ref.sop_instance_uid,
        pixels=levelled.pixels,
        view_position=_view(instance),
        patient_orientation=instance.film.patient_orientation,
        pixel_spacing_mm=spacing,
        spacing_source=source,
    )
    return ReadFilm(image, levelled.remarks)


def stored_values(path: "Path") -> "NDArray[np.int32]":
    """Return the stored values of a film, decoded but otherwise untouched.

    Raises
    ------
    UndecodableInstance, UnsupportedPixelData
        As :func:`read_with_remarks`.
    """
    transfer_syntax_uid = header.read(path).transfer_syntax_uid
    ds = read_data_set(path, transfer_syntax_uid)
    try:
        with quiet.reading():
            return _stored(ds, transfer_syntax_uid)[0]
    except UnsupportedPixelData:
        raise
    except (*GARBAGE, OSError) as error:
        raise UnsupportedPixelData(f"pixels cannot be decoded: {type(error).__name__}") from None


def read_data_set(path: "Path", transfer_syntax_uid: str) -> "Dataset":
    """Return the whole data set of a Part 10 file, inflated no further than a film can be.

    Raises
    ------
    UndecodableInstance
        If the file is not a data set.
    UnsupportedPixelData
        If it is larger than a film can be.
    """
    if path.stat().st_size > _FILE_BYTES_MAX:
        raise UnsupportedPixelData("a file too large for a film")
    with quiet.reading(), header.garbage_refused():
        return _inflated(path) if transfer_syntax_uid == _DEFLATED else dcmread(path)


def _inflated(path: "Path") -> "Dataset":
    with path.open("rb") as file:
        file.seek(spool.data_set_start(file.read(256)) or 0)
        deflated = file.read()
    engine, parts, size = zlib.decompressobj(-zlib.MAX_WBITS), [], 0
    while deflated:  # piece by piece: one growing buffer would take twice the room
        parts.append(engine.decompress(deflated, _INFLATED_PIECE))
        deflated, size = engine.unconsumed_tail, size + len(parts[-1])
        if size > _INFLATED_BYTES_MAX:
            raise UnsupportedPixelData("a deflated data set too large for a film")
    content = BytesIO(b"".join([*parts, engine.flush()]))
    return read_dataset(content, is_implicit_VR=False, is_little_endian=True)


def _stored(
    ds: "Dataset", transfer_syntax_uid: str
) -> "tuple[NDArray[np.int32], NDArray[np.bool_]]":
    """Return the stored values and where there is no film."""
    _check_description(ds)
    _check_pixel_data(ds, transfer_syntax_uid)
    raw = _decoded(ds, transfer_syntax_uid)
    if raw.shape != (ds.Rows, ds.Columns):
        raise PixelDataMismatch("decoded pixels are not of the size in the header")
    native = transfer_syntax_uid in contexts.UNCOMPRESSED or transfer_syntax_uid == _RLE
    stored = _bits(raw, ds) if native else raw.astype(np.int32)
    return stored, _padding(raw, ds) | _shutter(ds)


def _decoded(ds: "Dataset", transfer_syntax_uid: str) -> "NDArray[Any]":
    if transfer_syntax_uid in _DECODED_APART:
        return apart.decode(ds, transfer_syntax_uid)
    # Correcting unused bits takes High Bit for granted, and loses padding values.
    options: dict[str, Any] = {"correct_unused_bits": False}
    plugin = _PLUGINS.get(transfer_syntax_uid, "")
    decoder = get_decoder(transfer_syntax_uid)
    return decoder.as_array(ds, index=0, raw=True, decoding_plugin=plugin, **options)[0]


def _check_description(ds: "Dataset") -> None:
    """Refuse, before anything is decoded, what no film is (PS3.3 C.7.6.3)."""
    if not ds.get("PixelData"):
        raise UnsupportedPixelData("no pixel data")
    rows, columns = int(ds.Rows), int(ds.Columns)
    if not (0 < rows <= _SIDE_MAX and 0 < columns <= _SIDE_MAX and rows * columns <= PIXELS_MAX):
        raise UnsupportedPixelData("no pixels, or more than a film has")
    if int(ds.SamplesPerPixel) != 1 or not str(ds.PhotometricInterpretation).startswith("MONO"):
        raise UnsupportedPixelData("not a grey image")
    if int(ds.get("NumberOfFrames") or 1) != 1:
        raise UnsupportedPixelData("more than one frame")
    allocated, bits, high = int(ds.BitsAllocated), int(ds.BitsStored), int(ds.HighBit)
    if allocated not in _BYTES_BY_BITS or not bits - 1 <= high < allocated or bits < 1:
        raise UnsupportedPixelData("bits that no film has")


def _check_pixel_data(ds: "Dataset", transfer_syntax_uid: str) -> None:
    expected = int(ds.Rows) * int(ds.Columns) * _BYTES_BY_BITS[int(ds.BitsAllocated)]
    if transfer_syntax_uid in contexts.UNCOMPRESSED:
        # A few senders pad to more than even; more than a row too much is another image.
        one_row = expected // int(ds.Rows)
        if not expected <= len(ds.PixelData) <= expected + max(one_row, 2):
            raise PixelDataMismatch("pixel data is not as long as the header says")
        return
    frame = next(generate_frames(ds.PixelData, number_of_frames=1), b"")
    if len(frame) > expected * _JPEG_FAMILY_SLACK + _SLACK_BYTES:
        raise PixelDataMismatch("compressed pixel data is longer than the pixels")
    if transfer_syntax_uid != _RLE and codestream.size(frame) != (int(ds.Rows), int(ds.Columns)):
        raise PixelDataMismatch("compressed pixel data is not of the size in the header")


def _bits(raw: "NDArray[np.generic]", ds: "Dataset") -> "NDArray[np.int32]":
    """Return the stored bits of each cell, without overlays in the unused ones (PS3.5 8.1.1)."""
    bits = int(ds.BitsStored)
    unsigned = raw.astype(np.int32) & ((1 << int(ds.BitsAllocated)) - 1)
    stored = (unsigned >> (int(ds.HighBit) + 1 - bits)) & ((1 << bits) - 1)
    if ds.get("PixelRepresentation") == 1:
        sign = 1 << (bits - 1)
        stored = (stored ^ sign) - sign
    return stored.astype(np.int32)


def _padding(raw: "NDArray[np.generic]", ds: "Dataset") -> "NDArray[np.bool_]":
    value = ds.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(raw.shape, dtype=bool)
    limit = ds.get("PixelPaddingRangeLimit")
    ends = np.array([value, limit if isinstance(limit, int) else value]).astype(raw.dtype)
    padding = (raw >= ends.min()) & (raw <= ends.max())
    # A value that fills the film is no padding but a film of one value: the levels judge that.
    return np.zeros(raw.shape, dtype=bool) if padding.all() else padding


def _shutter(ds: "Dataset") -> "NDArray[np.bool_]":
    """Return what a rectangular shutter hides; its edges are seen, counted from 1 (C.7.6.11)."""
    rows, columns = int(ds.Rows), int(ds.Columns)
    hidden = np.zeros((rows, columns), dtype=bool)
    if "RECTANGULAR" not in str(ds.get("ShutterShape") or ""):
        return hidden
    upper, lower, left, right = (
        int(ds.get(f"Shutter{side}Edge") or 0)
        for side in ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")
    )
    if not (0 <= upper < lower <= rows and 0 <= left < right <= columns):
        return hidden
    hidden[: max(upper - 1, 0)] = hidden[lower:] = True
    hidden[:, : max(left - 1, 0)] = hidden[:, right:] = True
    return hidden


def _spacing(ds: "Dataset") -> tuple[tuple[float, float] | None, SpacingSource | None]:
    """Return (between rows, between columns) in mm and its plane; None for both when unknown."""
    pixel, imager = _pair(ds, "PixelSpacing"), _pair(ds, "ImagerPixelSpacing")
    calibrated = bool(ds.get("PixelSpacingCalibrationType"))
    if pixel is not None and (pixel != imager or calibrated):
        return pixel, SpacingSource.PIXEL_SPACING
    if imager is not None:
        # Pixel Spacing equal to Imager Pixel Spacing was not corrected (PS3.3 10.7.1.3).
        return imager, SpacingSource.IMAGER_PIXEL_SPACING
    return None, None


def _pair(ds: "Dataset", keyword: str) -> tuple[float, float] | None:
    try:
        first, second = (float(part) for part in ds.get(keyword) or ())
    except (TypeError, ValueError):
        return None
    low, high = _SPACING_RANGE_MM
    known = all(math.isfinite(part) and low <= part <= high for part in (first, second))
    return (first, second) if known else None


def _view(instance: "InstanceHeader") -> ViewPosition | None:
    try:
        return ViewPosition(instance.film.view_position)
    except ValueError:
        return None
