"""Bundles: a folder with weights, ``bundle.toml`` and a hash for every file. Standard library only.

``bundle.toml``::

    name, version, role, use, architecture, licence, intended_use, card   text
    [input]       side (px), intensity (the convention, one of preparation.INTENSITIES)
    [output]      heads (what the network gives, see models.manifest.HEADS) and the names behind
                  them in their order: regions, observations, signs, masks, qualities
    [thresholds]  "observation" = [absent_below, present_from]
    [sign_thresholds], [quality_thresholds]  the same, by sign and by quality
    [operating]   numbers that the declared heads need, by name
    [cardiothoracic] bias, sd
    [limits]      sentences = [...]
    [files]       "file name" = "sha256"

A key that is not named here is a fault, and so is a number that is not finite.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import manifest as manifests
from models.errors import BundleInvalid, BundleMissing, WeightsMismatch
from models.manifest import MANIFEST, TEXTS
from models.values import ModelIdentity
from models.vocabulary import BundleUse, Observation, Quality, Sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle. ``files`` maps a name to its SHA-256; ``weights_sha256`` is over them all.

    ``heads`` is what the network gives. All thresholds are probabilities
    ``(absent_below, present_from)``. ``cardiothoracic`` is bias and standard deviation of the
    measured ratio. ``outlined`` are the regions whose masks learnt from real films too.
    """

    folder: Path
    name: str
    version: str
    role: str
    use: BundleUse
    architecture: str
    licence: str
    intended_use: str
    card: str
    input_side: int
    intensity: str
    heads: frozenset[str]
    regions: tuple[str, ...]
    observations: tuple[str, ...]
    signs: tuple[str, ...]
    masks: tuple[str, ...]
    qualities: tuple[str, ...]
    outlined: tuple[str, ...]
    thresholds: "Mapping[Observation, tuple[float, float]]"
    sign_thresholds: "Mapping[Sign, tuple[float, float]]"
    quality_thresholds: "Mapping[Quality, tuple[float, float]]"
    operating: "Mapping[str, float]"
    cardiothoracic: tuple[float, float]
    limits: tuple[str, ...]
    files: "Mapping[str, str]"
    weights_sha256: str

    @property
    def identity(self) -> ModelIdentity:
        """What goes into Algorithm Identification and the audit trail."""
        return ModelIdentity(self.name, self.version, self.weights_sha256, self.use)


def shipped() -> Path:
    """Where the packaged bundles lie: one folder each."""
    return Path(__file__).parent / "shipped"


def available(paths: "Iterable[Path]" = ()) -> tuple[Path, ...]:
    """Bundle folders under ``paths`` (each a bundle or a folder of bundles), the shipped ones last.

    Nothing is verified here; ``load`` does that.
    """
    found: list[Path] = []
    for path in (*paths, shipped()):
        if (path / MANIFEST).is_file():
            found.append(path)
        elif path.is_dir():
            found += sorted(child for child in path.iterdir() if (child / MANIFEST).is_file())
    return tuple(dict.fromkeys(found))


def find(paths: "Iterable[Path]" = (), *, role: str = "anatomy") -> Bundle:
    """Return the first bundle with this role, verified.

    Raises
    ------
    BundleMissing
        If none has it.
    BundleInvalid, WeightsMismatch
        If a bundle on the way cannot be trusted: a broken one is never skipped in silence.
    """
    for folder in available(paths):
        bundle = load(folder)
        if bundle.role == role:
            return bundle
    raise BundleMissing(f"no bundle with the role {role!r}")


def load(folder: Path) -> Bundle:
    """Read and verify a bundle.

    Raises
    ------
    BundleMissing
        If the folder or its ``bundle.toml`` is not there.
    BundleInvalid
        If ``bundle.toml`` lacks something or says something illegal; names every fault.
    WeightsMismatch
        If a file is missing, surplus or not the declared bytes; names every fault.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise BundleMissing(f"no {MANIFEST} in {folder}")
    try:
        said = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BundleInvalid(f"{manifest}: {error}") from error
    faults = manifests.faults(said)
    if faults:
        raise BundleInvalid(f"{manifest}: " + "; ".join(faults))
    _verify(folder, said["files"])
    return _build(folder, said)


def digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    running = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            running.update(piece)
    return running.hexdigest()


def combined(files: "Mapping[str, str]") -> str:
    """One hash over all declared files, independent of their order."""
    lines = "".join(f"{value}  {name}\n" for name, value in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _verify(folder: Path, files: "Mapping[str, str]") -> None:
    """Every declared file is there with its bytes, and nothing else is."""
    faults = []
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    faults += [f"{name} is not declared" for name in sorted(present - set(files))]
    for name, expected in sorted(files.items()):
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif digest(path) != expected.lower():
            faults.append(f"{name} is not the declared bytes")
    if faults:
        raise WeightsMismatch(f"{folder}: " + "; ".join(faults))


def _build(folder: Path, said: dict[str, Any]) -> Bundle:
    """Return the manifest as a value; it has been checked."""
    texts = {key: said[key] for key in TEXTS if key != "use"}
    output = said["output"]
    heart = said["cardiothoracic"]
    return Bundle(
        folder=folder, use=BundleUse(said["use"]), **texts,
        input_side=said["input"]["side"], intensity=said["input"]["intensity"],
        heads=frozenset(output["heads"]), regions=tuple(output["regions"]),
        observations=tuple(output.get("observations", ())),
        signs=tuple(output.get("signs", ())), masks=tuple(output.get("masks", ())),
        qualities=tuple(output.get("qualities", ())),
        outlined=tuple(output.get("outlined", ())),
        thresholds={Observation(n): pair for n, pair in _pairs(said["thresholds"])},
        sign_thresholds={Sign(n): pair for n, pair in _pairs(said.get("sign_thresholds", {}))},
        quality_thresholds={
            Quality(n): pair for n, pair in _pairs(said.get("quality_thresholds", {}))
        },
        operating={key: float(value) for key, value in said["operating"].items()},
        cardiothoracic=(float(heart["bias"]), float(heart["sd"])),
        limits=tuple(said["limits"]["sentences"]),
        files=dict(said["files"]), weights_sha256=combined(said["files"]),
    )  # fmt: skip


def _pairs(table: dict[str, list[float]]) -> "Iterable[tuple[str, tuple[float, float]]]":
    return ((name, (float(low), float(high))) for name, (low, high) in table.items())
