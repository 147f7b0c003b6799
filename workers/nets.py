"""The networks of a worker process: named by the settings, loaded once, when first needed."""

import functools
from typing import TYPE_CHECKING

from models import bundles
from models.errors import BundleMissing
from workers.spare import EyeWithSpare

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.bundles import Bundle
    from models.protocols import Eye
    from service.settings import Settings

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def anatomy_bundle(settings: "Settings") -> "Bundle":
    """Return the bundle that the settings name, verified.

    Raises
    ------
    BundleMissing
        If no bundle has that name.
    BundleInvalid, WeightsMismatch
        If a bundle on the way cannot be trusted.
    """
    folders = [settings.bundles] if settings.bundles is not None else []
    for folder in bundles.available(folders):
        bundle = bundles.load(folder)
        if bundle.name == settings.anatomy_bundle:
            return bundle
    raise BundleMissing(f"no bundle is called {settings.anatomy_bundle!r}")


def load(settings: "Settings") -> "Eye":
    """Load the network that looks at films, on the device the settings name.

    On an accelerator it has the processor to fall back on, loaded when a film first needs it.

    Raises
    ------
    BundleError
        If the bundle is missing or cannot be trusted.
    """
    # The network's libraries are heavy, and must never be touched before a worker has forked.
    from models.anatomy.eye import OnnxEye  # noqa: PLC0415

    bundle = anatomy_bundle(settings)
    on = functools.partial(OnnxEye, bundle, intra_op_num_threads=settings.network_threads)
    if settings.device == "cpu":
        return on(provider=PROVIDERS["cpu"])
    spare = functools.cache(functools.partial(on, provider=PROVIDERS["cpu"]))
    return EyeWithSpare(on(provider=PROVIDERS[settings.device]), spare)


def once(settings: "Settings") -> "Callable[[], Eye]":
    """Return a function that loads the network at its first call and keeps it."""
    return functools.cache(functools.partial(load, settings))
