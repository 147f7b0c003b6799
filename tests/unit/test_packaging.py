"""The installation shapes are what they say, and the paper about them is true."""

import re
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NETWORK_STACK = {"torch", "transformers", "onnx", "onnxruntime", "onnxruntime-gpu"}
GPL_DECODERS = {"pylibjpeg-libjpeg"}


def locked(lock: Path) -> dict[str, str]:
    """Name to version, of every requirement in a lock."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {str(canonicalize_name(name)): version for name, version in lines}


def declared(*extras: str) -> list[Requirement]:
    wanted = list(PROJECT["dependencies"])
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    return [Requirement(one) for one in wanted]


SHAPES = {
    "service": (),
    "worker-cpu": ("cpu",),
    "worker-gpu": ("gpu",),
    "embedded": ("embedded", "cpu"),
    "dev": ("embedded", "cpu", "dev"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_lock_satisfies_what_the_project_declares(shape: str) -> None:
    versions = locked(ROOT / "requirements" / f"{shape}.txt")
    for requirement in declared(*SHAPES[shape]):
        name = str(canonicalize_name(requirement.name))
        assert name in versions, f"{name} is not in the lock of {shape}"
        assert requirement.specifier.contains(versions[name].partition("+")[0], prereleases=True)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_locked_file_has_a_hash_and_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    pinned = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert pinned
    assert all("--hash=sha256:" in one for one in pinned)
    assert not re.search(r"https?://|file:/|^--", text, re.MULTILINE)


def test_the_base_install_has_no_network_stack() -> None:
    assert not NETWORK_STACK & locked(ROOT / "requirements" / "service.txt").keys()


def test_torch_is_in_no_lock_but_that_of_the_gpu_worker() -> None:
    holders = {lock.stem for lock in LOCKS if "torch" in locked(lock)}
    assert holders == {"worker-gpu"}


def test_the_checks_run_with_the_torch_of_the_gpu_worker() -> None:
    wanted = re.findall(
        r"^torch==(\S+)", (ROOT / "requirements" / "torch.in").read_text(), re.MULTILINE
    )
    assert wanted == [locked(ROOT / "requirements" / "worker-gpu.txt")["torch"]]


def test_only_one_onnxruntime_is_installed_at_a_time() -> None:
    # The two wheels hold the same module and overwrite each other.
    for lock in LOCKS:
        assert len({"onnxruntime", "onnxruntime-gpu"} & locked(lock).keys()) <= 1


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_gpl_decoder_is_installed(lock: Path) -> None:
    assert not GPL_DECODERS & locked(lock).keys()


def test_the_shapes_share_their_versions() -> None:
    reference = locked(ROOT / "requirements" / "dev.txt")
    for lock in LOCKS:
        shared = locked(lock).items()
        different = [name for name, version in shared if reference.get(name, version) != version]
        assert not different, f"{lock.stem} has other versions of {different}"


def test_every_make_target_is_listed_with_its_purpose() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    listing = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for target in phony.split():
        assert re.search(rf"^  make {target} +\S", listing, re.MULTILINE), target


def test_ci_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    commands = [
        line.strip()
        for line in script.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    assert commands[0] == "set -euo pipefail"
    assert commands[-1] == "make test </dev/null"


@pytest.mark.parametrize("script", ["venv", "system", "torch"])
def test_bootstrap_knows_the_steps_the_makefile_calls(script: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    bootstrap = (ROOT / "scripts" / "bootstrap.sh").read_text(encoding="utf-8")
    assert f"scripts/bootstrap.sh {script}" in makefile
    assert re.search(rf"^{script}\(\) {{", bootstrap, re.MULTILINE)


@pytest.mark.parametrize(
    "script", sorted(ROOT.glob("scripts/*.sh")) + sorted(ROOT.glob("deploy/**/*.sh")), ids=str
)
def test_a_shell_script_is_strict_executable_and_parses(script: Path) -> None:
    assert script.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_wheel_holds_the_four_packages_and_the_migrations() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = content["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == {"models", "dicom", "service", "workers", "migrations"}
    assert all((ROOT / package).is_dir() for package in packages)
