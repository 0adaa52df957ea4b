"""Downloads that change nothing unless they succeed, the checking of files, and command lines.

Each data set has a command line. `python -m utils.data.digits mnist` downloads, and `make data`
runs all that do; `python -m utils.data.prices` says what is there.
"""

import argparse
import hashlib
import os
import socket
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from utils.data.root import DataError, data_root

DOWNLOAD_TIMEOUT = 30.0  # seconds without an answer; torchvision itself would wait for ever


@contextmanager
def download_folder(name: str, command: str, root: Path, place: Path) -> Iterator[Path]:
    """An empty folder inside root, there while the block runs: download into it, then move.

    name: the data set; command: what to run to try again; place: where in root it will lie.
    Raises DataError where root or what lies on the way to place is read-only or cannot be written.
    """
    _require_writable(name, command, root, place)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as temporary:
            yield Path(temporary)
    except OSError as error:
        raise DataError(
            f"{name} could not be written to {root} ({error.strerror or error}): "
            f"put that right or set LAB_DATA to another folder, then run {command}."
        ) from error


def fetch(name: str, size: str, command: str, download: Callable[[], object]) -> None:
    """Run one of torchvision's downloads; what it raises becomes a DataError of one sentence."""
    print(f"Downloading {name} ({size}).")
    try:
        with _socket_timeout(DOWNLOAD_TIMEOUT):
            download()
    except (OSError, RuntimeError, EOFError, HTTPException, zlib.error) as error:
        reason = str(error).strip().rpartition("\n")[2] or repr(error)
        raise DataError(
            f"{name} could not be downloaded ({reason}): check the network, then run {command}."
        ) from error


def command_line(
    module: str, dataset: str, download: Callable[[Path], None], done: str, given: list[str] | None
) -> int:
    """`python -m MODULE DATASET [--root DIR]`: download one data set. Returns the exit status.

    done: what to print then, with {root} for the folder; given: the arguments, None for sys.argv's.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description="Download data.")
    parser.add_argument("dataset", choices=[dataset])
    parser.add_argument("--root", metavar="DIR", help="where to (default: LAB_DATA, else data/)")
    root, _ = data_root(parser.parse_args(given).root)
    if _failed(download, root):
        return 1
    print(done.format(root=root))
    return 0


def tell(
    module: str,
    about: str,
    load: Callable[[Path], object],
    places: Sequence[Path],
    remedy: str,
    given: list[str] | None,
) -> int:
    """`python -m MODULE [--root DIR]`: load what is there, which says so. Returns the exit status.

    places: where in the folder the data may lie; remedy: what to print where they lie in none of
    them, with {place} for the first; given: the arguments, None for sys.argv's.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=f"{about}: what is there."
    )
    parser.add_argument("--root", metavar="DIR", help="where (default: LAB_DATA, else data/)")
    root, _ = data_root(parser.parse_args(given).root)
    if _failed(load, root):
        return 1
    if not any((root / place).exists() for place in places):
        print(remedy.format(place=root / places[0]))
    return 0


def _failed(work: Callable[[Path], object], root: Path) -> bool:
    """Do the work in a folder of data; whether it raised a DataError, which is printed."""
    try:
        work(root)
    except DataError as error:
        print(error, file=sys.stderr)
        return True
    return False


def file_fault(path: Path, size: int, sha256: str) -> str:
    """What is wrong with a file that should have this size and SHA-256; "" if nothing is."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        actual = path.stat().st_size
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if digest == sha256:
        return ""
    if actual < size:
        return f"is cut short: {actual:,} of {size:,} bytes"
    return "is not the official file: its SHA-256 differs"


def _require_writable(name: str, command: str, root: Path, place: Path) -> None:
    """Refuse before a download is spent on a folder that cannot take it.

    The mode is looked at too: an administrator may write everywhere, and is not meant to in a
    folder that is marked read-only.
    """
    nearest = next(place for place in (root, *root.parents) if place.exists())
    inner = [folder for folder in (place.parent, place) if folder != root and folder.exists()]
    for folder in (nearest, *inner):
        if not (os.access(folder, os.W_OK) and folder.stat().st_mode & stat.S_IWUSR):
            raise DataError(
                f"{name} cannot be downloaded to {root}, since {folder} is read-only: "
                f"set LAB_DATA to a folder that you can write, and run {command}."
            )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
