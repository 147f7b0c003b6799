"""What can go wrong while looking.

::

    ModelError
    ├── EmptyBox             a box without area, or not finite
    ├── UnreadableImage      the array is not a film: shape, size, type, NaN, constant
    ├── BundleError          a bundle cannot be trusted or used
    │   ├── BundleMissing    no such folder, or no bundle.toml in it
    │   ├── BundleInvalid    bundle.toml does not say what it must
    │   └── WeightsMismatch  a file's hash, or a network's keys, differ from the declaration
    ├── LibraryMissing       a library that only this step needs is not installed
    ├── OutputsNotFinite     the network computed something that is not a number
    ├── DeviceUnavailable    the device named by the settings is not there
    └── GpuOutOfMemory       the accelerator has no room for this batch
"""


class ModelError(Exception):
    """Root of everything the models package raises."""


class EmptyBox(ModelError):
    """A box without area, reversed, or not finite."""

    def __init__(self, x_min: float, y_min: float, x_max: float, y_max: float) -> None:
        super().__init__(f"empty or non-finite box ({x_min}, {y_min}, {x_max}, {y_max})")


class UnreadableImage(ModelError):
    """The array handed in is not a film."""


class BundleError(ModelError):
    """A bundle cannot be trusted or used."""


class BundleMissing(BundleError):
    """No such bundle folder, or no ``bundle.toml`` in it."""


class BundleInvalid(BundleError):
    """``bundle.toml`` lacks something or says something illegal."""


class WeightsMismatch(BundleError):
    """A file's hash, or a network's keys, differ from what the bundle declares."""


class LibraryMissing(ModelError):
    """A library that only this step needs is not installed, or does not load."""


class OutputsNotFinite(ModelError):
    """The network computed something that is not a number."""


class DeviceUnavailable(ModelError):
    """The device named by the settings is not there."""


class GpuOutOfMemory(ModelError):
    """The accelerator has no room for this batch."""
