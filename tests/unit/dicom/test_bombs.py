"""Small files that would become large: refused by what they say, before anything is decoded."""

import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from film_builders import a_film
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom import film, pixels
from dicom.errors import UnsupportedPixelData

SIDE = 60_000
ROOM_BYTES = 700 << 20  # 512 MB are inflated at most; this square would be 7.2 GB
SIZ = struct.pack(">HHLLLL", 47, 0, SIDE, SIDE, 0, 0) + struct.pack(">LLLLH", SIDE, SIDE, 0, 0, 1)
SOF = struct.pack(">HBHHB", 11, 16, SIDE, SIDE, 1) + b"\1\x11\0"
STREAMS = {
    JPEG2000Lossless: b"\xff\x4f\xff\x51" + SIZ + b"\x0f\1\1" + bytes(200),
    JPEGLossless: b"\xff\xd8\xff\xc3" + SOF + bytes(200),
    JPEGLSLossless: b"\xff\xd8\xff\xf7" + SOF + bytes(200),
    # One segment that repeats a zero 128 times for every two bytes (PS3.5 G.3.1).
    RLELossless: struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\0" * 50_000,
}


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < ROOM_BYTES


def a_bomb(syntax: str, rows: int) -> Dataset:
    ds = a_film("bomb")
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([STREAMS[syntax]])
    ds.Rows = ds.Columns = rows
    return ds


def refused(folder: Path, ds: Dataset) -> bool:
    path = folder / "bomb.dcm"
    path.write_bytes(film.encode(ds))
    assert path.stat().st_size < 2 << 20
    with pytest.raises(UnsupportedPixelData):
        pixels.read(path)
    return True


@pytest.mark.parametrize("rows", [64, SIDE], ids=["header is modest", "header boasts too"])
@pytest.mark.parametrize("syntax", STREAMS, ids=["J2K", "JPEG", "JPEG-LS", "RLE"])
def test_a_stream_of_sixty_thousand_rows_is_not_decoded(
    tmp_path: Path, syntax: str, rows: int
) -> None:
    assert refused(tmp_path, a_bomb(syntax, rows))


def test_a_deflated_film_of_a_gigabyte_is_not_inflated(tmp_path: Path) -> None:
    ds = a_film("deflated")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = film.encode(ds)
    whole = film.encode(a_film("deflated"))
    path = tmp_path / "bomb.dcm"
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    private = struct.pack("<HH2sHL", 0x7FE1, 0x1001, b"OB", 0, 1 << 30)
    body = [engine.compress(whole[_start(whole) :] + private), engine.flush(zlib.Z_FULL_FLUSH)]
    # Behind a full flush the same megabyte is always the same few bytes.
    zeros = engine.compress(bytes(1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    body.append(zeros * (1 << 10))
    path.write_bytes(content[: _start(content)] + b"".join([*body, engine.flush()]))
    assert path.stat().st_size < 2 << 20
    with pytest.raises(UnsupportedPixelData, match="too large"):
        pixels.read(path)


def _start(content: bytes) -> int:
    return 144 + int.from_bytes(content[140:144], "little")
