"""From stored values to brightness: modality, values of interest, polarity (PS3.3 C.11, C.7.6.3).

All functions work on the stored grid and never crop: a coordinate means the same before and after.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dicom.errors import UnsupportedPixelData

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    Values = NDArray[np.float32]
    Mask = NDArray[np.bool_]

_LUT_ENTRIES_FOR_ZERO = 65536  # PS3.3 C.11.1.1: 0 in the first value of the descriptor
_LUT_BITS = range(1, 17)
_LOW_PERCENTILE, _HIGH_PERCENTILE = 0.5, 99.5
_BLIND_SPREAD = 0.02
"""A picture whose inner 98 % lie closer together than this shows nothing."""
_BORDER_SHARE = 0.02
_SAMPLE_STRIDE_FROM = 1 << 20
_LEVEL_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Levelled:
    """Brightness ``(rows, columns)`` float32 in 0..1, bright = dense, and what was odd."""

    pixels: "Values"
    remarks: tuple[str, ...]


def level(stored: "NDArray[np.int32]", void: "Mask", ds: "Dataset") -> Levelled:
    """Return the brightness of stored values; ``void`` pixels (padding, shutter) become black.

    The header's first window or VOI LUT is used where it shows something, else the range of the
    image itself.

    Raises
    ------
    UnsupportedPixelData
        If the film is of one value, or its tables are nonsense.
    """
    values = _modality(stored, ds)
    seen = _sample(values[~void] if void.any() else values)
    if seen.size == 0 or not _spread(seen) > 0:
        raise UnsupportedPixelData("every pixel has the same value")
    shown, remarks = _values_of_interest(values, seen, ds)
    if _is_inverted(ds):
        shown = np.subtract(np.float32(1), shown, out=shown)
    shown[void] = 0
    return Levelled(shown, remarks)


def window(values: "Values", centre: float, width: float, function: str) -> "Values":
    """Return values through a window, 0..1 (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Raises
    ------
    UnsupportedPixelData
        If the width is not one the function allows, or the function is unknown.
    """
    if function == "SIGMOID" and width > 0:
        exponent = np.clip(-4.0 * (values - centre) / width, -80, 80)
        return _unit(1.0 / (1.0 + np.exp(exponent)))
    if function == "LINEAR_EXACT" and width > 0:
        return _unit((values - centre) / width + 0.5)
    if function == "LINEAR" and width == 1:
        return _unit(values > centre - 0.5)
    if function == "LINEAR" and width > 1:
        return _unit((values - (centre - 0.5)) / (width - 1) + 0.5)
    raise UnsupportedPixelData("a window that the standard does not know")


def _unit(values: "NDArray[Any]") -> "Values":
    """Return values cut to 0..1."""
    cut: Values = np.clip(values, 0, 1).astype(np.float32)
    return cut


def look_up(values: "Values", item: "Dataset", *, signed: bool) -> "Values":
    """Return values through a modality or VOI LUT, in the units of the table (PS3.3 C.11.1.1).

    Raises
    ------
    UnsupportedPixelData
        If the table does not match its descriptor.
    """
    entries, first, bits = (int(part) for part in item.LUTDescriptor)
    entries = entries or _LUT_ENTRIES_FOR_ZERO
    if signed and first > 0x7FFF:  # noqa: PLR2004 - the descriptor is signed when the pixels are
        first -= 0x10000
    table = _table(item, entries)
    if bits not in _LUT_BITS or table.size != entries:
        raise UnsupportedPixelData("a lookup table that does not match its descriptor")
    index = np.clip(np.rint(values) - first, 0, entries - 1).astype(np.int64)
    found: Values = table[index].astype(np.float32)
    return found


def _table(item: "Dataset", entries: int) -> "NDArray[np.uint16]":
    data = item.LUTData
    if isinstance(data, bytes):
        wide = len(data) >= 2 * entries
        return np.frombuffer(data, "<u2" if wide else "u1").astype(np.uint16)[:entries]
    return np.asarray(data).astype(np.uint16).ravel()[:entries]


def _modality(stored: "NDArray[np.int32]", ds: "Dataset") -> "Values":
    values = stored.astype(np.float32)
    sequence = ds.get("ModalityLUTSequence")
    if sequence:
        return look_up(values, sequence[0], signed=_is_signed(ds))
    slope, intercept = _first(ds, "RescaleSlope"), _first(ds, "RescaleIntercept")
    if slope:
        values *= np.float32(slope)
    if intercept:
        values += np.float32(intercept)
    return values


def _values_of_interest(
    values: "Values", seen: "Values", ds: "Dataset"
) -> tuple["Values", tuple[str, ...]]:
    sequence = ds.get("VOILUTSequence")
    centre, width = _first(ds, "WindowCenter"), _first(ds, "WindowWidth")
    function = str(ds.get("VOILUTFunction") or "LINEAR").strip().upper()
    try:
        if sequence:
            top = np.float32((1 << int(sequence[0].LUTDescriptor[2])) - 1)
            signed = _is_signed(ds)
            if not _is_blind(look_up(seen, sequence[0], signed=signed) / top):
                return look_up(values, sequence[0], signed=signed) / top, ()
        elif centre is None or width is None:
            return _own_range(values, seen), ("no window in the header",)
        elif not _is_blind(window(seen, centre, width, function)):
            return window(values, centre, width, function), ()
    except (UnsupportedPixelData, AttributeError, TypeError, ValueError, IndexError):
        return _own_range(values, seen), ("the header's window is nonsense and was not used",)
    return _own_range(values, seen), ("the header's window shows nothing and was not used",)


def _own_range(values: "Values", seen: "Values") -> "Values":
    """Return values by the range of the film itself, a uniform border left out of account."""
    inner = _without_border(seen)
    low, high = (float(end) for end in np.percentile(inner, (_LOW_PERCENTILE, _HIGH_PERCENTILE)))
    if not high - low > _LEVEL_EPSILON:
        low, high = float(seen.min()), float(seen.max())
    return _unit((values - np.float32(low)) / np.float32(high - low))


def _without_border(seen: "Values") -> "Values":
    """Leave out the lowest and the highest value where so many pixels have it that it is no film.

    Collimation and the frame around a film are one value, often far from all others.
    """
    inner = seen
    for end in (seen.min(), seen.max()):
        border = inner == end
        if border.mean() > _BORDER_SHARE:
            inner = inner[~border]
    return inner if inner.size and _spread(inner) > 0 else seen


def _sample(values: "Values") -> "Values":
    """Return enough values to judge levels by; every one of a small film."""
    flat = values.ravel()
    return flat[:: max(flat.size // _SAMPLE_STRIDE_FROM, 1)]


def _spread(values: "Values") -> float:
    return float(values.max() - values.min())


def _is_blind(shown: "Values") -> bool:
    low, high = np.percentile(shown, (1, 99))
    return bool(not high - low > _BLIND_SPREAD)


def _is_inverted(ds: "Dataset") -> bool:
    # INVERSE is only legal with MONOCHROME1 and means the same (PS3.3 C.8.11.3.1.2), so the two
    # never cancel out.
    return (
        str(ds.get("PhotometricInterpretation")).strip() == "MONOCHROME1"
        or str(ds.get("PresentationLUTShape")).strip() == "INVERSE"
    )


def _is_signed(ds: "Dataset") -> bool:
    return bool(ds.get("PixelRepresentation") == 1)


def _first(ds: "Dataset", keyword: str) -> float | None:
    """Return the first value of an attribute, None when it is absent or no finite number."""
    value = ds.get(keyword)
    if value is None or value == "":
        return None
    try:
        number = float(value if isinstance(value, (int, float, str)) else value[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if math.isfinite(number) else None
