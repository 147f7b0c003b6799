import struct

import pytest
from film_builders import a_film
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from dicom import codestream

SOF = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 100, 200) + b"\x01\x01\x11\x00"


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_the_size_of_a_real_stream_is_found(syntax: str) -> None:
    ds = a_film("x", rows=70, columns=48)
    ds.compress(syntax, generate_instance_uid=False)
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    assert codestream.size(frame) == (70, 48)


@pytest.mark.parametrize(
    ("before", "size"),
    [
        (b"", (100, 200)),
        (b"\xff\xe0\x00\x04ab", (100, 200)),  # an application segment
        (b"\xff\xff\xff", (100, 200)),  # fill bytes
        (b"\xff\xc4\x00\x02", (100, 200)),  # a Huffman table is no frame header
        (b"\xff\xda\x00\x02", None),  # a scan without a frame
        (b"ab", None),
    ],
)
def test_a_jpeg_frame_header_is_found_behind_other_segments(
    before: bytes, size: tuple[int, int] | None
) -> None:
    assert codestream.size(b"\xff\xd8" + before + SOF) == size


@given(st.binary(max_size=64), st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51"]))
def test_any_bytes_have_a_size_or_none(data: bytes, start: bytes) -> None:
    found = codestream.size(start + data)
    assert found is None or len(found) == 2
