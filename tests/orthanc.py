"""A real Orthanc for tests: its own folder, free ports, DICOMweb, started and stopped here.

Use the context manager::

    with orthanc.running(tmp_path / "orthanc") as pacs:
        send(results, to=pacs.node)
        assert pacs.sop_instance_uids() == {...}

``pacs.stop()`` and ``pacs.start()`` take the archive down and bring it back with what it held.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from dicom.values import PacsNode

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
AE_TITLE = "ORTHANC"
START_S = 60.0
STOP_S = 15.0


def is_installed() -> bool:
    """Return whether Debian's orthanc and orthanc-dicomweb are there."""
    return _binary() is not None and DICOMWEB_PLUGIN.exists()


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class OrthancOptions:
    """What a test may want to be different.

    ``modalities`` are the nodes it may send to, by the name it uses for them (also needed for
    storage commitment reports). ``lua`` is a script, for auto-routing. ``extra`` overrides any
    key of Orthanc's configuration.
    """

    modalities: Mapping[str, PacsNode] = field(default_factory=dict)
    lua: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


class Orthanc:
    """One Orthanc process and the folder it keeps everything in."""

    def __init__(self, folder: Path, options: OrthancOptions) -> None:
        self.folder = folder
        self.options = options
        self.dicom_port = free_port()
        self.http_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def node(self) -> PacsNode:
        """Where to send to."""
        return PacsNode(AE_TITLE, "127.0.0.1", self.dicom_port)

    @property
    def url(self) -> str:
        """Root of its REST interface."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Root of its DICOMweb interface."""
        return f"{self.url}/dicom-web"

    def start(self) -> None:
        """Start it (again) and wait until both its ports answer."""
        binary = _binary()
        if binary is None:
            raise RuntimeError("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self._configuration(), indent=1), encoding="utf-8")
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen([binary, str(config)], stdout=log, stderr=log)
        self._wait_until_up(self._process)

    def stop(self) -> None:
        """Stop it and wait until it is gone; what it holds stays in its folder."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it at once, as a power cut would; an orderly stop takes three seconds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def get(self, path: str) -> Any:
        """Return the JSON answer of one REST resource, such as ``/studies``."""
        answer = httpx.get(f"{self.url}{path}", timeout=60.0)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, content: bytes | str) -> Any:
        """Post to a REST resource; return its JSON answer."""
        answer = httpx.post(f"{self.url}{path}", content=content, timeout=60.0)
        answer.raise_for_status()
        return answer.json()

    def delete(self, path: str) -> None:
        """Delete one REST resource."""
        httpx.delete(f"{self.url}{path}", timeout=60.0).raise_for_status()

    def upload(self, part10: bytes) -> None:
        """Put one Part 10 file into it without any association."""
        self.post("/instances", part10)

    def find(self, level: str, **query: str) -> list[str]:
        """Return Orthanc's own identifiers of what matches, by DICOM keyword."""
        body = json.dumps({"Level": level, "Query": query})
        return [str(one) for one in self.post("/tools/find", body)]

    def sop_instance_uids(self, study_instance_uid: str | None = None) -> set[str]:
        """Return which instances it holds, of one study or of all."""
        # An empty query matches everything; a wildcard is not allowed on a UID.
        query = {} if study_instance_uid is None else {"StudyInstanceUID": study_instance_uid}
        found = self.find("Instance", **query)
        tags = (self.get(f"/instances/{one}/simplified-tags") for one in found)
        return {str(one["SOPInstanceUID"]) for one in tags}

    def file(self, sop_instance_uid: str) -> bytes:
        """Return one instance as the Part 10 file it keeps."""
        (found,) = self.find("Instance", SOPInstanceUID=sop_instance_uid)
        answer = httpx.get(f"{self.url}/instances/{found}/file", timeout=60.0)
        answer.raise_for_status()
        return answer.content

    def _configuration(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "Name": "Carina test archive",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "Plugins": [str(DICOMWEB_PLUGIN)],
            "DicomWeb": {
                "Enable": True,
                "Root": "/dicom-web/",
                "StudiesMetadata": "Full",
                "SeriesMetadata": "Full",
            },
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomPort": self.dicom_port,
            "DicomAet": AE_TITLE,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {
                name: {
                    "AET": node.ae_title,
                    "Host": node.host,
                    "Port": node.port,
                    "AllowStorageCommitment": True,
                }
                for name, node in self.options.modalities.items()
            },
            "StableAge": 1,
            "SyncStorageArea": False,
            "Locale": "C",
        }
        if self.options.lua:
            script = self.folder / "script.lua"
            script.write_text(self.options.lua, encoding="utf-8")
            settings["LuaScripts"] = [str(script)]
        return settings | dict(self.options.extra)

    def _wait_until_up(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with contextlib.suppress(httpx.TransportError, OSError):
                if httpx.get(f"{self.url}/system", timeout=5.0).status_code == httpx.codes.OK:
                    socket.create_connection(("127.0.0.1", self.dicom_port), 5.0).close()
                    return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError("Orthanc did not start:\n" + self._log_tail())

    def _log_tail(self) -> str:
        log = self.folder / "orthanc.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def running(folder: Path, options: OrthancOptions | None = None) -> Iterator[Orthanc]:
    """Start an Orthanc in ``folder`` and stop it at the end."""
    pacs = Orthanc(folder, options or OrthancOptions())
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.kill()


def _binary() -> str | None:
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
