"""Bundles: a folder with weights, ``bundle.toml`` and a hash for every file. Standard library only.

``bundle.toml``::

    name, version, role, use, architecture, licence, intended_use, card   text
    [input]       side (px), intensity (the convention, in words)
    [output]      regions, observations, masks (names in the order of the network's outputs)
    [thresholds]  "observation" = [absent_below, present_from]
    [operating]   numbers the serving code needs, by name
    [cardiothoracic] bias, sd
    [limits]      sentences = [...]
    [files]       "file name" = "sha256"
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import BundleInvalid, BundleMissing, WeightsMismatch
from models.values import ModelIdentity
from models.vocabulary import BundleUse, Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MANIFEST = "bundle.toml"
TEXTS = ("name", "version", "role", "use", "architecture", "licence", "intended_use", "card")
CHUNK_BYTES = 1 << 20
DIGEST_LENGTH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle. ``files`` maps a name to its SHA-256; ``weights_sha256`` is over them all.

    ``thresholds`` are ``(absent_below, present_from)``, probabilities. ``cardiothoracic`` is bias
    and standard deviation of the measured ratio.
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
    regions: tuple[str, ...]
    observations: tuple[str, ...]
    masks: tuple[str, ...]
    thresholds: "Mapping[Observation, tuple[float, float]]"
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
    faults = _faults(said)
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


def _faults(said: dict[str, Any]) -> list[str]:
    """Everything wrong with the manifest, in words."""
    faults = [
        f"{key} is missing or not text"
        for key in TEXTS
        if not isinstance(said.get(key), str) or not said[key].strip()
    ]
    if isinstance(said.get("use"), str) and said["use"] not in set(BundleUse):
        faults.append(f"use {said['use']!r} is none of {', '.join(BundleUse)}")
    tables = {key: said.get(key) for key in ("input", "output", "thresholds", "files", "limits",
                                             "operating", "cardiothoracic")}  # fmt: skip
    missing = [key for key, table in tables.items() if not isinstance(table, dict)]
    faults += [f"[{key}] is missing" for key in missing]
    if not missing:
        faults += _table_faults(said)
    return faults


def _table_faults(said: dict[str, Any]) -> list[str]:
    """Faults inside the tables, all of which are there."""
    faults = _input_faults(said["input"])
    for key in ("regions", "observations", "masks"):
        names = said["output"].get(key)
        if not _is_texts(names) or not names:
            faults.append(f"output.{key} is not a list of names")
    for name, pair in said["thresholds"].items():
        if name not in set(Observation) or not _is_pair(pair):
            faults.append(f"thresholds: {name!r} = {pair!r}")
    faults += [
        f"operating.{k} is no number" for k, v in said["operating"].items() if not _number(v)
    ]
    if not all(_number(said["cardiothoracic"].get(key)) for key in ("bias", "sd")):
        faults.append("cardiothoracic needs bias and sd")
    sentences = said["limits"].get("sentences")
    if not _is_texts(sentences):
        faults.append("limits.sentences is not a list of sentences")
    return faults + _file_faults(said["files"])


def _input_faults(table: dict[str, Any]) -> list[str]:
    """Faults in what is said about the input."""
    faults = []
    side = table.get("side")
    if not isinstance(side, int) or side <= 0:
        faults.append("input.side is not a positive number of pixels")
    if not isinstance(table.get("intensity"), str):
        faults.append("input.intensity is missing")
    return faults


def _file_faults(files: dict[str, Any]) -> list[str]:
    """Return a file's name is a plain name, its hash 64 hex digits."""
    faults = [] if files else ["no file is declared"]
    for name, value in files.items():
        if Path(name).name != name or name in {"", ".", "..", MANIFEST}:
            faults.append(f"file name {name!r} is not a plain name")
        if not (isinstance(value, str) and len(value) == DIGEST_LENGTH and _is_hex(value)):
            faults.append(f"the hash of {name!r} is not a SHA-256")
    return faults


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
    thresholds = {
        Observation(name): (float(pair[0]), float(pair[1]))
        for name, pair in said["thresholds"].items()
    }
    heart = said["cardiothoracic"]
    return Bundle(
        folder=folder, use=BundleUse(said["use"]), **texts,
        input_side=said["input"]["side"], intensity=said["input"]["intensity"],
        regions=tuple(said["output"]["regions"]),
        observations=tuple(said["output"]["observations"]),
        masks=tuple(said["output"]["masks"]),
        thresholds=thresholds,
        operating={key: float(value) for key, value in said["operating"].items()},
        cardiothoracic=(float(heart["bias"]), float(heart["sd"])),
        limits=tuple(said["limits"]["sentences"]),
        files=dict(said["files"]), weights_sha256=combined(said["files"]),
    )  # fmt: skip


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pair(pair: object) -> bool:
    """Two probabilities in order."""
    if not isinstance(pair, list) or len(pair) != 2 or not all(_number(v) for v in pair):  # noqa: PLR2004
        return False
    return bool(0.0 <= pair[0] <= pair[1] <= 1.0)


def _is_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _is_hex(value: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in value)
