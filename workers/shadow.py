"""Read a study as a worker would, and keep nothing of it: for a comparison."""

from typing import TYPE_CHECKING

from models import summary
from service import reading as site
from service.comparing import Reading
from service.errors import NothingToRead
from workers import drafting, encoding, films, looking
from workers.trail import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.protocols import Eye
    from service.settings import Settings
    from service.sources import SourceInstance

NAME = "here and now"


def read(instances: "Sequence[SourceInstance]", eye: "Eye", settings: "Settings") -> Reading:
    """Return what this eye makes of a study, as a job's summary would say it.

    Raises
    ------
    NothingToRead
        If the study holds no film that could be read.
    SpooledFileDamaged
        If a file is not what was received.
    """
    picked = films.pick(instances, site.policy(settings))
    if not picked.films:
        raise NothingToRead("the study holds no film that could be read")
    sights = looking.look(eye, [film.image for film in picked.films], settings.batch)
    drafted = drafting.draft(picked.films, sights, eye)
    models = {model for draft in drafted.drafts for model in draft.analysis.models}
    names = sorted(f"{one.name} {one.version} {one.weights_sha256[:12]}" for one in models)
    return Reading(
        ", ".join([NAME, *names]),
        {
            "models": [identity(one) for one in models],
            "films": [
                summary.to_json(draft.analysis) | {"sop_instance_uid": draft.sop_instance_uid}
                for draft in drafted.drafts
            ],
            "rejected": encoding.turned_away((*picked.rejected, *drafted.rejected)),
        },
    )
