"""Row 10: time on the processor, at batch 1, for both looks, and from a file to its JSON."""

import io
import json
import os
import time
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models import pipeline, summary
from models.evaluation.rows import Findings, Reach, Row
from models.values import ChestImage

if TYPE_CHECKING:
    from models.evaluation.looking import ListeningEye

GROUP = "CPU, 2 threads"
ROWS, COLUMNS, RUNS = 2500, 2000, 30


def speed(eye: "ListeningEye", runs: int = RUNS) -> Findings:
    """Return medians over ``runs`` in milliseconds, on a machine that may have other work."""
    small = np.random.default_rng(0).random((ROWS // 8, COLUMNS // 8)) * 255
    film = Image.fromarray(small.astype(np.uint8)).resize((COLUMNS, ROWS))
    kept = io.BytesIO()
    film.save(kept, "JPEG", quality=92)
    inside, whole = [], []
    for _ in range(runs + 2):
        before, started = eye.session_seconds, time.perf_counter()
        pixels = np.asarray(Image.open(io.BytesIO(kept.getvalue())).convert("L"), np.float32)
        image = ChestImage("speed", pixels / np.float32(255))
        json.dumps(summary.to_json(pipeline.analyse(image, eye)))
        whole.append(1e3 * (time.perf_counter() - started))
        inside.append(1e3 * (eye.session_seconds - before))
    network, file = float(np.median(inside[2:])), float(np.median(whole[2:]))
    cases = f"median of {runs}"
    loaded = "other processes were running beside it" if _busy() else "machine otherwise idle"
    return Findings([
        Row(GROUP, "network at batch 1, film and mirror image, ms", network, Reach(most=40.0),
            None, cases, note=loaded),
        Row(GROUP, f"file to JSON, ms ({COLUMNS} x {ROWS} JPEG)", file, Reach(most=150.0), None,
            cases, note=f"{loaded}; 10 % are slower than {np.quantile(whole[2:], 0.9):.0f} ms"),
    ])  # fmt: skip


def _busy() -> bool:
    """Whether the machine has more to do than this process, by its load average."""
    return os.getloadavg()[0] > 1.5  # noqa: PLR2004
