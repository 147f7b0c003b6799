import json
import logging
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog
from pydicom import Dataset
from pydicom.valuerep import PersonName

from service import logs, privacy
from service.errors import UnknownStudy
from service.settings import Settings

SECRETS = ("Mustermann", "Erika", "19450607", "PAT-4711", "山田")


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def leaks(text: str) -> list[str]:
    """Return which of the patient's values a log shows: the scanner of these tests."""
    return [secret for secret in SECRETS if secret in text]


def a_patient() -> Dataset:
    dataset = Dataset()
    dataset.PatientName = "Mustermann^Erika"
    dataset.PatientID = "PAT-4711"
    dataset.PatientBirthDate = "19450607"
    return dataset


def complain(words: str) -> None:
    """Raise as a library does, with a value in the text."""
    raise ValueError(words)


def log_carelessly() -> None:
    """Do everything that a log must survive."""
    log = structlog.get_logger("careless")
    patient = a_patient()
    log.info("by_key", patient_name="Erika", PatientID="PAT-4711", patient_birth_date="19450607")
    log.info("by_type", given=patient, name=PersonName("山田^太郎"))
    log.info("by_look", given="the film of Mustermann^Erika came")
    log.info("nested", given={"items": [{"patient_id": "PAT-4711"}]}, rows=[patient])
    log.info("a film of MUSTERMANN^ERIKA".replace("MUSTERMANN", "Mustermann"))
    logging.getLogger("library").warning("(0010,0010) PN: %s", "Mustermann")
    logging.getLogger("pynetdicom.dsutils").error("%s", patient)
    logging.getLogger("library").info("%s", "Mustermann^Erika")
    try:
        complain("Invalid value for VR DA: '19450607'")
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed in a library")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Invalid value for VR LO: 'PAT-4711'", UserWarning, stacklevel=1)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_nothing_of_a_patient_comes_through(capsys: pytest.CaptureFixture[str]) -> None:
    logs.install("DEBUG", as_json=True)
    log_carelessly()
    written = capsys.readouterr()
    assert leaks(written.out + written.err) == []
    assert written.out.count("\n") >= 9


def test_the_scanner_finds_the_leak_when_the_guards_are_taken_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.install("DEBUG", as_json=True, guards=(privacy.format_exception,))
    log_carelessly()
    # Every kind but the exception's text, which format_exception alone keeps back.
    assert set(leaks(capsys.readouterr().out)) == set(SECRETS)


def test_a_line_says_what_was_withheld(capsys: pytest.CaptureFixture[str]) -> None:
    logs.install("INFO", as_json=True)
    structlog.get_logger("x").info("arrived", patient_id="PAT-4711", series=3)
    (line,) = lines(capsys)
    assert line["patient_id"] == privacy.WITHHELD
    assert line["withheld"] == ["patient_id"]
    assert line["series"] == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patient_orientation", ["L", "F"]),
        ("study_instance_uid", "1.2.3"),
        ("reason", "no lungs: is it a hand?"),
        ("job_id", "6ef62300-1123-465a-adb8-dec1d2b8f2a0"),
        ("way", "service/listener.py:12 run"),
        ("words_of", "2^10"),
    ],
)
def test_what_is_no_patient_data_is_left_alone(
    capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    logs.install("INFO", as_json=True)
    structlog.get_logger("x").info("event", **{key: value})
    (line,) = lines(capsys)
    assert line[key] == value
    assert "withheld" not in line


def test_an_exception_is_told_by_class_and_way_without_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.install("INFO", as_json=True)
    patient_name = "Mustermann"
    try:
        int(patient_name)
    except ValueError:
        structlog.get_logger("x").exception("failed")
    (line,) = lines(capsys)
    (described,) = line["exception"]  # type: ignore[misc]
    assert described["class"] == "builtins.ValueError"
    assert any("test_logs.py" in step for step in described["way"])
    assert "message" not in described
    assert leaks(json.dumps(line)) == []


def test_an_error_of_ours_keeps_its_message_and_its_cause(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.install("INFO", as_json=True)
    try:
        try:
            complain("Mustermann")
        except ValueError as error:
            raise UnknownStudy("no such study") from error
    except UnknownStudy:
        structlog.get_logger("x").exception("failed")
    (line,) = lines(capsys)
    outer, inner = line["exception"]  # type: ignore[misc]
    assert outer["message"] == "no such study"
    assert inner["class"] == "builtins.ValueError"
    assert "message" not in inner


def test_libraries_write_the_same_lines_with_the_process_from_every_thread(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(Settings(), "listen")

    def talk() -> None:
        logging.getLogger("uvicorn.error").info("started on %d", 8080)
        logging.getLogger("kombu").info("chatter")

    thread = threading.Thread(target=talk)
    thread.start()
    thread.join()
    (line,) = lines(capsys)
    assert line["event"] == "started on 8080"
    assert line["process"] == "listen"
    assert line["level"] == "info"


def test_the_console_form_passes_the_same_guards(capsys: pytest.CaptureFixture[str]) -> None:
    logs.install("DEBUG", as_json=False)
    log_carelessly()
    assert leaks(capsys.readouterr().out) == []
