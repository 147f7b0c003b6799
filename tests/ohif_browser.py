"""OHIF in a headless Chromium, driven by a list of actions; see ``tests/e2e/ohif/drive.mjs``."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DRIVER = ROOT / "tests" / "e2e" / "ohif" / "drive.mjs"
CACHE = ROOT / "build" / "ohif"
PLAYWRIGHT = "playwright-core@1.65.1"
RUN_S = 420


def chromium() -> str | None:
    """Return the browser of the distribution, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def install() -> None:
    """Put the driver's only library into the cache folder; the browser is the distribution's."""
    if (CACHE / "node_modules" / "playwright-core").is_dir():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", PLAYWRIGHT]
    subprocess.run(command, cwd=CACHE, check=True, capture_output=True, timeout=300)


def drive(url: str, actions: list[list[Any]], out: Path) -> list[Any]:
    """Do the actions in one page; return the answer of each. Screenshots go to ``out``."""
    order = {"url": url, "chromium": chromium(), "out": str(out), "actions": actions}
    done = subprocess.run(
        ["node", str(DRIVER)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        timeout=RUN_S,
        env=os.environ | {"OHIF_MODULES": str(CACHE)},
    )
    if done.returncode != 0:
        raise AssertionError(f"the browser stopped: {done.stderr[-1500:]} (see {out}/failed.png)")
    answers: list[Any] = json.loads(done.stdout)
    return answers
