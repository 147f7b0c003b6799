"""Receiving: images per second and response times, every receiver in the same run, interleaved."""

import contextlib
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import storescu
from scripts.bench import loads, targets

SENDERS = (1, 4, 10)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One target, one number of senders, one repetition."""

    images_per_s: float
    mb_per_s: float
    cpu_ms_per_image: float
    response_p50_ms: float
    response_p99_ms: float


def measure(folder: Path, images: int, repeats: int, say: Say) -> dict[str, Any]:
    """Return the medians for every target and number of senders.

    Targets take turns inside each repetition, so that a busy minute of the machine hits all.

    Raises
    ------
    CommandFailed, RuntimeError
        If a sender fails or a receiver refuses anything.
    """
    with contextlib.ExitStack() as stack:
        compared: list[targets.Target] = [
            stack.enter_context(targets.storescp(folder / "storescp")),
            stack.enter_context(targets.packaged_orthanc(folder / "orthanc")),
            stack.enter_context(targets.carina(folder / "one", 1)),
            stack.enter_context(targets.carina(folder / "two", 2)),
        ]
        load = stack.enter_context(loads.copies(images))
        _warm_up(compared, load)
        taken: dict[tuple[str, int], list[Run]] = {}
        for repeat in range(repeats):
            for senders in SENDERS:
                for target in compared:
                    run = _one(target, senders, load)
                    taken.setdefault((target.name, senders), []).append(run)
                    say(
                        f"ingest {repeat + 1}/{repeats}: {senders:2} senders to {target.name}: "
                        f"{run.images_per_s:.1f} images/s"
                    )
        return {
            "images": images,
            "repeats": repeats,
            "image_bytes": load.size_bytes,
            "rows": _rows([target.name for target in compared], taken),
        }


def _warm_up(compared: Sequence[targets.Target], load: loads.Load) -> None:
    for target in compared:
        load.renew()
        storescu.send(load.files[:4], target.node, "BENCH")
        target.make_room()


def _one(target: targets.Target, senders: int, load: loads.Load) -> Run:
    load.renew()
    os.sync()  # what an earlier run left to write must not be this one's burden
    before, cpu = target.stored(), target.cpu_s()
    seconds, sent = storescu.send_with(senders, load.files, target.node)
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


def _rows(names: list[str], taken: dict[tuple[str, int], list[Run]]) -> list[dict[str, Any]]:
    rows = []
    for senders in SENDERS:
        medians = {name: _median(taken[name, senders]) for name in names}
        orthanc = medians["Orthanc"]["images_per_s"]
        storescp = medians["storescp"]["images_per_s"]
        rows += [
            {
                "senders": senders,
                "target": name,
                **medians[name],
                "times_orthanc": round(medians[name]["images_per_s"] / orthanc, 2),
                "times_storescp": round(medians[name]["images_per_s"] / storescp, 2),
            }
            for name in names
        ]
    return rows


def _median(runs: list[Run]) -> dict[str, float]:
    return {
        field: round(statistics.median(getattr(run, field) for run in runs), 1)
        for field in Run.__dataclass_fields__
    }
