"""A studio whose patient is the chest of ellipsoids: films in a moment, without any CT."""

from toy_chest import build

from models.simulate.studio import Studio

SIDE = 96


def toy_studio() -> Studio:
    """A patient made of ellipsoids, with arms that cannot be raised."""
    projector, maps = build()
    return Studio(projector, projector, maps)
