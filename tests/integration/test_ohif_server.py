"""The viewer's server: isolation, the archive behind it, and nothing outside its folder."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import orthanc
import pytest
from draft_builders import Sheet, source_of

from dicom import film
from service import ohif

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not orthanc.is_installed(), reason="needs orthanc and orthanc-dicomweb"),
]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer") / "dist"
    folder.mkdir()
    (folder / "index.html").write_text("the viewer", encoding="utf-8")
    (folder / "code.js").write_text("1;", encoding="utf-8")
    (folder.parent / "secret.txt").write_text("secret", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as running:
        patient = film.FilmPatient(patient_id="P-17")
        running.upload(film.encode(source_of(Sheet(), patient=patient)))
        yield running


@pytest.fixture(scope="module")
def viewer(dist: Path, pacs: orthanc.Orthanc) -> Iterator[httpx.Client]:
    with ohif.serve(dist, pacs.dicomweb_url, 0) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/viewer?StudyInstanceUIDs=1.2", "/code.js"])
def test_every_page_is_isolated_so_that_decoders_may_share_memory(
    viewer: httpx.Client, path: str
) -> None:
    headers = viewer.get(path).headers
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"


def test_pages_of_the_viewer_are_its_own_business(viewer: httpx.Client) -> None:
    assert viewer.get("/viewer/any").text == "the viewer"
    assert viewer.get("/code.js").text == "1;"


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"])
def test_nothing_outside_the_viewers_folder_is_served(viewer: httpx.Client, path: str) -> None:
    assert "secret" not in viewer.get(path).text


def test_the_archive_answers_under_the_same_origin(viewer: httpx.Client) -> None:
    (study,) = viewer.get("/dicom-web/studies").json()
    retrieve = study["00081190"]["Value"][0]
    assert retrieve.startswith(str(viewer.base_url).rstrip("/"))


@pytest.mark.parametrize(("patient_id", "studies"), [("P-17", 1), ("P-1*", 1), ("P-18", 0)])
def test_a_query_reaches_the_archive(viewer: httpx.Client, patient_id: str, studies: int) -> None:
    found = viewer.get(f"/dicom-web/studies?00100020={patient_id}").json()
    assert len(found) == studies


def test_an_archive_that_is_down_is_a_bad_gateway(dist: Path) -> None:
    nobody = f"http://127.0.0.1:{orthanc.free_port()}/dicom-web"
    with ohif.serve(dist, nobody, 0) as url:
        assert httpx.get(f"{url}/dicom-web/studies").status_code == 502


def test_a_folder_without_a_viewer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ohif.ViewerFailed, match="no built OHIF viewer"):
        ohif.application(tmp_path, "http://127.0.0.1:1/dicom-web")


def test_a_taken_port_is_said(dist: Path) -> None:
    address = "http://127.0.0.1:1/dicom-web"
    with ohif.serve(dist, address, 0) as url:
        taken = int(url.rsplit(":", maxsplit=1)[-1])
        with pytest.raises(ohif.ViewerFailed, match="taken"), ohif.serve(dist, address, taken):
            pass


def test_a_study_has_an_address() -> None:
    assert ohif.study_path("1.2.3") == "/viewer?StudyInstanceUIDs=1.2.3"
