import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from film_builders import a_film

from dicom import film, quiet

ROOT = Path(__file__).parents[3]
WITH_US = "from dicom import header, pixels; header.read(PATH); pixels.read_with_remarks(PATH)"
WITHOUT_US = "import pydicom; print(str(pydicom.dcmread(PATH)), file=open('/dev/null', 'w'))"


def standard_error(code: str, path: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path; PATH = Path({str(path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    ).stderr


@pytest.mark.parametrize(("code", "tells"), [(WITHOUT_US, True), (WITH_US, False)])
def test_a_value_of_the_header_never_reaches_standard_error(
    tmp_path: Path, code: str, *, tells: bool
) -> None:
    path = tmp_path / "x.dcm"
    # The first row is the control: pydicom alone does repeat the value.
    number = b"\x20\x00\x13\x00IS\2\0"  # Instance Number, with a value that is none
    path.write_bytes(film.encode(a_film("x")).replace(number + b"1 ", number + b"SX"))
    assert ("'SX'" in standard_error(code, path)) is tells


def test_filters_are_what_they_were_however_threads_overlap() -> None:
    before = list(warnings.filters)

    def read_often() -> None:
        for _ in range(200):
            with quiet.reading():
                pass

    threads = [threading.Thread(target=read_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
