"""The page of figures says what was measured, and the load it was measured with is what it says."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless

from scripts.bench import ingest, loads, report
from scripts.demo.story import stage_seconds
from scripts.ledger import Event

MACHINE = {
    "taken_at": "2026-01-01T00:00:00+00:00", "processor": "A processor", "cores": 2,
    "memory_gib": 24.0, "kernel": "6", "file_system": "ext4", "fsync_4k_ms": 0.1,
    "fsync_7m_ms": 6.0, "load_before": 0.5, "python": "3.11", "orthanc": "Orthanc 1",
    "dcmtk": "dcmtk 3", "packages": {"pydicom": "3"}, "commit": "abc",
}  # fmt: skip


def test_a_page_without_measurements_has_only_the_machine() -> None:
    page = report.page({"machine": MACHINE})
    assert "A processor" in page
    assert "## " not in page


def test_latency_is_told_by_stage_with_the_part_of_the_network() -> None:
    seconds = dict.fromkeys(report.STAGE_WORDS, 1.0) | {"network": 0.05, "not_network": 0.95}
    film = {"objects": 7.0, "findable": 1.5, "not_network": 1.4}
    page = report.page(
        {
            "machine": MACHINE,
            "latency": {
                "studies": 20,
                "median_s": seconds,
                "worst_s": seconds,
                "films": {"a chest": film},
            },
        }
    )
    assert "| a chest | 7 | 1.50 | 1.40 |" in page
    assert all(words in page for words in report.STAGE_WORDS.values())
    assert "**0.95 s**" in page


def test_ingest_is_told_beside_the_others() -> None:
    row = {
        "kind": "uncompressed", "missed": ["p99"], "senders": 4, "target": "Carina",
        "images_per_s": 40.0, "mb_per_s": 288.0,
        "times_orthanc": 1.1, "times_storescp": 0.3, "cpu_ms_per_image": 20.0,
        "response_p50_ms": 60.0, "response_p99_ms": 120.0,
    }  # fmt: skip
    page = report.page(
        {
            "machine": MACHINE,
            "ingest": {
                "images": 60,
                "repeats": 3,
                "image_bytes": {"uncompressed": 7_200_000},
                "fast_path": "can be taken",
                "rows": [row],
            },
        }
    )
    line = "| uncompressed | 4 | Carina | 40.0 | 288.0 | 1.1 | 0.3 | 20.0 | 60.0 / 120.0 | p99 |"
    assert line in page
    assert "here it can be taken" in page


@pytest.mark.parametrize(
    ("images_per_s", "p99_ms", "cpu_ms", "expected"),
    [
        (30.0, 100.0, 25.0, []),
        (29.9, 100.0, 25.0, ["images/s"]),
        (30.0, 100.1, 25.1, ["p99", "CPU"]),
    ],
)
def test_each_aim_is_met_or_missed_beside_orthanc(
    images_per_s: float, p99_ms: float, cpu_ms: float, expected: list[str]
) -> None:
    orthanc = {"images_per_s": 30.0, "response_p99_ms": 100.0, "cpu_ms_per_image": 40.0}
    ours = {"images_per_s": images_per_s, "response_p99_ms": p99_ms, "cpu_ms_per_image": cpu_ms}
    assert ingest.missed(ours, orthanc) == expected


def test_a_receiver_is_set_beside_orthanc_of_its_own_kind_and_senders() -> None:
    slow, fast = ingest.Run(10, 72, 30, 90, 99), ingest.Run(20, 144, 20, 40, 49)
    names = ("storescp", "Orthanc", "Carina, 1 process")
    taken = {("uncompressed", 1, name): [slow] for name in names}
    taken |= {("JPEG 2000", 4, name): [fast if "Carina" in name else slow] for name in names}
    made = ingest.rows(names, taken)
    assert [row["times_orthanc"] for row in made] == [1.0, 1.0, 1.0, 1.0, 1.0, 2.0]
    assert [row["missed"] for row in made if row["missed"] is not None] == [["CPU"], []]


def test_the_load_of_jpeg_2000_shows_the_same_film(tmp_path: Path) -> None:
    with loads.jpeg_2000() as source:
        load = loads.Load(tmp_path, 1, source)
        load.renew()
    film = dcmread(load.files[0])
    assert film.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert load.size_bytes < 7_000_000
    assert np.array_equal(film.pixel_array, dcmread(loads.real_chest()).pixel_array)


def test_every_renewal_of_a_load_makes_new_studies(tmp_path: Path) -> None:
    load = loads.Load(tmp_path, 2, loads.real_chest())
    load.renew()
    first = load.study_instance_uids
    load.renew()
    assert len({*first, *load.study_instance_uids}) == 4
    ds = dcmread(load.files[0])
    assert ds.StudyInstanceUID == load.study_instance_uids[0]
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert len(ds.SOPInstanceUID) == 64


def test_stages_are_the_times_between_the_milestones_of_the_audit_trail() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [
        ("instance_received", 0), ("study_closed", 2), ("job_claimed", 3), ("results_encoded", 5),
        ("object_sent", 6), ("object_sent", 8), ("delivery_proven", 9),
    ]  # fmt: skip
    events = [Event(name, start + timedelta(seconds=after), "x", 0, {}) for name, after in moments]
    assert stage_seconds(events) == {
        "quiet": 2.0, "wait": 1.0, "read + encode": 2.0, "send": 3.0, "prove": 1.0,
    }  # fmt: skip


def test_stages_that_a_refused_film_never_reached_are_left_out() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    events = [
        Event("instance_received", start, "x", 0, {}),
        Event("study_closed", start, "x", 0, {}),
    ]
    assert stage_seconds(events) == {"quiet": 0.0}
