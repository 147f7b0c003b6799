"""Row 10: time on the processor, at batch 1, for both looks, and from a file to its JSON.

The film is one that is read to the end: what is refused is quick.
"""

import io
import json
import os
import time

import numpy as np
from PIL import Image

from models import pipeline, summary
from models.anatomy.eye import OnnxEye
from models.evaluation.rows import Findings, Reach, Row
from models.training.onnx_file import EXAMPLES
from models.values import Analysis, ChestImage

GROUP = "CPU, 2 threads"
FILM = "frontal-with-mass.png"
ROWS, COLUMNS, RUNS = 2500, 2000, 30


def speed(eye: OnnxEye, runs: int = RUNS) -> Findings:
    """Return medians over ``runs`` in milliseconds, on a machine that may have other work.

    The eye is the one that serves: masks of regions are computed in the last row only.
    """
    with Image.open(EXAMPLES / FILM) as picture:  # 16 bits, which a JPEG has not
        grey = np.asarray(picture, np.float32)
    levels = Image.fromarray(np.rint(grey / grey.max() * 255).astype(np.uint8))
    film = levels.resize((COLUMNS, ROWS), Image.Resampling.BICUBIC)
    kept = io.BytesIO()
    film.save(kept, "JPEG", quality=92)
    inside, whole, masked = [], [], []
    for _ in range(runs + 2):
        before, started = eye.session_seconds, time.perf_counter()
        pixels = np.asarray(Image.open(io.BytesIO(kept.getvalue())).convert("L"))
        image = ChestImage("speed", np.divide(pixels, 255, dtype=np.float32))
        told = pipeline.analyse(image, eye)
        json.dumps(summary.to_json(told))
        whole.append(1e3 * (time.perf_counter() - started))
        inside.append(1e3 * (eye.session_seconds - before))
        json.dumps(summary.to_json(told, masks=True))
        masked.append(1e3 * (time.perf_counter() - started))
    network, file, more = (float(np.median(times[2:])) for times in (inside, whole, masked))
    read = isinstance(told, Analysis)
    cases = f"median of {runs}, a film that is {'read to the end' if read else 'REFUSED'}"
    loaded = "other processes were running beside it" if _busy() else "machine otherwise idle"
    return Findings([
        Row(GROUP, "network at batch 1, film and mirror image, ms", network, Reach(most=40.0),
            None, cases, note=loaded),
        Row(GROUP, f"file to JSON, ms ({COLUMNS} x {ROWS} JPEG)", file, Reach(most=150.0), None,
            cases, note=f"{loaded}; 10 % are slower than {np.quantile(whole[2:], 0.9):.0f} ms"),
        Row(GROUP, "the same, then once more with masks of regions, ms", more, None, None, cases,
            note="they take a second look at the film"),
    ])  # fmt: skip


def _busy() -> bool:
    """Whether the machine has more to do than this process, by its load average."""
    return os.getloadavg()[0] > 1.5  # noqa: PLR2004
