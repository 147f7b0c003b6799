from dicom.query import _by_series
from dicom.values import InstanceRef


def test_each_series_is_asked_for_once() -> None:
    refs = [
        InstanceRef("1.1", "1.1.1", "1.2.3", "1.1.1.1"),
        InstanceRef("1.1", "1.1.1", "1.2.3", "1.1.1.2"),
        InstanceRef("1.1", "1.1.2", "1.2.3", "1.1.2.1"),
    ]
    assert _by_series(refs) == {
        ("1.1", "1.1.1"): {"1.1.1.1", "1.1.1.2"},
        ("1.1", "1.1.2"): {"1.1.2.1"},
    }
