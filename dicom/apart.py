"""Decode one frame in a process of its own, for a decoder that may take the process down.

GDCM is the only decoder of lossless JPEG that may be shipped, and on one damaged stream in some
hundred it ends the process with SIGABRT (seen while testing with changed bytes). A film must never
end the listener or a worker, so it works in a child with little time and memory; that costs about
half a second per film of these two syntaxes.

Run as a module this file is that child: ``python -m dicom.apart SYNTAX ROWS COLUMNS ALLOCATED
STORED SIGNED``, the frame on standard input, the array as ``.npy`` on standard output.
"""

import os
import resource
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder

from dicom.errors import UnsupportedPixelData

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIME_S = 120
_CPU_S = 60
_MEMORY_BYTES = 4 << 30
_PLUGIN = "gdcm"
_ROOT = Path(__file__).resolve().parents[1]


def decode(ds: Dataset, transfer_syntax_uid: str) -> "NDArray[np.integer[Any]]":
    """Return the decoded cells of a film, ``(rows, columns)``.

    Raises
    ------
    UnsupportedPixelData
        If the child could not decode them, or ended.
    """
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    numbers = (ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.PixelRepresentation)
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, and numbers
            [
                sys.executable,
                "-P",
                "-m",
                __name__,
                transfer_syntax_uid,
                *(str(int(n)) for n in numbers),
            ],
            input=frame,
            capture_output=True,
            timeout=_TIME_S,
            check=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        decoded: NDArray[np.integer[Any]] = np.load(BytesIO(done.stdout), allow_pickle=False)
    except (subprocess.SubprocessError, ValueError, EOFError):
        raise UnsupportedPixelData("the decoder failed on the compressed pixels") from None
    return decoded


def _child(arguments: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    syntax, *numbers = arguments
    ds = Dataset()
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.PixelRepresentation = map(int, numbers)
    ds.HighBit = ds.BitsStored - 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PixelData = encapsulate([sys.stdin.buffer.read()])
    ds["PixelData"].VR = "OB"
    options: dict[str, Any] = {"correct_unused_bits": False}
    decoded, _ = get_decoder(syntax).as_array(
        ds, index=0, raw=True, decoding_plugin=_PLUGIN, **options
    )
    np.save(sys.stdout.buffer, decoded)


if __name__ == "__main__":
    _child(sys.argv[1:])
