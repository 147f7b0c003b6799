"""Where the embedded servers keep their data, and as whom they run.

Postgres refuses to run as root. Started by root it therefore runs as an unprivileged user, who
must be able to reach its data and its programs; nothing on the machine is opened up for that: what
cannot be reached is copied (programs) or kept elsewhere (data).
"""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import EmbeddedServerFailed
from service.files import OWNER_ONLY_FOLDER
from service.processes import Account

if TYPE_CHECKING:
    from service.embedded.binaries import Installed

ACCOUNTS = ("carina", "nobody")
"""Root runs the servers as the first of these that the machine knows."""

OUTSIDE = Path("/var/lib/carina")
SEARCHABLE = 0o711  # others may pass through, not look around
ALL_MAY_SEARCH = 0o001


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of both servers; ``account`` is None when they run as the caller."""

    folder: Path
    account: Account | None

    @property
    def programs(self) -> Path:
        """Copies of programs that the account could not reach where they were installed."""
        return self.folder / "programs"

    def data_folder(self, name: str) -> Path:
        """Return the folder of one server, made if need be, for its account only."""
        path = self.folder / name
        path.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        self.hand_over(path)
        return path

    def hand_over(self, path: Path) -> None:
        """Give a file or folder to the account that the servers run as."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def choose(home: Path, installation_id: str, outside: Path = OUTSIDE) -> Place:
    """Return where the servers of the installation in ``home`` live; what exists stays.

    Raises
    ------
    EmbeddedServerFailed
        If the place that already exists cannot be used as things are now.
    """
    inside, elsewhere = home / "servers", outside / installation_id
    account = unprivileged_account() if os.geteuid() == 0 else None
    folder = elsewhere if elsewhere.is_dir() else inside
    if account is not None and folder == inside and not is_reachable(home, account):
        if inside.is_dir():
            raise EmbeddedServerFailed(
                f"the database is in {inside}, which the user {account.name!r} cannot reach any"
                " more: let others pass through the folders above it (chmod o+x)"
            )
        folder = elsewhere
    folder.mkdir(parents=True, exist_ok=True)
    if account is not None:
        folder.chmod(SEARCHABLE)
        _require_reachable(folder, account)
    return Place(folder, account)


def unprivileged_account() -> Account:
    """Return the user that servers started by root run as.

    Raises
    ------
    EmbeddedServerFailed
        If the machine knows none of ``ACCOUNTS``.
    """
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerFailed(
        "Postgres does not run as root and there is no user 'carina' or 'nobody' to run it as:"
        " useradd --system carina"
    )


def is_reachable(path: Path, account: Account) -> bool:
    """Return whether an account that owns nothing here can pass down to ``path``.

    Only the permission for others counts; access lists are not looked at.
    """
    whole = path.resolve()
    above = [folder for folder in (whole, *whole.parents) if folder.is_dir()]
    return all(
        folder.stat().st_mode & ALL_MAY_SEARCH or folder.stat().st_uid == account.uid
        for folder in above
    )


def runnable(installed: "Installed", place: Place, name: str) -> Path:
    """Return a folder from which the account can run the installed programs.

    Parameters
    ----------
    installed
        The programs and all they need.
    place
        Where a copy goes if the account cannot reach them; it is made once.
    name
        Name of the copy; it holds the version, so that an update makes a new one.
    """
    if place.account is None or is_reachable(installed.folder, place.account):
        return installed.folder
    copy = place.programs / name
    if not copy.is_dir():
        scratch = copy.with_name(f"{name}.partial")
        shutil.rmtree(scratch, ignore_errors=True)
        for part in installed.parts:
            _copy(part, scratch / part.relative_to(installed.root))
        _open_for_reading(scratch)
        place.programs.chmod(SEARCHABLE)
        scratch.rename(copy)  # a copy is there whole or not at all
    return copy / installed.folder.relative_to(installed.root)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def _open_for_reading(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)


def _require_reachable(folder: Path, account: Account) -> None:
    if not is_reachable(folder, account):
        raise EmbeddedServerFailed(
            f"the user {account.name!r}, whom Postgres runs as, cannot reach {folder}: let others"
            " pass through the folders above it (chmod o+x)"
        )
