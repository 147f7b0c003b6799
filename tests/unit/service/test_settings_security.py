from pathlib import Path

import pytest

from dicom.errors import CertificateUnusable
from dicom.values import PacsNode
from service import checks_security, secure, settings_page
from service.errors import SettingsInvalid
from service.settings import Settings, load

OUTSIDE = "0.0.0.0"
KNOWN = "CR1@192.0.2.1"


def faults(**values: object) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load(**values)
    return str(caught.value)


def test_a_listener_open_to_outside_needs_to_know_who_may_send() -> None:
    assert "CARINA_CALLERS" in faults(listener_host=OUTSIDE)
    assert "anybody" in faults(listener_host=OUTSIDE, callers=f"{KNOWN},*@*")
    assert load(listener_host=OUTSIDE, callers=KNOWN).listener_host == OUTSIDE
    assert load(listener_host=OUTSIDE, callers="CR1@*").listener_host == OUTSIDE


def test_certificates_of_all_callers_stand_for_a_list_of_them() -> None:
    files = {"listener_tls_certificate": Path("c.pem"), "listener_tls_key": Path("k.pem")}
    open_to_all = {"listener_host": OUTSIDE, "callers": "*@*", **files}
    assert load(**open_to_all).listener_tls_clients == "required"
    assert "anybody" in faults(**open_to_all, listener_tls_clients="optional")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_the_loopback_only_this_machine_may_send_by_default(host: str) -> None:
    assert {one.address for one in load(listener_host=host).callers} == {"127.0.0.1", "::1"}


@pytest.mark.parametrize("side", ["listener", "client"])
def test_a_certificate_without_its_key_is_a_fault(side: str) -> None:
    assert f"{side}_tls_key" in faults(**{f"{side}_tls_certificate": Path("c.pem")})


def test_films_are_not_taken_again_before_the_reserve_is_free() -> None:
    assert "disk_resume_mb" in faults(disk_reserve_mb=500, disk_resume_mb=400)
    assert load(disk_reserve_mb=500).resume_mb == 1000


@pytest.mark.parametrize("password", ["guest", "Postgres", "changeme", "carina"])
def test_a_password_that_everybody_knows_is_refused_on_another_machine(password: str) -> None:
    there = "postgresql+psycopg://somebody:{}@{}:5432/films"
    said = faults(database_url=there.format(password, "db.example"))
    assert "database_url: its password" in said
    assert password not in said
    assert load(database_url=there.format(password, "127.0.0.1"))
    assert load(database_url=there.format("Xk2v9", "db.example"))


def test_the_name_of_the_user_is_no_password_either() -> None:
    assert "everybody knows" in faults(broker_url="amqp://films:films@mq.example//")


def test_an_archive_is_reached_by_tls_where_the_setting_says_so() -> None:
    assert load(pacs="ARCHIVE@pacs:2762;tls").pacs == PacsNode("ARCHIVE", "pacs", 2762, tls=True)
    assert "unknown option" in faults(pacs="ARCHIVE@pacs:2762;ssl")
    shown = {row.variable: row.value for row in settings_page.rows_of(load(pacs="A@pacs:1;tls"))}
    assert shown["CARINA_PACS"] == "A@pacs:1;tls"


def test_a_secret_may_stand_in_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql+psycopg://carina:Xk2v9@db.example/carina"
    secret = tmp_path / "database-url"
    secret.write_text(f"{url}\n", encoding="utf-8")
    monkeypatch.setenv("CARINA_DATABASE_URL_FILE", str(secret))
    assert load().database_url.get_secret_value() == url
    monkeypatch.setenv("CARINA_DATABASE_URL", "")
    assert load().database_url.get_secret_value() == url
    assert url not in str(settings_page.rows_of(load()))


def test_a_secret_given_twice_or_in_a_missing_file_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARINA_BROKER_URL_FILE", str(tmp_path / "missing"))
    assert "CARINA_BROKER_URL_FILE" in faults()
    monkeypatch.setenv("CARINA_BROKER_URL", "redis://localhost/0")
    assert "as well" in faults()


def test_no_secret_has_a_default() -> None:
    fresh = Settings()
    for name in ("database_url", "database_owner_url", "broker_url"):
        assert getattr(fresh, name).get_secret_value() == ""


def test_tls_for_hl7_is_said_as_a_whole() -> None:
    own = {"hl7_tls_certificate": Path("c.pem"), "hl7_tls_key": Path("k.pem")}
    assert "hl7_tls_key" in faults(hl7_tls=True, hl7_tls_certificate=Path("c.pem"))
    assert "in clear" in faults(**own)
    assert load(hl7_tls=True, **own).hl7_tls_clients == "required"


def test_hl7_speaks_no_tls_unless_told_and_then_with_the_files_of_the_listener_or_its_own(
    tmp_path: Path,
) -> None:
    listener = {
        "listener_tls_certificate": tmp_path / "listener.pem",
        "listener_tls_key": tmp_path / "listener.key",
    }
    own = {"hl7_tls_certificate": tmp_path / "ris.pem", "hl7_tls_key": tmp_path / "ris.key"}
    assert secure.hl7_context(load(**listener)) is None
    with pytest.raises(CertificateUnusable, match=r"listener\.pem"):
        secure.hl7_context(load(hl7_tls=True, **listener))
    with pytest.raises(CertificateUnusable, match=r"ris\.pem"):
        secure.hl7_context(load(hl7_tls=True, **listener, **own))
    with pytest.raises(CertificateUnusable, match="are needed"):
        secure.hl7_context(load(hl7_tls=True))
    assert not checks_security.certificates(load(hl7_tls=True)).is_well
