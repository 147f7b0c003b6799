"""A modality that sends until it is told success, as routers do, and remembers each answer."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association

from dicom import film
from dicom.film import FilmDescription, FilmPatient
from scripts.faults.plan import Episode
from scripts.faults.switch import LOOPBACK

if TYPE_CHECKING:
    import socket

ROWS, COLUMNS = 272, 256
PAUSE_S = 0.5
PATIENCE_S = 10.0
EXPLICIT = "1.2.840.10008.1.2.1"
_DATA_SET_LENGTH_AT = 140  # (0002,0000), PS3.10 7.1

_config.STORE_SEND_CHUNKED_DATASET = True


@dataclass
class Sent:
    """One film: the file, the SHA-256 of its data set, and every answer it got (None: none).

    ``turned_away`` counts the associations that were not to be had for it.
    """

    path: Path
    study_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    sha256: str
    answers: list[int | None] = field(default_factory=list)
    turned_away: int = 0

    @property
    def is_accepted(self) -> bool:
        """Whether it was answered 0x0000, once at least."""
        return 0x0000 in self.answers


def data_set(part10: bytes) -> bytes:
    """Return what follows the file meta information: the data set as it goes over the line."""
    length = int.from_bytes(part10[_DATA_SET_LENGTH_AT : _DATA_SET_LENGTH_AT + 4], "little")
    return part10[_DATA_SET_LENGTH_AT + 4 + length :]


def films(episode: Episode, folder: Path) -> tuple[tuple[Sent, ...], ...]:
    """Make the films of an episode, study by study; the same episode gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        tuple(_film(episode, study, number, folder) for number in range(count))
        for study, count in enumerate(episode.films)
    )


def _film(episode: Episode, study: int, number: int, folder: Path) -> Sent:
    seed = f"{episode.name}/{study}/{number}"
    digest = hashlib.sha256(seed.encode()).digest()
    noise = np.random.default_rng(int.from_bytes(digest[:8], "little")).random((ROWS, COLUMNS))
    described = FilmDescription(
        seed=seed,
        study=f"{episode.name}/{study}",
        patient=FilmPatient(patient_id="FAULTS"),
        instance_number=number + 1,
    )
    ds = film.from_pixels((noise * 40000 + 8000).astype(np.uint16), described)
    content = film.encode(ds)
    path = folder / f"{study}-{number}.dcm"
    path.write_bytes(content)
    return Sent(
        path,
        str(ds.StudyInstanceUID),
        str(ds.SOPInstanceUID),
        str(ds.SOPClassUID),
        hashlib.sha256(data_set(content)).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class Road:
    """The way to the listener: its address, and whose network the sender sits ``inside``.

    ``passed`` is told how many bytes have just gone out.
    """

    port: int
    host: str = LOOPBACK
    inside: Callable[[], AbstractContextManager[None]] = nullcontext
    passed: Callable[[int], None] = lambda _count: None


class Modality:
    """Sends each study from a thread of its own."""

    def __init__(self, road: Road, studies: Sequence[Sequence[Sent]], deadline: float) -> None:
        self._road = road
        self._deadline = deadline
        self._threads = [
            threading.Thread(target=self._send_study, args=(study,), daemon=True)
            for study in studies
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Wait until everything is accepted, or the deadline has passed."""
        for thread in self._threads:
            thread.join(max(0.1, self._deadline - time.monotonic()))

    def _send_study(self, study: Sequence[Sent]) -> None:
        while time.monotonic() < self._deadline:
            waiting = [one for one in study if not one.is_accepted]
            if not waiting:
                return
            self._offer(waiting)
            if not all(one.is_accepted for one in study):
                time.sleep(PAUSE_S)

    def _offer(self, waiting: Sequence[Sent]) -> None:
        ae = _Tidy("MODALITY")
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = PATIENCE_S
        ae.network_timeout = PATIENCE_S
        for sop_class in {one.sop_class_uid for one in waiting}:
            ae.add_requested_context(sop_class, [EXPLICIT])
        told: list[evt.EventHandlerType] = [
            (evt.EVT_DATA_SENT, lambda event: self._road.passed(len(event.data)))
        ]
        with self._road.inside():
            association = ae.associate(
                self._road.host, self._road.port, ae_title="CARINA", evt_handlers=told
            )
        _store(association, waiting)
        ae.close_sockets()


class _Tidy(AE):
    """Closes the sockets that pynetdicom leaves open when the other side has cut them."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._sockets: list[socket.socket] = []

    def _create_socket(self, *args: Any) -> Any:  # noqa: ANN401  (of pynetdicom)
        wrapped = super()._create_socket(*args)
        if wrapped.socket is not None:
            self._sockets.append(wrapped.socket)
        return wrapped

    def close_sockets(self) -> None:
        """Close each; harmless where that was done."""
        for one in self._sockets:
            one.close()


def _store(association: Association, waiting: Sequence[Sent]) -> None:
    """Send one film after the other, for as long as there is an association."""
    for one in waiting:
        if not association.is_established:
            one.turned_away += 1
            continue
        try:
            answer = association.send_c_store(one.path)
        except RuntimeError:  # ended in between
            one.turned_away += 1
            continue
        one.answers.append(int(answer.Status) if "Status" in answer else None)
    if association.is_established:
        association.release()
