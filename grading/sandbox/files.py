"""A submission's files on their way into a sandbox, and what it left on its way out."""

import os
import shutil
import stat
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

_LONGEST = 500  # characters of a path that is brought back


def pack(folder: Path, limit: int) -> IO[bytes]:
    """The plain files in a folder as a tar file; links, which could lead elsewhere, are left out.

    Raises ValueError if they are larger than `limit` bytes together.
    """
    archive = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's to close)
    size = 0

    def take(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        nonlocal size
        size += entry.size
        if size > limit:
            raise ValueError(
                f"The files in {folder} are larger than a sandbox's limit for files,"
                f" {limit} bytes: is it the folder of one submission?"
            )
        return entry if entry.isreg() or entry.isdir() else None

    with tarfile.open(fileobj=archive, mode="w") as stream:
        stream.add(folder, arcname=".", filter=take)
    archive.seek(0)
    return archive


def bring_back(work: int, folder: Path, limit: int) -> None:
    """Copy the plain files of an ended sandbox's working folder that `folder` has not.

    Links are left out, nothing is overwritten, nothing is written outside of `folder`, which may
    hold links itself, and no more than `limit` bytes. work: a descriptor of the working folder.
    """
    own, left = folder.resolve(), limit
    for path, folders, names, descriptor in os.fwalk(".", dir_fd=work):
        target = own / path
        if len(path) > _LONGEST or target.resolve() != target:
            folders.clear()
            continue
        for name in names:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            new = stat.S_ISREG(status.st_mode) and not os.path.lexists(target / name)
            if new and status.st_size <= left:  # holes count: a copy has none
                left -= status.st_size
                with suppress(PermissionError):  # the student's own wish
                    _copy(name, descriptor, target / name)


def _copy(name: str, folder: int, target: Path) -> None:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(source, "rb") as stream, target.open("xb") as copy:
        shutil.copyfileobj(stream, copy)
