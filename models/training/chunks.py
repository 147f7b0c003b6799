"""Chunks of films: written by those who compose them, kept in a device's memory for training."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.training.sample import SCOPE_IN, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

FIELDS = ("film", "scope", "view", "mirrored", "mirror_known", "boxes", "present", "boxes_known",
          "presence_known", "masks", "masks_known", "region_masks", "region_masks_known",
          "findings", "findings_known", "signs", "signs_known", "attributes", "attributes_known",
          "quality", "quality_known", "places", "places_known")  # fmt: skip
PACKED = ("masks", "region_masks", "places")  # kept as bits along the last axis


def pack(samples: list[Sample]) -> "dict[str, NDArray[np.generic]]":
    """Return samples as arrays: films and attributes uint8, masks and places packed to bits."""
    arrays = {name: np.stack([np.asarray(getattr(s, name)) for s in samples]) for name in FIELDS}
    arrays["film"] = np.round(arrays["film"] * 255).astype(np.uint8)
    arrays["attributes"] = arrays["attributes"].astype(np.uint8)
    for name in PACKED:
        arrays[name] = np.packbits(arrays[name] > 0.5, axis=-1)  # noqa: PLR2004
    return arrays


def write(target: Path, samples: list[Sample]) -> None:
    """Write a chunk, aside first, and say so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".tmp.npz")
    np.savez(partial, allow_pickle=False, **pack(samples))
    partial.rename(target)
    kept = sum(s.scope == SCOPE_IN for s in samples)
    print(f"{target.name}: {kept} of {len(samples)} in scope", flush=True)  # noqa: T201


class Bank:
    """All chunks of a folder, in a device's memory; ``refresh`` picks up chunks written since."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self._folder, self._device = folder, device
        self._known: set[Path] = set()
        self._films = 0
        self._arrays: dict[str, Tensor] = {}  # with room for more films than there are
        self.refresh()

    def __len__(self) -> int:
        return self._films

    @property
    def paths(self) -> "frozenset[Path]":
        """The chunks that were read."""
        return frozenset(self._known)

    def refresh(self) -> None:
        """Read new chunks."""
        paths = sorted(p for p in self._folder.glob("chunk*.npz") if ".tmp" not in p.name)
        for path in paths:
            if path not in self._known:
                with np.load(path) as chunk:
                    lacking = sorted({*FIELDS} - {*chunk})
                    if lacking:
                        raise ValueError(f"{path} holds no {', '.join(lacking)}: compose it anew")
                    self._append({name: torch.from_numpy(chunk[name]) for name in FIELDS})
                self._known.add(path)

    def _append(self, fresh: "dict[str, Tensor]") -> None:
        """Add films; the room doubles when it is full, so that few of them are moved."""
        last = self._films + len(fresh["film"])
        for name, new in fresh.items():
            have = self._arrays.get(name)
            if have is None or len(have) < last:
                room = torch.empty((2 * last, *new.shape[1:]), dtype=new.dtype, device=self._device)
                if have is not None:
                    room[: self._films] = have[: self._films]
                self._arrays[name] = have = room
            have[self._films : last] = new.to(self._device)
        self._films = last

    def attributes(self) -> "NDArray[np.uint8]":
        """Signs by region ``(n, 36, 20)`` of the films whose signs are known."""
        told = {n: self._arrays[n][: self._films] for n in ("attributes", "attributes_known")}
        known = told["attributes_known"].cpu().numpy() > 0
        return np.asarray(told["attributes"].cpu().numpy()[known], np.uint8)

    def take(self, places: "NDArray[np.integer]") -> "dict[str, Tensor]":
        """Return the films at ``places`` as float tensors."""
        chosen = torch.from_numpy(places).to(self._device)
        batch = {name: array[chosen] for name, array in self._arrays.items()}
        shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=self._device)
        for name in PACKED:  # planes are square
            bits = ((batch[name][..., None] >> shifts) & 1).flatten(-2)
            batch[name] = bits[..., : bits.shape[-2]].float()
        batch["film"] = batch["film"].float() / 255.0
        return batch
