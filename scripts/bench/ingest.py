"""Receiving: images per second and response times, every receiver in the same run, interleaved."""

import contextlib
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom import fast_path
from scripts import storescu
from scripts.bench import loads, targets

SENDERS = (1, 4, 10)
WARM_UP = 4  # images
J2K_ONLY = ("--propose-j2k-lossless",)
TIMES_ORTHANC, CPU_MS = 1.0, 25.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of image: what the tables call it, its load, what ``storescu`` is told."""

    name: str
    load: loads.Load
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One target, one number of senders, one repetition."""

    images_per_s: float
    mb_per_s: float
    cpu_ms_per_image: float
    response_p50_ms: float
    response_p99_ms: float


def measure(folder: Path, images: int, repeats: int, say: Say) -> dict[str, Any]:
    """Return the medians for every kind of image, target and number of senders.

    Targets take turns inside each repetition, so that a busy minute of the machine hits all.

    Raises
    ------
    CommandFailed, RuntimeError
        If a sender fails or a receiver refuses anything.
    """
    taken: dict[tuple[str, int, str], list[Run]] = {}
    with contextlib.ExitStack() as stack:
        compared = _targets(folder, stack)
        kinds = [stack.enter_context(one) for one in (_uncompressed(images), _jpeg_2000(images))]
        for kind in kinds:
            _warm_up(compared, kind)
        for repeat in range(repeats):
            for kind in kinds:
                for senders in SENDERS:
                    for target in compared:
                        run = _one(target, senders, kind)
                        taken.setdefault((kind.name, senders, target.name), []).append(run)
                        say(
                            f"ingest {repeat + 1}/{repeats}: {kind.name}, {senders:2} senders to "
                            f"{target.name}: {run.images_per_s:.1f} images/s, "
                            f"{run.cpu_ms_per_image:.1f} ms"
                        )
        obstacle = fast_path.obstacle()
        return {
            "images": images,
            "repeats": repeats,
            "image_bytes": {kind.name: kind.load.size_bytes for kind in kinds},
            "fast_path": "can be taken" if obstacle is None else f"not taken: {obstacle}",
            "rows": rows([target.name for target in compared], taken),
        }


def _targets(folder: Path, stack: contextlib.ExitStack) -> list[targets.Target]:
    """Start every receiver; the listeners of Carina share one spool and one database."""
    compared: list[targets.Target] = [
        stack.enter_context(targets.storescp(folder / "storescp")),
        stack.enter_context(targets.packaged_orthanc(folder / "orthanc")),
    ]
    shipped = stack.enter_context(targets.carina(folder / "carina", 1))
    compared.append(shipped)
    for processes, is_fast in ((2, False), (1, True), (2, True)):
        more = targets.listeners(shipped, fast_path=is_fast, processes=processes)
        compared.append(stack.enter_context(more))
    return compared


@contextlib.contextmanager
def _uncompressed(images: int) -> Iterator[Kind]:
    with loads.copies(images) as load:
        yield Kind("uncompressed", load)


@contextlib.contextmanager
def _jpeg_2000(images: int) -> Iterator[Kind]:
    with loads.jpeg_2000() as source, loads.copies(images, source) as load:
        yield Kind("JPEG 2000", load, J2K_ONLY)


def _warm_up(compared: Sequence[targets.Target], kind: Kind) -> None:
    for target in compared:
        kind.load.renew()
        storescu.send(kind.load.files[:WARM_UP], target.node, "BENCH", kind.options)
        target.make_room()


def _one(target: targets.Target, senders: int, kind: Kind) -> Run:
    load = kind.load
    load.renew()
    os.sync()  # what an earlier run left to write must not be this one's burden
    before, cpu = target.stored(), target.cpu_s()
    seconds, sent = storescu.send_with(senders, load.files, target.node, kind.options)
    cpu = target.cpu_s() - cpu
    images = len(load.files)
    if sent.failures or len(sent.response_s) != images or target.stored() - before != images:
        raise RuntimeError(f"{target.name} did not store all {images} images: {sent.failures}")
    target.make_room()
    responses = sorted(sent.response_s)
    return Run(
        images_per_s=images / seconds,
        mb_per_s=images * load.size_bytes / seconds / 1e6,
        cpu_ms_per_image=cpu / images * 1000,
        response_p50_ms=statistics.median(responses) * 1000,
        response_p99_ms=responses[max(0, round(len(responses) * 0.99) - 1)] * 1000,
    )


def rows(
    names: Sequence[str], taken: dict[tuple[str, int, str], list[Run]]
) -> list[dict[str, Any]]:
    """Return one row for each kind of image, number of senders and receiver, in that order."""
    made = []
    for kind, senders in dict.fromkeys(key[:2] for key in taken):
        medians = {name: _median(taken[kind, senders, name]) for name in names}
        orthanc, storescp = medians["Orthanc"], medians["storescp"]
        made += [
            {
                "kind": kind,
                "senders": senders,
                "target": name,
                **one,
                "times_orthanc": round(one["images_per_s"] / orthanc["images_per_s"], 2),
                "times_storescp": round(one["images_per_s"] / storescp["images_per_s"], 2),
                "missed": missed(one, orthanc) if name.startswith("Carina") else None,
            }
            for name, one in medians.items()
        ]
    return made


def missed(one: dict[str, float], orthanc: dict[str, float]) -> list[str]:
    """Return which of the aims a receiver misses: as fast as Orthanc, as even, at 25 ms of CPU."""
    aims = {
        "images/s": one["images_per_s"] >= TIMES_ORTHANC * orthanc["images_per_s"],
        "p99": one["response_p99_ms"] <= orthanc["response_p99_ms"],
        "CPU": one["cpu_ms_per_image"] <= CPU_MS,
    }
    return [name for name, is_met in aims.items() if not is_met]


def _median(runs: list[Run]) -> dict[str, float]:
    return {
        field: round(statistics.median(getattr(run, field) for run in runs), 1)
        for field in Run.__dataclass_fields__
    }
