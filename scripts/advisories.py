"""Ask the open advisory database (osv.dev) about every version that the lock files pin.

``make audit``. Exit code 0: nothing known against them; 1: something is, and it is listed. When the
database cannot be reached (CI without internet, a site behind a firewall) that is said in one line
and the exit code is 0, so that a build does not hang on somebody else's server; with ``--strict``
it is 2. Nothing but names and versions of public packages leaves the machine.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

SERVICE = "https://api.osv.dev/v1/querybatch"
REQUIREMENTS = Path(__file__).parents[1] / "requirements"
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
AT_ONCE = 500
PATIENCE_S = 20.0
FOUND, NOT_ASKED = 1, 2


class Unreachable(Exception):
    """The advisory database does not answer as it should."""


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One pinned version."""

    name: str
    version: str


def pinned(files: Iterable[Path]) -> tuple[Package, ...]:
    """Return every pinned version in lock files, once."""
    found = {
        Package(name.lower(), version)
        for path in files
        for name, version in PIN.findall(path.read_text(encoding="utf-8"))
    }
    return tuple(sorted(found))


def advisories(
    packages: tuple[Package, ...], service: str = SERVICE
) -> Mapping[Package, tuple[str, ...]]:
    """Return the numbers of what is known against each package; only those with any.

    Raises
    ------
    Unreachable
        If there is no answer in time, or one that cannot be understood.
    """
    known: dict[Package, tuple[str, ...]] = {}
    for start in range(0, len(packages), AT_ONCE):
        some = packages[start : start + AT_ONCE]
        for package, result in zip(some, _ask(some, service), strict=True):
            if numbers := tuple(str(one["id"]) for one in result.get("vulns", ())):
                known[package] = numbers
    return known


def _ask(packages: tuple[Package, ...], service: str) -> list[dict[str, list[dict[str, str]]]]:
    queries = [
        {"package": {"ecosystem": "PyPI", "name": one.name}, "version": one.version}
        for one in packages
    ]
    try:
        answer = httpx.post(service, json={"queries": queries}, timeout=PATIENCE_S)
        answer.raise_for_status()
        results = answer.json()["results"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise Unreachable(type(error).__name__) from None
    if not isinstance(results, list) or len(results) != len(packages):
        raise Unreachable("an answer to another question")
    return results


def main(arguments: list[str] | None = None) -> int:
    """Print what is known and return the exit code."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--strict", action="store_true", help="fail when it cannot be asked")
    parser.add_argument("--service", default=SERVICE, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    packages = pinned(sorted(REQUIREMENTS.glob("*.txt")))
    try:
        known = advisories(packages, chosen.service)
    except Unreachable as error:
        print(f"advisories: NOT ASKED about {len(packages)} packages, no answer ({error})")
        return NOT_ASKED if chosen.strict else 0
    for package, numbers in known.items():
        print(f"advisories: {package.name} {package.version}: {', '.join(numbers)}")
    print(f"advisories: asked about {len(packages)} packages, {len(known)} with advisories")
    return FOUND if known else 0


if __name__ == "__main__":
    sys.exit(main())
