"""From drafts to kept files: encode once, keep on disk, and say in words what was made."""

import io
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from dicom import failpoints, results
from dicom.drafts import ResultContext, use_of
from dicom.failpoints import Failpoint
from dicom.pictures import OVERVIEW_PX
from dicom.sr.replaced import documents
from dicom.values import ResultKind
from models import pictures, summary
from models.vocabulary import BundleUse
from workers import destination, files
from workers.trail import identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from dicom.drafts import FilmDraft
    from dicom.profile import DestinationProfile
    from dicom.values import KeptResult, Rejected, ReplacedResult
    from service.values import Job
    from workers.context import WorkerContext


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be encoded: the drafts of one job, and all that a reader is told beside them.

    ``overviews`` fills while it is encoded: the pictures by SOP Instance UID, drawn once for both
    the archive and `carina show --png`.
    """

    job: "Job"
    drafts: "tuple[FilmDraft, ...]"
    rejected: "tuple[Rejected, ...]"
    profile: "DestinationProfile"
    replaced: "tuple[ReplacedResult, ...]"
    overviews: "dict[str, NDArray[np.uint8]]" = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Encoded:
    """What lies on disk now; ``summary`` is for `carina show`, ``seconds`` by stage."""

    kept: "tuple[KeptResult, ...]"
    summary: "Mapping[str, Any]"
    bundle: str
    seconds: "Mapping[str, float]"


def encode(order: Order, context: "WorkerContext") -> Encoded:
    """Encode and keep the results of one job.

    The files of each attempt lie in a folder of their own: a worker that lost its claim writes
    beside the winner's files, never over them.

    Raises
    ------
    EncodingFailed
        If an object could not be built.
    """
    settings = context.settings
    banner = destination.banner(use_of(order.drafts))
    makes_pictures = ResultKind.PICTURES in settings.results and order.profile.pictures
    failpoints.reach(Failpoint.BEFORE_ENCODE)
    started = time.perf_counter()
    built = results.build(
        _with_overviews(order) if makes_pictures else order.drafts,
        ResultContext(
            job_id=order.job.job_id,
            revision=order.job.revision,
            produced_at=context.clock(),
            kinds=settings.results,
            profile=order.profile,
            rejected=order.rejected,
            banner=banner,
            predecessors=documents(order.replaced),
            replaced=order.replaced,
            software_version=context.software_version,
        ),
    )
    encoded = time.perf_counter()
    folder = settings.kept_results / str(order.job.job_id)
    kept = files.keep(folder / str(order.job.attempt), built)
    words = _in_words(order) | {
        "banner": list(banner),
        "not_taken": order.profile.not_taken(settings.results),
        "overlays": [f"{order.job.job_id}/{name}" for name in _overlay_names(order)],
    }
    seconds = {"encode": encoded - started, "keep": time.perf_counter() - encoded}
    return Encoded(kept, words, _bundle(order), seconds)


def _with_overviews(order: Order) -> "tuple[FilmDraft, ...]":
    """Draw every film once, for its overview in the archive and for `carina show --png`."""
    for draft in order.drafts:
        order.overviews[draft.sop_instance_uid] = pictures.overlay(draft.analysis, OVERVIEW_PX)
    return tuple(
        replace(draft, overview=order.overviews[draft.sop_instance_uid]) for draft in order.drafts
    )


def draw_overlays(order: Order, context: "WorkerContext") -> None:
    """Write the pictures that `carina show --png` gives; nothing that is delivered waits for them.

    ``overlay.png`` is the first film, then ``overlay-2.png`` …, in the job's folder of results.
    """
    folder = context.settings.kept_results / str(order.job.job_id)
    for name, draft in zip(_overlay_names(order), order.drafts, strict=True):
        overview = order.overviews.get(draft.sop_instance_uid)
        if overview is None:
            overview = pictures.overlay(draft.analysis, OVERVIEW_PX)
        buffer = io.BytesIO()
        # Level 1 is three times as fast as the usual one, and a tenth larger.
        Image.fromarray(overview).save(buffer, "PNG", compress_level=1)
        files.write_whole(folder / name, buffer.getvalue())


def use_in(words: "Mapping[str, Any]") -> BundleUse:
    """Return the use that a job's summary names; one that names none is held to be a demo."""
    try:
        return BundleUse(str(words.get("use")))
    except ValueError:
        return BundleUse.DEMO


def turned_away(rejected: "tuple[Rejected, ...]") -> list[dict[str, str]]:
    """Return the instances that are not read, with their reasons, as JSON."""
    return [
        {"sop_instance_uid": one.sop_instance_uid, "code": one.code, "words": one.words}
        for one in rejected
    ]


def _in_words(order: Order) -> dict[str, Any]:
    models = {model for draft in order.drafts for model in draft.analysis.models}
    return {
        "use": use_of(order.drafts).value,
        "models": [identity(model) for model in sorted(models, key=lambda one: one.name)],
        "films": [
            summary.to_json(draft.analysis) | {"sop_instance_uid": draft.sop_instance_uid}
            for draft in order.drafts
        ],
        "rejected": turned_away(order.rejected),
    }


def _bundle(order: Order) -> str:
    models = {model for draft in order.drafts for model in draft.analysis.models}
    return ", ".join(
        sorted(f"{one.name} {one.version} {one.weights_sha256[:12]}" for one in models)
    )


def _overlay_names(order: Order) -> list[str]:
    rest = [f"overlay-{number}.png" for number in range(2, len(order.drafts) + 1)]
    return ["overlay.png", *rest]
