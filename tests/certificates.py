"""Certificates for tests, made by openssl: an authority, and what it signs.

``Authority(folder).sign("modality")`` gives the files of a leaf certificate for this machine
(``localhost`` and 127.0.0.1).
"""

import shutil
import subprocess
from pathlib import Path

from dicom.tls import TlsFiles

IS_INSTALLED = shutil.which("openssl") is not None
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
LEAF = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=critical,CA:FALSE\n"
ELSEWHERE = "subjectAltName=DNS:elsewhere.example\nbasicConstraints=critical,CA:FALSE\n"


class Authority:
    """One certificate authority in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate = folder / "authority.pem"
        self._key = folder / "authority.key"
        _openssl(
            *("req", "-x509", *KEY, "-days", "2", "-subj", f"/CN=Authority {folder.name}"),
            *("-out", str(self.certificate), "-keyout", str(self._key)),
        )

    def sign(self, name: str, *, days: int = 2, extensions: str = LEAF) -> TlsFiles:
        """Return a certificate with its key, trusting this authority; ``days`` < 0: expired."""
        made = TlsFiles(
            self._folder / f"{name}.pem", self._folder / f"{name}.key", self.certificate
        )
        request = self._folder / f"{name}.csr"
        described = self._folder / f"{name}.ext"
        described.write_text(extensions, encoding="ascii")
        _openssl(
            *("req", *KEY, "-subj", f"/CN={name}"),
            *("-keyout", str(made.key), "-out", str(request)),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-days", str(days)),
            *("-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"),
            *("-extfile", str(described), "-out", str(made.certificate)),
        )
        return made


def lock(files: TlsFiles, locked: Path) -> Path:
    """Write the key again, locked with a password; return its path."""
    _openssl(
        *("pkcs8", "-topk8", "-in", str(files.key), "-out", str(locked)),
        *("-passout", "pass:only-for-tests"),
    )
    return locked


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
