"""Show films to the network in batches, and find out which film a batch fails for."""

from typing import TYPE_CHECKING

import structlog

from dicom import failpoints
from dicom.failpoints import Failpoint
from models.errors import GpuOutOfMemory, ModelError, UnreadableImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.protocols import Eye
    from models.values import ChestImage, Sight

log = structlog.get_logger(__name__)


def look(
    eye: "Eye", images: "Sequence[ChestImage]", batch: int
) -> "tuple[Sight | ModelError, ...]":
    """Return, film by film, what the network saw or why it could not.

    At most ``batch`` films go in at once. A batch without room on the accelerator is halved until
    films go alone; a batch with an unreadable film is taken apart the same way, so that one film
    never costs another its reading.
    """
    seen: list[Sight | ModelError] = []
    for start in range(0, len(images), batch):
        seen.extend(_look_at(eye, images[start : start + batch]))
    failpoints.reach(Failpoint.NETWORK_DONE)
    return tuple(seen)


def _look_at(eye: "Eye", images: "Sequence[ChestImage]") -> "list[Sight | ModelError]":
    try:
        return list(eye.look(images))
    except (GpuOutOfMemory, UnreadableImage) as error:
        if len(images) == 1:
            return [error]
        log.info("batch_halved", films=len(images), error=type(error).__name__)
        half = len(images) // 2
        return [*_look_at(eye, images[:half]), *_look_at(eye, images[half:])]
