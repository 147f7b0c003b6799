"""Real files through the real comparison: what intake makes of each class of re-sent film."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from film_builders import a_film
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from rows import NOW, PEER, SECOND

from dicom import film, header, spool
from dicom.values import ReceivedInstance
from service import intake, reading
from service.db.engine import Database
from service.settings import Settings
from service.values import Reception

pytestmark = pytest.mark.integration


def received(root: Path, ds: Dataset) -> ReceivedInstance:
    incoming = root / "incoming.dcm"
    incoming.parent.mkdir(parents=True, exist_ok=True)
    incoming.write_bytes(film.encode(ds))
    sha256 = spool.digest(incoming)
    path = spool.object_path(root, ds.StudyInstanceUID, ds.SOPInstanceUID, sha256)
    spool.move(incoming, path)
    return header.received_from_file(path, PEER, NOW)


def same(_: Dataset) -> None:
    """Change nothing."""


def encode_anew(ds: Dataset) -> None:
    ds.compress(RLELossless, generate_instance_uid=False)


def correct_the_header(ds: Dataset) -> None:
    ds.PatientName = "Corrected^Name"


def change_a_pixel(ds: Dataset) -> None:
    pixels = np.array(ds.pixel_array)
    pixels[0, 0] ^= 1
    ds.PixelData = pixels.tobytes()


@pytest.mark.parametrize(
    ("change", "reception"),
    [
        (same, Reception.IDENTICAL),
        (encode_anew, Reception.REENCODED),
        (correct_the_header, Reception.CORRECTED),
        (change_a_pixel, Reception.QUARANTINED),
    ],
)
def test_each_class_of_a_film_sent_again_is_told_from_the_others(
    database: Database, tmp_path: Path, change: Callable[[Dataset], None], reception: Reception
) -> None:
    site = Settings(home=tmp_path)
    rules = reading.intake_rules(site)
    first = received(site.spool.absolute(), a_film("resent", 256, 256))
    assert intake.accept(database, first, rules, NOW) is Reception.FILM
    again = a_film("resent", 256, 256)
    change(again)
    second = received(site.spool.absolute(), again)
    assert intake.accept(database, second, rules, NOW + SECOND) is reception


@pytest.mark.parametrize(("view", "is_eligible"), [("PA", True), ("LL", False)])
def test_the_gate_of_the_header_says_what_is_eligible(
    tmp_path: Path, view: str, *, is_eligible: bool
) -> None:
    site = Settings(home=tmp_path)
    film_of_view = received(site.spool.absolute(), a_film("gate", 256, 256, view_position=view))
    assert reading.intake_rules(site).is_eligible(film_of_view.header) is is_eligible
