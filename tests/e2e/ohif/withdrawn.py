"""Make the picture of docs/withdrawing.md: a withdrawn draft, as a reader sees it in OHIF.

``PYTHONPATH=.:tests:tests/e2e/ohif python tests/e2e/ohif/withdrawn.py``: reads the real chest of
pydicom-data with the shipped network, withdraws the draft, opens both in a browser.
"""

import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid5

import ohif_browser
import orthanc
from draft_builders import CONTEXT, JOB
from screenshots import draft_of, publish, result_set, wanted

from dicom import inherited
from dicom.sr import withdrawn
from dicom.sr.withdrawn import LINE, Withdrawal
from dicom.values import InstanceRef, ReplacedResult, ResultInstance
from models import bundles
from models.anatomy.eye import OnnxEye
from service import ohif, ohif_package


def notice_of(source: InstanceRef, header: Path, built: tuple[ResultInstance, ...]) -> bytes:
    """Return the notice that withdraws a result set."""
    made = withdrawn.build(
        Withdrawal(
            job_id=uuid5(JOB, "notice"),
            revision=2,
            produced_at=datetime.now(UTC),
            source=inherited.header_of(header),
            films=(source,),
            replaced=tuple(ReplacedResult(one.ref, one.kind, one.number, 1) for one in built),
            reason="The film is of another patient.",
            by="dr.example",
            software_version=CONTEXT.software_version,
        )
    )
    return made.content


def main() -> None:
    """Make all of it in a folder that goes away."""
    ohif_browser.install()
    eye = OnnxEye(bundles.find())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pacs = stack.enter_context(orthanc.running(folder / "orthanc"))
        dist = ohif_package.fetch(ohif_browser.CACHE)
        url = stack.enter_context(ohif.serve(dist, pacs.dicomweb_url, 0))
        path = wanted(folder, [])["chest"]
        draft = draft_of(path, eye)
        built = result_set(draft, eye)
        source = draft.source
        film = InstanceRef(
            str(source.StudyInstanceUID),
            str(source.SeriesInstanceUID),
            str(source.SOPClassUID),
            str(source.SOPInstanceUID),
        )
        notice = notice_of(film, path, built)
        for content in (path.read_bytes(), *(one.content for one in built), notice):
            pacs.upload(content)
        steps = [
            ["open", ohif.study_path(film.study_instance_uid)],
            ["series", "WITHDRAWN AI DRAFT"],
            ["wait", LINE],
            ["settle"],
            ["shot", "ohif-withdrawn.png"],
        ]
        ohif_browser.drive(url, steps, folder)
        publish(folder)


if __name__ == "__main__":
    main()
