"""``carina send``."""

from pathlib import Path
from typing import Annotated

import typer

from dicom.values import PacsNode
from service import secure, sending, terminal
from service.settings import load

SCU_AE_TITLE = "CARINA_SEND"
NOT_ALL_TAKEN = 1


def send(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files and folders")],
    *,
    calling: Annotated[str, typer.Option(help="AE title we call ourselves")] = SCU_AE_TITLE,
) -> None:
    """Send DICOM files to the listener by C-STORE, and tell what it answered.

    Exit code 1 if any file was not taken.
    """
    settings = load()
    with_tls = settings.listener_tls_certificate is not None
    host, port = settings.listener_host, settings.listener_port
    to = PacsNode(settings.listener_ae_title, host, port, with_tls)
    files, others = sending.find(paths)
    taken = 0
    with terminal.progress("sending", len(files)) as advance:
        for answer in sending.send(files, to, secure.requestor(settings, calling)):
            taken += answer.is_taken
            if not answer.is_taken:
                terminal.say(f"not taken: {answer.path}: {answer.words}")
            advance()
    skipped = f"; {len(others)} are not DICOM" if others else ""
    terminal.say(f"{taken} of {len(files)} files taken by {to}{skipped}")
    if taken < len(files) or not files:
        raise typer.Exit(NOT_ALL_TAKEN)
